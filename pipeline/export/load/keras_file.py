"""Read a Keras file before Keras loads it: the network's configuration, and the version of Keras that wrote it.

For other files that users mistake for Keras models, the error says what the file is.
"""

import json
import mmap
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from pipeline.errors import ExportError, reason
from pipeline.export.load.keras2 import OPERATOR_LAYERS, as_keras3, entries
from pipeline.system.file_checks import check_model
from runtime.engines.archive import ENTRY, read_member
from runtime.system.files import parse_json
from runtime.text import first_of

CONFIG, METADATA = "config.json", "metadata.json"
MAX_CONFIG_BYTES = 16 * 1024 * 1024
MAX_RATIO = 50
"""Largest ratio of unpacked size to file size; weights hardly compress."""
MAX_MEMBERS = 1000
_BLOCK = 1 << 20
CAUSE_SHOWN = 300
"""Most characters of Keras's own message that an error quotes."""

HEAD_BYTES = 256
OTHERS = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the model itself: run git lfs pull in its repository"),
    (rb"\s*<(!doctype|html)", "a web page, not a model: download the file itself"),
    (rb"\s*\{", "a JSON file, a network without weights at best: give the file that model.save('model.keras') writes"),
    (rb".{4}TFL3", "a TFLite file, which is exported already: give the Keras model that it was made from"),
    (rb"PK.*\.pkl", "a PyTorch file: give a Keras model"),
)
"""Regular expressions for the first bytes of files that are often given by mistake, and the message for each."""
WEIGHTS_ALONE = (
    "holds weights alone, without the network: build the network in your program, then "
    "model.load_weights('{name}'); model.save('model.keras')"
)


@dataclass(frozen=True)
class KerasFile:
    """The configuration of a Keras file.

    Attributes:
        path: the file.
        config: the network's configuration, parsed JSON, translated to Keras 3 if Keras 2 wrote it.
        version: version of the Keras that wrote the file, such as 3.10.0; ``None`` if the file does not say.
    """

    path: Path
    config: Any
    version: str | None

    @property
    def of_keras_2(self) -> bool:
        """Whether Keras 2 or older wrote the file, which did not always store its version."""
        return self.version is None or _numbers(self.version) < (3,)

    def refusal(self, error: Exception) -> ExportError:
        """Make the error that says why Keras could not load the file, which Keras wrote it, and what to do."""
        return ExportError(f"{self.path}: Keras {keras.__version__} cannot load it ({cause(error)}); {self.remedy}")

    @property
    def remedy(self) -> str:
        """The remedy if this Keras cannot load the file."""
        written = f"it was written by Keras {self.version}: " if self.version else ""
        if self.of_keras_2:
            return (
                f"{written}build the same network with Keras 3 in your program and give it these weights: "
                f"model.load_weights('{self.path.name}'); model.save('model.keras')"
            )
        if self.version and _numbers(self.version) > _numbers(keras.__version__):
            return f"{written}run {sys.executable} -m pip install 'keras>={self.version}'"
        return f"{written}save it again with model.save('model.keras') in the program that trained it"


def read_keras_file(path: Path) -> KerasFile:
    """Read the configuration of a Keras file without building the network.

    Raises:
        ExportError: there is no such file, or it does not hold a complete Keras model.
    """
    check_model(path)
    _refuse_folder(path)
    suffix = path.suffix
    is_zip, is_hdf5 = zipfile.is_zipfile(path), h5py.is_hdf5(path)
    try:
        if is_zip and suffix == ".keras":
            config, version = _read_zip(path)
        elif is_hdf5 and suffix in (".h5", ".hdf5"):
            config, version = _read_hdf5(path)
        else:
            raise ExportError(f"{path}: {_what_it_is(path, is_zip=is_zip, is_hdf5=is_hdf5)}")
        for _ in entries(config):  # raises ValueError if the configuration is nested too deeply
            pass
        file = KerasFile(path, config, version)
        return KerasFile(path, as_keras3(config), version) if file.of_keras_2 else file
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path}: not a whole Keras model ({reason(error)}); copy it again, or save it again with "
            "model.save('model.keras')"
        ) from error


def refuse_unknown_operators(file: KerasFile) -> None:
    """Check that a Keras 2 model has no operators for which Keras 3 has no layer.

    Raises:
        ExportError: it has such operators; the message lists them.
    """
    found = [entry.get("config") for entry in entries(file.config) if entry["class_name"] in OPERATOR_LAYERS]
    unknown = sorted({f"tf.{config.get('function')}" for config in found if isinstance(config, dict)})
    if unknown:
        raise ExportError(f"{file.path}: computes {first_of(unknown)}, for which Keras 3 has no layer; {file.remedy}")


