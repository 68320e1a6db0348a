"""Every error a caller can meet, in one tree.

    EdgecnnError
    ├── ImageError (ValueError)
    │   ├── ImageFileNotFoundError (FileNotFoundError)
    │   ├── ImageDecodeError
    │   │   └── HeicError
    │   └── ImageMemoryError (MemoryError)
    ├── ModelError
    │   ├── ModelFileNotFoundError (FileNotFoundError)
    │   ├── ModelFormatError (ValueError)
    │   ├── ModelSpecError (ValueError)
    │   └── ModelDigestError (ValueError)
    ├── BackendUnavailableError (ImportError)
    ├── CameraError (OSError)
    ├── DecodingStoppedError
    ├── BundleError (ValueError)
    ├── ForkedProcessError (RuntimeError)
    ├── PackageMissingError (ImportError)
    ├── OutputError (OSError)
    └── PixelsError (ValueError)

Each message says what was got, what was expected and what to do.
"""


class EdgecnnError(Exception):
    """Base of every error that this project raises on purpose."""


class ImageError(EdgecnnError, ValueError):
    """An image could not be turned into pixels."""


class ImageFileNotFoundError(ImageError, FileNotFoundError):
    """No readable image file at this path."""


class ImageDecodeError(ImageError):
    """The bytes are not an image that can be decoded whole."""


class HeicError(ImageDecodeError):
    """A HEIC picture, and the package that decodes those is not installed."""


class ImageMemoryError(ImageError, MemoryError):
    """There was not enough memory to decode an image, which may be a good one."""


class ModelError(EdgecnnError):
    """A model file could not be used."""


class ModelFileNotFoundError(ModelError, FileNotFoundError):
    """No readable model file at this path."""


class ModelFormatError(ModelError, ValueError):
    """The file is not a model of its kind, or its inputs and outputs are not those of an image classifier."""


class ModelSpecError(ModelError, ValueError):
    """The model file carries no spec, a broken one, or one that contradicts the model."""


class ModelDigestError(ModelError, ValueError):
    """The model file is damaged, is not the one that the manifest beside it lists, or that manifest cannot be read."""


class BackendUnavailableError(EdgecnnError, ImportError):
    """The engine that is to run a file is unknown or not installed."""


class CameraError(EdgecnnError, OSError):
    """A camera cannot be opened, or has stopped."""


class ForkedProcessError(EdgecnnError, RuntimeError):
    """The process was forked in a state in which the engine would hang."""


class DecodingStoppedError(EdgecnnError):
    """An image was being decoded when the process was asked to stop."""


class BundleError(EdgecnnError, ValueError):
    """A bundle is not as it was built, or not signed as it must be."""


class PackageMissingError(EdgecnnError, ImportError):
    """A package that only some options need is not installed."""


class OutputError(EdgecnnError, OSError):
    """A file cannot be written where it was asked for."""


class PixelsError(EdgecnnError, ValueError):
    """An array is not ``uint8 (N, S, S, 3)`` as the model needs it."""
