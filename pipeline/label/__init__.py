"""Label the frames that a device has kept, on a local web page that moves them into class folders."""

from pipeline.label.queue import Queue
from pipeline.label.server import serving

__all__ = ["Queue", "serving"]
