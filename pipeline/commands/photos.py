"""``python -m pipeline photos``: train, export, bench, report and bundle for a folder of photos, and sum them up."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.commands import FAILED, INTERRUPTED, OK, Commands, WithExamples, earlier_options, train
from pipeline.commands.bundle import add_python
from runtime.text import first_of, plural

if TYPE_CHECKING:
    from pipeline.documents.history import History
    from pipeline.documents.verify import Verification

BUNDLES = Path("dist")
STEPS = {
    "train": "learn the classes, and measure the accuracy on photos not learned from",
    "export": "write the small files, and compare their answers with the original's",
    "bench": "time each file with each engine of this machine, which takes a minute or two",
    "report": "write all measurements to one page",
    "bundle": "pack the files for the board; packages that are missing here are downloaded",
}
"""For each command, what it does, as printed when it begins."""
EXAMPLES = """\
examples:
  # from photos in a folder for each class to dist/edgecnn-photos-….tar.gz
  python -m pipeline photos photos
  # for a board with Raspberry Pi OS Trixie, without photos that cannot be read
  python -m pipeline photos photos --skip-bad --python 3.13
  # a small network that learns from the large one, with photos of anything else
  python -m pipeline photos photos --student vgg8 --none others"""


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "photos",
        help="do all steps from a folder of photos to a bundle: train, export, bench, report, bundle",
        description="Run train, export (which verifies), bench, report and bundle in turn, print accuracy, size and "
        "latency of each file, and end with the commands that copy the bundle to the board. A later run reuses what "
        "was computed. Exit status: 0 if all steps succeed, 1 if a file fails verification, a measurement fails or no "
        "bundle is written, 2 if the photos or the options are unusable, 130 if interrupted.",
        epilog=EXAMPLES,
        formatter_class=WithExamples,
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="a folder of photos for each class")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("artifacts/photos"),
        metavar="DIR",
        help="folder to write (default: artifacts/photos)",
    )
    parser.add_argument("--name", help="name of the bundle (default: the name of the folder that is written)")
    parser.add_argument("--search", action="store_true", help="search for the best int8 configuration; takes minutes")
    parser.add_argument(
        "--skip-bad",
        action=argparse.BooleanOptionalAction,
        help="leave out photos that cannot be read or that lie in two classes (default: as in the last run)",
    )
    parser.add_argument(
        "--none",
        type=Path,
        metavar="DIR",
        help="photos that show none of the classes; they become one more class, named none",
    )
    parser.add_argument("--minutes", metavar="M", help="time for training (default: 10)")
    parser.add_argument(
        "--student",
        metavar="NAME",
        help="export a small network that learns from the large one: notes, resnet8, vgg8 or separable",
    )
    parser.add_argument(
        "--side",
        metavar="N",
        help="height and width of the images in pixels (default: chosen to fit --minutes; 64 for a student)",
    )
    parser.add_argument("--extra", metavar="DIR", help="photos without labels that the student also learns from")
    parser.add_argument(
        "--no-wheels", action="store_true", help="leave the packages out of the bundle; packing then needs no network"
    )
    add_python(parser)
    parser.set_defaults(tensorflow=False, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what train would refuse before TensorFlow is loaded, and reuse options of an earlier training.

    Raises:
        EdgecnnError: as ``train.check`` does.
    """
    earlier_options.restore_of_training(options)
    parser = argparse.ArgumentParser(prog="python -m pipeline")
    train.add(parser.add_subparsers())
    training = parser.parse_args(steps(options)[0][1:])
    train.check(training)


def steps(options: argparse.Namespace) -> list[list[str]]:
    """List the commands in their order, each as arguments of ``python -m``."""
    out = str(options.out)
    training = ["train", "--in-steps", "--data", str(options.data), "--out", out]
    training += [] if options.skip_bad is None else ["--skip-bad" if options.skip_bad else "--no-skip-bad"]
    for name in ("none", "minutes", "student", "side", "extra"):
        training += [f"--{name}", str(getattr(options, name))] if getattr(options, name) else []
    bundle = ["bundle", out, "--out", str(BUNDLES), "--name", options.name or options.out.resolve().name]
    bundle += ["--python", options.python, *["--no-wheels"] * options.no_wheels]
    export = ["export", "--in-steps", "--model", str(options.out / artifacts.MODEL_KERAS), "--out", out]
    timed = ["--threads", "1", "--seconds", "1", "--out", str(options.out / artifacts.BENCHMARK)]
    return [
        ["pipeline", *training],
        ["pipeline", *export, *["--quick"] * (not options.search)],
        ["runtime", "bench", out, *timed],  # the files alone: Keras and TensorFlow take minutes
        ["pipeline", "report", out],
        ["pipeline", *bundle],
    ]


