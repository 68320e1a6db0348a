"""``python -m pipeline export``."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts, formats
from pipeline.commands import (
    FAILED,
    OK,
    Commands,
    FormerFlag,
    WithExamples,
    command_line,
    input_contract,
    photo_options,
    source_options,
)
from pipeline.commands.before_tensorflow import check_source
from pipeline.data.seen import digest_of_path
from pipeline.errors import PipelineError
from runtime.system.writing import check_writable
from runtime.text import say

if TYPE_CHECKING:
    from pipeline.data.dataset import Dataset
    from pipeline.data.folder import Photos
    from pipeline.export.load.deployable import Deployable
    from pipeline.export.load.model import Source

UNLABELED_SHARE = 0.25
"""Share of the unlabeled photos that is held out of the calibration set for validation."""


EXAMPLES = """\
examples:
  # a model that python -m pipeline train wrote: its preprocessing is known
  python -m pipeline export --model artifacts/train/model.keras --out build
  # any other model: its class names, and a folder of photos for each class
  python -m pipeline export --model mine.keras --classes names.txt \\
      --data photos --out build
  # trained on pixels of -1 to 1, with photos cut to a square
  python -m pipeline export --model mine.keras --classes names.txt \\
      --data photos --preset tf --resize crop --out build
  # photos without labels
  python -m pipeline export --model mine.keras --classes names.txt \\
      --calibration pictures --out build
  # then: judge it on other photos, see all results, pack it for a board
  python -m pipeline verify build --data other-photos
  python -m pipeline report build
  python -m pipeline bundle build"""


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "export",
        help="write the ONNX and TFLite files of a model and verify them",
        description="Write the ONNX and TFLite files of a Keras model in float and int8, and verify them. Exit status: "
        "0 if all files pass, 1 if one does not, 2 if the model or the options are unusable.",
        epilog=EXAMPLES,
        formatter_class=WithExamples,
    )
    parser.add_argument("--model", type=Path, required=True, help="a .keras or .h5 file")
    source_options.add(parser)
    input_contract.add(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    photo_options.add_data(parser, "photos of the model's classes: calibrate, choose and verify on them")
    photo_options.add_unlabeled(parser, "--calibration", "calibrate on them; without --data, verify on a quarter")
    parser.add_argument("--quick", action="store_true", help="take the default int8 configuration without a search")
    formats_flag = parser.add_argument(
        "--formats", nargs="+", default=[], choices=list(formats.options()), metavar="NAME",
        help="write further files: " + ", ".join(f"{name} ({about})" for name, about in formats.options().items()),
    )  # fmt: skip
    parser.add_argument(
        "--precision", type=share, metavar="SHARE",
        help="mark answers below a threshold probability as not confident; the threshold is chosen so that this share "
        "of the confident answers to the validation images is right, such as 0.95 (default: every answer is confident)",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=keep, metavar="SHARE",
        help="mark images that are unlike all classes as unknown; the limit is chosen so that this share of the "
        "validation images stays known; 1: mark none (default: 0.95 in ONNX files, 1 in others)",
    )  # fmt: skip
    parser.add_argument(
        "--unknown", type=Path, metavar="DIR",
        help="photos that show none of the classes, to measure how many of them are taken for one",
    )  # fmt: skip
    parser.add_argument("--in-steps", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--recipes", action=FormerFlag, current=formats_flag)
    parser.set_defaults(tensorflow_threads=None, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded."""
    if options.unknown and options.keep == 1:
        raise PipelineError(
            "--unknown counts the images below the known threshold, and --keep 1 sets none: leave one out"
        )
    check_source(options)
    check_writable(options.out / artifacts.MANIFEST)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.data import samples
    from pipeline.documents.history import read_history
    from pipeline.export import Settings, export, prepare
    from pipeline.export.load.model import Loaded, load
    from pipeline.export.quantize.decisions import LEGEND, format_decisions
    from pipeline.verify.input_contract.check import check_input_contract
    from pipeline.verify.out_of_distribution import format_familiarity, judge_folder
    from pipeline.verify.parity import format_report, test_images, verify

    source = source_options.source(options)
    prepare(options.out, options.model)
    deployable = load(source)
    images = _read(options, source, deployable)
    read_from = tuple(map(digest_of_path, images.paths))
    settings = Settings(
        quick=options.quick,
        files=formats.files_of(options.formats),
        keep=options.keep,
        precision=options.precision,
        photo_folders=read_from,
        skip_bad=read_from if options.skip_bad else (),
    )
    looked_at = images.validation or samples.validation_images(read_history(source.path))
    input_contract.announce(images.photos)
    finding = check_input_contract(source.path, deployable, source.reading, images.photos, looked_at)
    if input_contract.contradicts(options, finding, source.asked):
        print(f"Nothing was written to {options.out}", file=sys.stderr)
        return FAILED
    loaded = Loaded(source, deployable, finding.checked if finding else "")
    manifest = export(loaded, options.out, images.calibration, images.validation, settings)
    print(f"{format_decisions(manifest)}\n{LEGEND}\n")
    for name, why in manifest.failed.items():
        print(f"{name}: not written: {why}\n")
    say("comparing every file with Keras")
    report = verify(options.out, images.test, images.part, deployable)
    print(format_report(report))
    judged = images.test or test_images(deployable.class_names)
    known = judge_folder(options.out, settings.files, judged, images.part, options.unknown)
    if manifest.familiarity:
        print(manifest.familiarity.sentence)
    if known and (options.unknown or options.keep):
        print(f"\nWhat is known and what is not:\n{format_familiarity(known.files)}\n")
    photo_options.report_skipped(images.photos)
    documents = ["manifest.json", "verify.json"]
    documents += ["mistakes.json"] * (report.keras.accuracy is not None) + ["known.json"] * bool(known)
    print(f"Written: {options.out}/ (model files, {', '.join(documents)})")
    passed = report.passed and manifest.passed
    if not options.in_steps:
        print(_next_steps(options.out, passed=passed))
    return OK if passed else FAILED


