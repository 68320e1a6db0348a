"""The former name of ``runtime.engines.checksum``."""

from runtime.engines.checksum import seal

__all__ = ["seal"]
