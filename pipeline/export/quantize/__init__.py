"""int8: configurations, the search over them, and what int8 may cost."""
