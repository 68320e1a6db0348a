"""The former name of ``runtime.engines``, which scripts of others import."""
