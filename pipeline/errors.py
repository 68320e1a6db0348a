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
    """Base of what can go wrong between photos and model files."""


class ArchitectureError(PipelineError, ValueError):
    """The asked-for network cannot be built."""


class BundleBuildError(PipelineError):
    """A bundle for the device cannot be built."""


class DataError(PipelineError):
    """A data set is not what it should be."""


class DataUnavailableError(DataError):
    """No source of a data set answered."""


class ClassesError(DataError):
    """The folders of photos do not make a classification: too few classes, or too few pictures in one."""


class UnusablePhotosError(DataError):
    """Files among the photos are no image, or contradict each other."""


class DocumentError(PipelineError, ValueError):
    """A JSON file that a command left is missing, is not of its kind, or is of a newer version.

    Attributes:
        fault: what is wrong with it.
    """

    def __init__(self, path: Path, fault: str, remedy: str) -> None:
        super().__init__(f"{path}: {fault}; {remedy}")
        self.fault = fault


class ExplainError(PipelineError):
    """A network has nothing to show."""


class ExportError(PipelineError):
    """A model cannot be exported."""


class FolderInUseError(PipelineError):
    """Another training is running in the folder."""


class PageError(PipelineError):
    """A page for the browser cannot be written."""


class ReportError(PipelineError, ValueError):
    """A JSON file is not one that a report can be made from."""


class WeightsError(PipelineError):
    """Pretrained weights are missing, damaged, or not those that were asked for."""


class WorkerLostError(PipelineError):
    """One of several machines that train together is gone."""


def reason(error: Exception) -> str:
    """What an error says, for a message that names the file itself: the system's words without number and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"no entry {error}" if isinstance(error, KeyError) else str(error)