def run(options: argparse.Namespace) -> int:
    """Run the steps, each in a process of its own, so that its memory is freed at its end."""
    commands, worst = steps(options), OK
    verified = _version(options.out / artifacts.VERIFY)
    for number, command in enumerate(commands, start=1):
        if command[1] == "bundle":
            print(f"\n{screen(options.out)}", flush=True)
        print(f"\n[{number}/{len(commands)}] {command[1]}: {STEPS[command[1]]}", file=sys.stderr)
        status = subprocess.run([sys.executable, "-m", *command], check=False).returncode  # noqa: S603 - ours
        if status == OK:
            continue
        judged_now = command[1] == "export" and _version(options.out / artifacts.VERIFY) not in {None, verified}
        if judged_now and status == FAILED:
            worst = FAILED  # go on: the report shows the file that failed, and the exit status tells of it
        elif command[1] == "bundle":
            print("no bundle was written; the model files were", file=sys.stderr)
            worst = FAILED
        else:
            return INTERRUPTED if status < 0 else status
    return worst


def _version(path: Path) -> tuple[int, int] | None:
    """Return the file's time of change (ns) and inode, which differ after each write; ``None`` if it is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def screen(folder: Path) -> str:
    """Format accuracy, size and latency of each file, read from the folder's documents; 80 columns wide."""
    from pipeline.documents.base import TOO_FEW
    from pipeline.documents.benchmark import Benchmark
    from pipeline.documents.history import History
    from pipeline.documents.verify import Verification
    from pipeline.report.numbers import duration, size

    verified, timed = Verification.read(folder), Benchmark.read(folder)
    report = folder / artifacts.REPORT_PAGE
    fastest = {row.file: latency.p50 for row, latency in reversed(timed.timed) if row.threads == 1}
    lines = [
        f"Classes: {first_of(verified.class_names)}",
        *_accuracy(History.read(folder), verified),
        "",
        f"{'file':<24}{'size':>12}{'same answer':>14}{'one photo here':>18}",
    ]
    for name, row in verified.measured.items():
        time = duration(fastest[name]) if name in fastest else "not measured"
        lines.append(f"{name:<24}{size(row.bytes):>12}{verified.share(row.agreement, 1):>14}{time:>18}")
    verdict = ("pass" if verified.has_enough_images else TOO_FEW) if verified.passed else f"FAIL, see {report}"
    return "\n".join(
        [
            *lines,
            f"Same answer: as the original's, on {verified.judged_on}. Verdict: {verdict}.",
            "",
            f"Look at {report} in a browser: it says what would help.",
        ]
    )


def _accuracy(history: "History", verified: "Verification") -> list[str]:
    """Format the out-of-fold accuracy if the training measured one, and the Keras model's on held-out photos."""
    from pipeline.documents.shares import interval_of, percent_of
    from pipeline.metrics.significance import share_interval

    accuracy, found = verified.keras.accuracy, history.out_of_fold
    checked = ""
    if accuracy is not None:
        interval = interval_of(share_interval(accuracy, verified.images), verified.images, 1)
        on = f"on {verified.judged_on}" if verified.has_enough_images else f"{verified.part} images"
        checked = f"{verified.share(accuracy, 1)} {on} (95 % interval {interval})"
    if found is None:
        return [f"Accuracy: {checked}"] if checked else []
    interval = f"95 % interval {interval_of((found.low, found.high), found.images, 1)}"
    return [
        f"Accuracy: {percent_of(found.accuracy, found.images, 1)} on {plural(found.images, 'photo')} ({interval}),",
        "          each judged by a network that did not learn from it",
        *[f"Held out: {checked}"] * (bool(checked) and verified.has_enough_images),
    ]
