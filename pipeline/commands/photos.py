"""``python -m pipeline photos``: from a folder of photos to files for a board, and one screen at the end."""

import argparse
import subprocess
import sys
from pathlib import Path

from pipeline import artifacts
from pipeline.commands import FAILED, INTERRUPTED, OK, Commands
from runtime.text import for_terminal

BUNDLES = Path("dist")


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "photos",
        help="all the way from a folder of photos: train, export, bench, report, bundle",
        description="Runs train, export (which verifies), bench, report and bundle in turn, and ends with one screen: "
        "how good, how large, how fast. Begun again, it computes no feature twice.",
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="a folder of photos for each class")
    parser.add_argument(
        "--out", type=Path, default=Path("artifacts/photos"), help="folder to write (default: artifacts/photos)"
    )
    parser.add_argument("--name", help="of the bundle (default: the name of the folder that is written)")
    parser.add_argument("--search", action="store_true", help="search the best int8 configuration, which takes minutes")
    parser.add_argument(
        "--skip-bad",
        action=argparse.BooleanOptionalAction,
        help="leave out photos that cannot be read or that lie in two classes (default: as the last time)",
    )
    parser.add_argument("--none", metavar="DIR", help="photos of anything else, as of train")
    parser.add_argument("--minutes", metavar="M", help="time for training, as of train")
    parser.add_argument("--student", metavar="NAME", help="export a small network that learns from it, as of train")
    parser.add_argument("--side", metavar="N", help="of the images, as of train")
    parser.add_argument("--extra", metavar="DIR", help="photos without labels for the student, as of train")
    parser.add_argument(
        "--no-wheels", action="store_true", help="bundle without packages, for a desk without a network"
    )
    parser.set_defaults(tensorflow=False, run=run)


def steps(options: argparse.Namespace) -> list[list[str]]:
    """The commands in their order, as arguments of ``python -m``."""
    out = str(options.out)
    train = ["train", "--data", str(options.data), "--out", out]
    train += [] if options.skip_bad is None else ["--skip-bad" if options.skip_bad else "--no-skip-bad"]
    for name in ("none", "minutes", "student", "side", "extra"):
        train += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    bundle = ["bundle", out, "--out", str(BUNDLES), "--name", options.name or options.out.resolve().name]
    export = ["export", "--model", str(options.out / artifacts.MODEL_KERAS), "--out", out]
    timed = ["--threads", "1", "--seconds", "1", "--out", str(options.out / artifacts.BENCHMARK)]
    return [
        ["pipeline", *train],
        ["pipeline", *export, *["--quick"] * (not options.search)],
        ["runtime", "bench", out, *timed],  # the files alone: Keras and TensorFlow take minutes
        ["pipeline", "report", out],
        ["pipeline", *bundle, *["--no-wheels"] * options.no_wheels],
    ]


def run(options: argparse.Namespace) -> int:
    """Run it; each step is a process of its own, so that none keeps another's memory."""
    commands, worst = steps(options), OK
    verified = _version(options.out / artifacts.VERIFY)
    for number, command in enumerate(commands, start=1):
        print(f"\n[{number}/{len(commands)}] {command[1]}", file=sys.stderr)
        status = subprocess.run([sys.executable, "-m", *command], check=False).returncode  # noqa: S603 - ours
        if status == OK:
            continue
        judged_now = command[1] == "export" and _version(options.out / artifacts.VERIFY) not in {None, verified}
        if judged_now and status == FAILED:
            worst = FAILED  # a file that is not good enough is shown, and the status says so
        elif command[1] == "bundle":
            print("no bundle was written; the model files are there all the same", file=sys.stderr)
            worst = FAILED
        else:
            return INTERRUPTED if status < 0 else status
    print(f"\n{screen(options.out)}")
    return worst


def _version(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is written; ``None`` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def screen(folder: Path) -> str:
    """How good, how large, how fast, and what to do next, out of the folder's documents."""
    from pipeline.documents.benchmark import Benchmark
    from pipeline.documents.history import History
    from pipeline.documents.verify import Verification
    from pipeline.metrics.significance import share_interval
    from pipeline.report.numbers import duration, size

    history, verified, timed = History.read(folder), Verification.read(folder), Benchmark.read(folder)
    report = folder / artifacts.REPORT_PAGE
    lines = [f"Classes: {', '.join(for_terminal(name) for name in verified.class_names)}"]
    if found := history.out_of_fold:
        lines.append(
            f"Accuracy: {found.accuracy:.1%} on {found.images:,} photos, out of fold (95 % interval {found.low:.1%} to "
            f"{found.high:.1%})"
        )
    fastest = {row.file: latency.p50 for row, latency in reversed(timed.timed) if row.threads == 1}
    lines += ["", f"{'file':<22}{'size':>10}{'accuracy':>10}  on {verified.judged_on:<24}{'one photo here':>16}"]
    for name, row in verified.measured.items():
        accuracy = row.accuracy or 0.0  # photos in class folders are labeled
        low, high = share_interval(accuracy, verified.images)
        lines.append(
            f"{name:<22}{size(row.bytes):>10}{accuracy:>10.1%}  {f'{low:.1%} to {high:.1%}':<27}"
            f"{duration(fastest[name]) if name in fastest else 'not measured':>16}"
        )
    lines += [
        "",
        f"Verified against Keras: {'pass' if verified.passed else f'FAIL, see {report}'}",
        f"Next: look at {report}, which says what would help. The archive in {BUNDLES}/ is for the board:",
        "docs/raspberry-pi.md says how.",
    ]
    return "\n".join(lines)