@contextmanager
def loadable(file: KerasFile) -> Iterator[Path]:
    """Yield a file that Keras 3 can load: the file itself, or a copy of it with the configuration of ``file``."""
    if not file.of_keras_2:
        yield file.path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{file.path.suffix}"
        config = json.dumps(file.config)
        if copy.suffix == ".keras":
            with zipfile.ZipFile(file.path) as source, zipfile.ZipFile(copy, "w") as target:
                for member in source.infolist():
                    if member.filename == CONFIG:
                        target.writestr(CONFIG, config)
                        continue
                    with source.open(member) as stored, target.open(member.filename, "w", force_zip64=True) as written:
                        shutil.copyfileobj(stored, written)
        else:
            shutil.copyfile(file.path, copy)
            with h5py.File(copy, "r+") as hdf5:
                hdf5.attrs["model_config"] = config
        yield copy


def cause(error: Exception) -> str:
    """Return the line of a Keras error that gives the cause, without the objects that Keras prints."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).rpartition("Exception encountered: ")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    first = 1 if lines[0].startswith("Exception encountered when calling") and len(lines) > 1 else 0
    line = lines[first].partition(" Full object config")[0]
    return line if len(line) <= CAUSE_SHOWN else f"{line[:CAUSE_SHOWN]}…"


def _read_zip(path: Path) -> tuple[Any, str | None]:
    _refuse_many_members(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if CONFIG not in names:
            alone = any(name.endswith(".weights.h5") for name in names)
            says = WEIGHTS_ALONE.format(name=path.name) if alone else "no Keras model: there is no config.json in it"
            raise ExportError(f"{path}: {says}")
        _check_sizes(path, archive)
        config = parse_json(read_member(archive, archive.getinfo(CONFIG), MAX_CONFIG_BYTES))
        metadata = parse_json(read_member(archive, archive.getinfo(METADATA), _BLOCK)) if METADATA in names else {}
    return config, _version(metadata.get("keras_version") if isinstance(metadata, dict) else None)


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Read every member once, because Keras unpacks them without a size limit.

    Raises:
        ValueError, zipfile.BadZipFile, …: a member is damaged or unpacks to more than its stated size, or the members
            unpack to more than ``MAX_RATIO`` times the file's size.
    """
    most = max(MAX_CONFIG_BYTES, MAX_RATIO * path.stat().st_size)
    members = archive.infolist()
    if sum(member.file_size for member in members) > most:
        raise ValueError(f"it unpacks to more than {MAX_RATIO} times its size")
    for member in members:
        with archive.open(member) as stored:
            while stored.read(_BLOCK):
                pass


def _refuse_many_members(path: Path) -> None:
    """Count the members before the archive's directory is read into memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = -1
        for _ in range(MAX_MEMBERS):
            place = content.find(ENTRY, place + 1)
            if place < 0:
                return
    raise ValueError(f"more than {MAX_MEMBERS} members")


def _read_hdf5(path: Path) -> tuple[Any, str | None]:
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ExportError(f"{path}: {WEIGHTS_ALONE.format(name=path.name)}")
        config = parse_json(file.attrs["model_config"])
        return config, _version(file.attrs.get("keras_version"))


def _version(text: Any) -> str | None:
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return text if isinstance(text, str) and re.fullmatch(r"\d+\.\d+[.\w+-]{0,30}", text) else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _refuse_folder(path: Path) -> None:
    if not path.is_dir():
        return
    if (path / "keras_metadata.pb").is_file():
        raise ExportError(
            f"{path}: a SavedModel folder of Keras 2; convert it: pip install tf_keras && "
            f"python -c \"import tf_keras; tf_keras.models.load_model('{path}').save('model.h5')\""
        )
    if (path / "saved_model.pb").is_file():
        raise ExportError(
            f"{path}: a SavedModel folder without its Keras model: give the .keras or .h5 file that it was made from"
        )
    raise ExportError(f"{path}: a folder; expected a .keras or .h5 file")


def _what_it_is(path: Path, *, is_zip: bool, is_hdf5: bool) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return "empty; copy it again"
    if path.name == "checkpoint" or path.suffix == ".index" or path.suffix.startswith(".data-"):
        return WEIGHTS_ALONE.format(name=path.stem)
    for beginning, says in OTHERS:
        if re.match(beginning, head, re.DOTALL | re.IGNORECASE):
            return says
    if is_hdf5:
        return f"an HDF5 file: name it {path.with_suffix('.h5').name}"
    if is_zip and path.suffix.lower() in (".h5", ".hdf5"):
        return f"a ZIP archive: if it is a Keras model, name it {path.with_suffix('.keras').name}"
    return "not a Keras model file; expected .keras or .h5 as model.save() writes them"