@dataclass(frozen=True)
class _Images:
    """The images of an export; those that are ``None`` are CIFAR-10's.

    Attributes:
        paths: the folders or files of photos that they were read from.
        photos: the labeled photos.
        calibration, validation, test: the images for each purpose.
        part: "test", or "validation" if ``test`` are validation images.
    """

    paths: tuple[Path, ...] = ()
    photos: "Photos | None" = None
    calibration: "Dataset | None" = None
    validation: "Dataset | None" = None
    test: "Dataset | None" = None
    part: str = "test"


def _read(options: argparse.Namespace, source: "Source", deployable: "Deployable") -> _Images:
    """Read the labeled and the unlabeled photos, and divide them by purpose."""
    from pipeline.data import samples, unlabeled
    from pipeline.data.dataset import hold_out

    calibration = validation = photos = None
    folder = options.data if options.unlabeled else photo_options.folder_of(options, source.path)
    if folder:
        photos = photo_options.of_source(options, folder, deployable, source)
        photos.require_training_photos()
        calibration, validation = samples.draw_calibration(photos.training), photos.validation
    test, part = photo_options.evaluation_images(photos)
    if options.unlabeled:
        photo_settings = photo_options.settings_of_source(options, deployable, source)
        calibration = unlabeled.load(options.unlabeled, photo_settings, deployable.class_names)
        if photos is None:
            calibration, validation = hold_out(calibration, UNLABELED_SHARE)
            test, part = validation, "validation"
        calibration = samples.draw_calibration(calibration)
    paths = tuple(filter(None, (folder, options.unlabeled)))
    return _Images(paths, photos, calibration, validation, test, part)


def _next_steps(out: Path, *, passed: bool) -> str:
    """Name the commands that continue with the exported files; there is a bundle only of files that pass."""
    steps = {"report": "one page with all results"}
    if passed:
        steps["bundle"] = "an archive for a board"
    return "\n".join(f"Next: {command_line([name, str(out)])}  # {writes}" for name, writes in steps.items())


def keep(text: str) -> float:
    """Parse an argument that is a share in (0, 1), or 1."""
    return 1.0 if text in {"1", "1.0"} else share(text)


def share(text: str) -> float:
    """Parse an argument that is a share in (0, 1), both ends excluded."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, such as 0.95, got {text[:40]!r}")
    return value
