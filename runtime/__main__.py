"""``python -m runtime``."""

from runtime.cli import entry

entry()
