"""int8 quantization: configs, the search over them, and the acceptance criteria."""
