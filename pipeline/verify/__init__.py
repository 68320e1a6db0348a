"""Compare exported files with Keras (parity, drift layer by layer) and evaluate models on labeled images."""

import sys

from pipeline.system.callable_package import CallablePackage

sys.modules[__name__].__class__ = CallablePackage  # notebooks call the result of ``from pipeline import verify``
