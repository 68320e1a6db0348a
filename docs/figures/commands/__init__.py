"""The commands of ``python -m docs.figures``, one module each, as in ``pipeline.commands``."""
