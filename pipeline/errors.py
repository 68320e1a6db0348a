"""Errors of the pipeline; they are in the same tree as ``runtime.errors``.

EdgecnnError
└── PipelineError
    ├── ArchitectureError (ValueError)
    ├── BundleBuildError
    ├── DataError
    │   ├── DataUnavailableError
    │   ├── ClassesError
    │   └── UnusablePhotosError
    ├── DocumentError (ValueError)
    ├── ExplainError
    ├── ExportError
    ├── FolderInUseError
    ├── PageError
    ├── ReportError (ValueError)
    ├── WeightsError
    └── WorkerLostError
"""

from pathlib import Path

from runtime.errors import EdgecnnError


class PipelineError(EdgecnnError):
    """Base of all errors of the pipeline."""


class ArchitectureError(PipelineError, ValueError):
    """The requested network cannot be built."""


class BundleBuildError(PipelineError):
    """A bundle for the device cannot be built."""


class DataError(PipelineError):
    """A data set is missing, or its content is not as expected."""


class DataUnavailableError(DataError):
    """A data set could not be downloaded from any of its sources."""


class ClassesError(DataError):
    """The class folders cannot be used: too few classes, too few photos in one, or classes that a model lacks."""


class UnusablePhotosError(DataError):
    """Files in a folder of photos are not images, or the same photo is in several classes."""


class DocumentError(PipelineError, ValueError):
    """A JSON document is missing, is another kind of document, or has a newer version.

    Attributes:
        fault: description of the problem, without path and remedy.
    """

    def __init__(self, path: Path, fault: str, remedy: str) -> None:
        super().__init__(f"{path}: {fault}; {remedy}")
        self.fault = fault


class ExplainError(PipelineError):
    """A network has no feature maps to draw."""


class ExportError(PipelineError):
    """A model cannot be exported."""


class FolderInUseError(PipelineError):
    """Another training is running in the folder."""


class PageError(PipelineError):
    """A page for the browser cannot be written."""


class ReportError(PipelineError, ValueError):
    """A report cannot be made from a JSON file."""


class WeightsError(PipelineError):
    """Pretrained weights are missing, damaged, or those of another network."""


class WorkerLostError(PipelineError):
    """One of several machines that train together no longer answers."""


def reason(error: Exception) -> str:
    """Return an error's text without number and path, for a message that already names the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"no entry {error}" if isinstance(error, KeyError) else str(error)
