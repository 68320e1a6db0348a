"""Train one kind, export it as the documents say, and compare every file with Keras on the photo files."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from docs.figures.kinds.models import Kind
from docs.figures.kinds.paint import CLASSES, paint, paint_several
from pipeline import cli, formats
from pipeline.commands import UNUSABLE
from pipeline.data.label_table import TABLE, has_table, read_table
from pipeline.documents.manifest import Manifest
from pipeline.export.load.dtype import in_dtype
from pipeline.metrics.classification import exact_match
from runtime import Classifier

ENOUGH, LEAST = 0.97, 0.9
"""Training ends when it reaches the first accuracy; a model below the second one is an error."""
BATCH = 16
HALF = ("float16", "bfloat16")
Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def examine(kind: Kind, folder: Path) -> dict[str, Any]:
    """Train and export a kind, and compare its files with Keras.

    Args:
        kind: the kind.
        folder: where photos are painted once, and models are written.

    Returns:
        Its name, the accuracy of Keras and of each file, and the messages if one or all files were refused.
    """
    data = photos(folder, kind)
    model, accuracy, expected = train(kind, data)
    place = folder / kind.name.replace("/", " ")
    place.mkdir()
    model.save(place / "model.keras")
    names = list(CLASSES) if kind.several else sorted(path.name for path in (data / "val").iterdir())
    (place / "names.txt").write_text("\n".join(names) + "\n")
    command = ["export", "--model", place / "model.keras", "--classes", place / "names.txt", "--data", data]
    command += ["--filter", "bilinear-no-antialias", "--quick", "--out", place, *kind.options]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = cli.main([str(part) for part in command])
    entry = {"kind": kind.name, "photos": len(expected), "keras": accuracy, "status": status}
    if status == UNUSABLE:
        sentence = (
            printed.getvalue().strip().rpartition("error: ")[2].replace(str(place / "model.keras"), "model.keras")
        )
        return {**entry, "files": {}, "failed": {}, "refused": sentence}
    manifest = Manifest.read(place)
    written = [name for name in formats.MODEL_FILES if name in manifest.files]
    files = {name: compare(place / name, data, names, expected) for name in written}
    return {**entry, "files": files, "failed": manifest.failed, "refused": None}


def photos(folder: Path, kind: Kind) -> Path:
    """Return the folder of painted photos for a kind: of all classes, of two, or with several labels."""
    if kind.several:
        data = folder / "several"
        return data if data.is_dir() else paint_several(data)
    two = kind.two
    data = folder / ("two" if two else "four")
    return data if data.is_dir() else paint(data, CLASSES[:2] if two else CLASSES)


def train(kind: Kind, data: Path) -> tuple[keras.Model, float, Labels]:
    """Return the trained model, its accuracy on the validation photos read by Keras's loader, and its answers.

    Raises:
        ValueError: the accuracy is below ``LEAST``.
    """
    (x, y), (pixels, labels) = (loaded(kind, data / part) for part in ("train", "val"))
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if kind.policy in HALF else kind.policy)
    try:
        model = kind.build(kind)
    finally:
        keras.config.set_dtype_policy(before)
    x, pixels = (images.reshape(len(images), *model.input_shape[1:]) for images in (x, pixels))
    model.compile(keras.optimizers.Adam(kind.rate), _losses(kind))
    targets = {name: y.astype(np.float32) if name == "weight" else y for name in kind.outputs} if kind.outputs else y
    if len(model.outputs[0].shape) == 4:  # a map of one place
        targets = y[:, np.newaxis, np.newaxis]
    for _ in range(kind.epochs):
        model.fit(x, targets, epochs=1, batch_size=BATCH, verbose=0)
        named = answers(kind, model, pixels)
        if exact_match(named, labels) >= ENOUGH:
            break
    if kind.policy in HALF:
        model = in_dtype(model, kind.policy)
        named = answers(kind, model, pixels)
    accuracy = exact_match(named, labels)
    if accuracy < LEAST:
        raise ValueError(f"{kind.name}: learns {accuracy:.1%} of the photos; train it longer")
    return model, accuracy, named


def _losses(kind: Kind) -> Any:
    if kind.outputs:
        return {name: "mse" if name == "weight" else "sparse_categorical_crossentropy" for name in kind.outputs}
    if kind.two or kind.several:
        return keras.losses.BinaryCrossentropy(from_logits=kind.logits)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=kind.logits)


def answers(kind: Kind, model: keras.Model, pixels: Images) -> Labels:
    """Return Keras's class of each image, (N,), or the labels of each image, 0 or 1, (N, C), if multi-label."""
    got = model.predict(pixels, verbose=0, batch_size=64)
    got = np.asarray(got[kind.outputs.index("fruit")] if kind.outputs else got, np.float32).reshape(len(pixels), -1)
    if kind.several:
        return np.asarray(got > (0 if kind.logits else 0.5), np.int64)
    if kind.two:
        return np.asarray(got[:, 0] > (0 if kind.logits else 0.5), np.int64)
    return np.asarray(got.argmax(axis=1), np.int64)


def loaded(kind: Kind, folder: Path) -> tuple[Images, Labels]:
    """Read a folder with Keras's own loader, scaled for the model; returns images and labels."""
    mode = "grayscale" if kind.gray else "rgb"
    size = (kind.height, kind.width)
    scale = np.float32(1 if kind.outside else 1 / 255)
    if kind.several:
        images = keras.utils.image_dataset_from_directory(
            folder, labels=None, image_size=size, batch_size=None, shuffle=False, verbose=False
        )
        multi_hot = read_table(folder.parent / TABLE, CLASSES)
        shown = np.stack([multi_hot[f"{folder.name}/{path.name}"] for path in sorted(folder.iterdir())])
        return np.stack([np.asarray(image) for image in images]) * scale, shown.astype(np.int64)
    pairs = keras.utils.image_dataset_from_directory(
        folder, image_size=size, color_mode=mode, batch_size=None, shuffle=False, verbose=False
    )
    images, labels = zip(*pairs, strict=True)
    return np.stack([np.asarray(image) for image in images]) * scale, np.array([int(label) for label in labels])


def compare(path: Path, data: Path, names: list[str], expected: Labels) -> dict[str, float]:
    """Return a file's accuracy on the photo files, and the share on which it agrees with Keras."""
    labels, named = [], []
    with Classifier(path) as classifier:
        if classifier.multi_label and has_table(data):
            multi_hot = read_table(data / TABLE, classifier.spec.class_names)
            files = sorted((data / "val").iterdir())
            shown = np.stack([multi_hot[f"val/{file.name}"] for file in files]).astype(np.int64)
            answers = [classifier.classify(file).labels or () for file in files]
            decided = np.array([[name in labels for name in names] for labels in answers], np.int64)
            return {"accuracy": exact_match(decided, shown), "agreement": exact_match(decided, expected)}
        for label, photo in _photos(data / "val", names):
            labels.append(label)
            named.append(names.index(classifier.classify(photo).label))
    return {
        "accuracy": float(np.mean(np.array(named) == np.array(labels))),
        "agreement": float(np.mean(np.array(named) == expected)),
    }


def _photos(folder: Path, names: list[str]) -> Iterator[tuple[int, Path]]:
    """Yield label and path of the photos in the order of Keras's loader."""
    for label, name in enumerate(names):
        for path in sorted((folder / name).iterdir()):
            yield label, path
