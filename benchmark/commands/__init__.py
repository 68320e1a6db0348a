"""The runtime's commands that measure; shaped as those in ``runtime/commands/``."""
