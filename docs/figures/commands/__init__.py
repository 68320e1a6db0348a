"""One small file a command, as in ``pipeline.commands``."""
