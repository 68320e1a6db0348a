"""``Classifier``: load a model file and classify images."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload

import numpy as np

from runtime.engines.base import Pixels, Probabilities
from runtime.engines.load import load_model
from runtime.errors import BackendUnavailableError, ImageError, ModelSpecError, PixelsError
from runtime.image.load import ImageSource, in_rgb, load_pixels
from runtime.prediction import Postprocessor, Prediction
from runtime.spec import ModelSpec
from runtime.system.fork import guarded
from runtime.system.processors import processors, thread_count_error
from runtime.tuning import TunedModel, tuned_model

if TYPE_CHECKING:
    from runtime.golden import GoldenSet


ChannelOrder = Literal["RGB", "BGR"]
"""The order of an array's three channels."""
Decoder = Callable[[ImageSource, ModelSpec], Pixels]
"""Turns an image into pixels, uint8 (H, W, 3), RGB."""


class Classifier:
    """A model file, loaded and ready; may be used from several threads, pickled (by path) and in a ``with`` statement.

    Args:
        model_path: a model file (``.onnx``, ``.tflite``, …), or a folder of them. From a folder it loads the file that
            ``tune`` chose, else ``model_int8.onnx``, else the only model file.
        threads: intra-op threads of the engine, 1 to 4 per processor; default: the choice of ``tune``, else 1.
        spec: replaces the spec in the file; needed for files of other exporters, which have none. If the graph takes
            floats, ``scale`` and ``offset`` are applied to the pixels here. NHWC or NCHW is recognized by the graph's
            input shape. ``output`` says whether the graph returns logits; if it is ``None``, the last operator decides.
        engine: e.g. ``onnxruntime``, ``openvino`` or ``litert``; default: by the file's suffix.
        decoder: turns an image into pixels; ``runtime.image.isolated.IsolatedDecoder()`` decodes large and risky
            images in child processes.

    Attributes:
        spec: the spec in use: from the file, or as given.
        backend: name of the engine in use.
        inputs, outputs: the graph's input and output tensors.
        decoder: turns an image into pixels.

    Raises:
        ModelError: the file is missing, damaged, changed since export, or contradicts its spec.
        BackendUnavailableError: the engine is unknown or not installed.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        threads: int | None = None,
        spec: ModelSpec | None = None,
        engine: str | None = None,
        decoder: Decoder = load_pixels,
    ) -> None:
        if threads is not None:
            _require_threads(threads=threads)
        self._given_spec, self.decoder = spec, decoder
        chosen = _choice(model_path)
        self.path, self.threads = chosen.path, threads or chosen.threads
        try:
            model = load_model(self.path, self.threads, spec, engine or chosen.engine, chosen.sha256)
        except BackendUnavailableError as error:
            if engine or not chosen.engine:
                raise
            raise BackendUnavailableError(
                f"{error}; or tune {self.path.parent} again: its runtime.json names this engine"
            ) from error
        backend, self.spec, run, scored = model
        self._run, self._scored = guarded(run), guarded(scored) if scored else None
        self.backend, self.inputs, self.outputs = backend.engine, backend.inputs, backend.outputs
        self._golden_json = backend.golden_json
        self._square = self.spec.shape
        two_in_one = backend.outputs[0].shape[-1:] == (1,)  # one number for two mutually exclusive classes
        self._postprocessor = Postprocessor(self.spec, multi_label=self.spec.output == "sigmoid" and not two_in_one)

    def classify(self, image: ImageSource, top: int = 5, *, channel_order: ChannelOrder = "RGB") -> Prediction:
        """Classify one image.

        Args:
            image: path, encoded bytes, binary file, PIL image, or uint8 array (H, W, 3) in RGB.
            top: how many classes to list, 1 or more.
            channel_order: channel order of an array; ``BGR`` for OpenCV and for picamera2's format ``RGB888``.

        Raises:
            ImageError: the image cannot be read; its subclasses say why.
        """
        _require_positive(top=top)
        if channel_order != "RGB":
            image = in_rgb(image, channel_order)
        return self.classify_pixels(self.decoder(image, self.spec), top)

    def classify_pixels(self, pixels: Pixels, top: int = 5) -> Prediction:
        """Classify the pixels that ``decoder`` returned, uint8 (H, W, 3) of the model's input size."""
        return next(self._predictions(pixels[np.newaxis], top))

    @property
    def multi_label(self) -> bool:
        """Whether each class has an independent probability, so that an image can have any number of labels."""
        return self._postprocessor.multi_label

    @overload
    def classify_many(
        self, images: Iterable[ImageSource], *, top: int = ..., batch_size: int = ..., workers: int | None = ...
    ) -> Iterator[Prediction]: ...
    @overload
    def classify_many(
        self,
        images: Iterable[ImageSource],
        *,
        top: int = ...,
        batch_size: int = ...,
        workers: int | None = ...,
        yield_errors: bool,
    ) -> Iterator[Prediction | ImageError]: ...
    def classify_many(
        self,
        images: Iterable[ImageSource],
        *,
        top: int = 5,
        batch_size: int = 8,
        workers: int | None = None,
        yield_errors: bool = False,
    ) -> Iterator[Prediction | ImageError]:
        """Classify images in order. ``images`` is read lazily, so it may be long or endless.

        Args:
            images: anything that ``classify`` takes.
            top: how many classes to list.
            batch_size: images per call of the engine.
            workers: threads that decode ahead while the engine runs; 1 decodes in the calling thread, ``None`` uses
                one thread per processor.
            yield_errors: yield an image's ``ImageError`` instead of raising it.

        Raises:
            ImageError: an image cannot be read, and ``yield_errors`` is false.
        """
        if isinstance(images, str | bytes):
            raise TypeError(f"expected images, one after the other, got one {type(images).__name__}: put it in a list")
        workers = processors() if workers is None else workers
        _require_positive(top=top, batch_size=batch_size)
        _require_threads(workers=workers)
        return self._classify_many(images, top, batch_size, workers, yield_errors)

    def _classify_many(
        self,
        images: Iterable[ImageSource],
        top: int,
        batch_size: int,
        workers: int,
        yield_errors: bool,  # noqa: FBT001
    ) -> Iterator[Prediction | ImageError]:
        batch: list[Pixels | ImageError] = []
        for image in _decoded(images, self.spec, self.decoder, workers, ahead=batch_size + 2 * workers):
            if isinstance(image, ImageError) and not yield_errors:
                yield from self._answers(batch, top)
                raise image
            batch.append(image)
            if len(batch) == batch_size:
                yield from self._answers(batch, top)
                batch = []
        yield from self._answers(batch, top)

    def _answers(self, batch: list[Pixels | ImageError], top: int) -> Iterator[Prediction | ImageError]:
        decoded = [image for image in batch if isinstance(image, np.ndarray)]
        answers = self._predictions(np.stack(decoded), top) if decoded else iter(())
        for image in batch:
            yield image if isinstance(image, ImageError) else next(answers)

    def predict(self, pixels: Pixels, *, channel_order: ChannelOrder = "RGB") -> Probabilities:
        """Compute the probabilities for pixels of the model's input size.

        Args:
            pixels: uint8 (N, H, W, 3), RGB, 0-255.
            channel_order: channel order of ``pixels``.

        Returns:
            float32 (N, C), 0-1. Rows sum to 1 up to the model's precision, except for a multi-label model, whose
            labels have independent probabilities.

        Raises:
            PixelsError: wrong shape or dtype.
        """
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != self._square:
            got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise PixelsError(f"pixels must be uint8 (N, {', '.join(map(str, self._square))}), got {got}")
        return self._run(pixels if channel_order == "RGB" else np.ascontiguousarray(in_rgb(pixels, channel_order)))

    def golden(self) -> "GoldenSet | None":
        """Return the golden set stored in the file, or ``None``.

        Raises:
            ModelSpecError: it is damaged, or its image size or number of classes is not the model's.
        """
        if self._golden_json is None:
            return None
        from runtime.golden import GoldenSet

        golden = GoldenSet.from_json(self._golden_json)
        if golden.pixels.shape[1:] != self._square or golden.probabilities.shape[1] != len(self.spec.class_names):
            raise ModelSpecError(
                f"{self.path}: golden set of {golden.pixels.shape} pixels and {golden.probabilities.shape} "
                "probabilities is of another model: export it again"
            )
        return golden

    def close(self) -> None:
        """Release the engine and its memory; later calls raise ``ValueError``."""
        self._run, self._scored = _closed, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path.absolute(), self.threads, self._given_spec, self.backend, self.decoder)

    def _predictions(self, pixels: Pixels, top: int) -> Iterator[Prediction]:
        if self._scored is None or self.spec.known_threshold is None:
            return (self._postprocessor.prediction(row, top) for row in self._run(pixels))
        rows, scores = self._scored(pixels)
        known = (scores >= self.spec.known_threshold).tolist()
        return (
            self._postprocessor.prediction(row, top, is_known=is_known)
            for row, is_known in zip(rows, known, strict=True)
        )


