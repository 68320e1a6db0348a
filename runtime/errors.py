"""All errors that ``runtime`` raises on purpose.

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

Each message says what was found, what was expected and what to do.
"""


class EdgecnnError(Exception):
    """Base of every error that this project raises on purpose."""


class ImageError(EdgecnnError, ValueError):
    """An image could not be turned into pixels."""


class ImageFileNotFoundError(ImageError, FileNotFoundError):
    """There is no readable image file at this path."""


class ImageDecodeError(ImageError):
    """The bytes are not an image, or the image is damaged or truncated."""


class HeicError(ImageDecodeError):
    """The image is HEIC, and the package that decodes HEIC is not installed."""


class ImageMemoryError(ImageError, MemoryError):
    """There was not enough memory to decode the image; the file itself may be intact."""


class ModelError(EdgecnnError):
    """A model file could not be used."""


class ModelFileNotFoundError(ModelError, FileNotFoundError):
    """There is no readable model file at this path."""


class ModelFormatError(ModelError, ValueError):
    """The file does not match its suffix, or its inputs and outputs are not those of an image classifier."""


class ModelSpecError(ModelError, ValueError):
    """The model file has no spec, an invalid one, or one that contradicts the graph."""


class ModelDigestError(ModelError, ValueError):
    """The model file is damaged, or differs from its checksum, the manifest beside it, or the file that was tuned."""


class BackendUnavailableError(EdgecnnError, ImportError):
    """The requested engine is unknown or not installed."""


class CameraError(EdgecnnError, OSError):
    """A camera cannot be opened, or has stopped."""


class ForkedProcessError(EdgecnnError, RuntimeError):
    """The process was forked after the engine started its threads, so the engine would hang."""


class DecodingStoppedError(EdgecnnError):
    """An image was being decoded when the process was asked to stop."""


class BundleError(EdgecnnError, ValueError):
    """A bundle was changed after it was built, or lacks a required signature."""


class PackageMissingError(EdgecnnError, ImportError):
    """An optional package that the chosen option needs is not installed."""


class OutputError(EdgecnnError, OSError):
    """An output file cannot be written at the requested place."""


class PixelsError(EdgecnnError, ValueError):
    """An array is not ``uint8 (N, H, W, 3)`` of the model's input height and width."""
