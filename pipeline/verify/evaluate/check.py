"""Check that images have the size and the classes of a model."""

from pipeline.data.dataset import Dataset, format_size
from pipeline.errors import PipelineError
from pipeline.export.load.deployable import Deployable
from runtime.text import first_of


def check(deployable: Deployable, images: Dataset) -> None:
    """Refuse images of another size or other classes than the model's.

    Raises:
        PipelineError: the size or the classes differ.
    """
    if images.class_names != deployable.class_names or images.size != deployable.size:
        raise PipelineError(
            f"the model takes {format_size(deployable.size)} images of {first_of(deployable.class_names)}; these "
            f"are {format_size(images.size)} of {first_of(images.class_names)}: pass --data with the model's classes"
        )