def _choice(model_path: str | os.PathLike[str]) -> TunedModel:
    path = Path(model_path)
    return tuned_model(path) if os.path.isdir(path) else TunedModel(path)


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")


def _require_threads(**counts: int) -> None:
    for name, count in counts.items():
        if reason := thread_count_error(count):
            raise ValueError(f"{name} must be {reason}")


def _closed(_: Pixels) -> NoReturn:
    raise ValueError("this classifier is closed: make a new one")


def _decoded(
    images: Iterable[ImageSource], spec: ModelSpec, decoder: Decoder, workers: int, ahead: int
) -> Iterator[Pixels | ImageError]:
    """Yield the pixels of each image in order; at most ``ahead`` images are decoded in advance."""

    def decode(image: ImageSource) -> Pixels | ImageError:
        try:
            return decoder(image, spec)
        except ImageError as error:
            return error

    if workers == 1:
        yield from map(decode, images)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    pending: deque[Future[Pixels | ImageError]] = deque()
    pool = ThreadPoolExecutor(workers, "edgecnn-decode")
    try:
        for image in images:
            pending.append(pool.submit(decode, image))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        if pending and hasattr(decoder, "interrupt"):  # their results are no longer needed
            decoder.interrupt()
        pool.shutdown(cancel_futures=True)
