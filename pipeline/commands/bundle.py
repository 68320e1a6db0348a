"""``python -m pipeline bundle``."""

import argparse
from pathlib import Path

from pipeline import artifacts
from pipeline.commands import OK, Commands, command_line
from runtime.engines.registry import OWN
from runtime.text import plural

ENGINES = OWN[1:]
"""Engines that ``--engines`` offers: all but the first, ONNX Runtime, which every bundle contains."""
SYSTEMS = {
    "3.11": "Raspberry Pi OS and Debian Bookworm (of 2023)",
    "3.12": "Ubuntu 24.04",
    "3.13": "Raspberry Pi OS and Debian Trixie (of 2025)",
}
"""Python version of a board -> the systems that have it."""
BOOKWORM, TRIXIE = "3.11", "3.13"
BOARD = "pi@raspberrypi.local"
"""User and host name of the board in the commands that are printed."""
NO_WHEELS = """
It brings none of the packages that the runtime needs: a board that does not have them from an earlier version needs a
network, from which install.sh downloads numpy, pillow, onnxruntime and the others in requirements.txt."""
"""What is said of a bundle without wheels."""
ONE_FILE = """
Which file is fastest depends on the processor: --artifacts packs further ones, and python -m runtime tune on the board
takes the fastest."""
"""What is said of a bundle with a single model file."""
EXTRAS = ("heif", "mqtt", "serve")
"""Optional dependencies of the project that a device may use, engines excepted."""


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "bundle",
        help="pack model files, the runtime and its wheels for a board that has no network",
        description="Write edgecnn-NAME-VERSION-MACHINE-pyPYTHON.tar.gz, which installs without network or root.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="folder to write (default: dist)")
    parser.add_argument("--name", help="name of the bundle (default: the folder's name)")
    parser.add_argument(
        "--artifacts", nargs="+", default=[artifacts.INT8_ONNX], metavar="FILE",
        help=f"model files of the folder to pack (default: {artifacts.INT8_ONNX}, the smallest that needs no "
        "further engine)",
    )  # fmt: skip
    add_python(parser)
    parser.add_argument(
        "--machine",
        default="aarch64",
        type=_machine,
        choices=("aarch64", "x86_64"),
        help="the board's processor (default: aarch64); for 32-bit systems onnxruntime has no wheels",
    )
    parser.add_argument(
        "--engines", nargs="+", default=[], choices=ENGINES, metavar="NAME",
        help=f"engines to pack besides those that the model files need: {', '.join(ENGINES)}",
    )  # fmt: skip
    parser.add_argument(
        "--extras", nargs="+", default=[], choices=EXTRAS, metavar="NAME",
        help="further packages to pack: mqtt (paho-mqtt, for --mqtt), serve (waitress, for the page), heif (HEIC "
        "photos)",
    )  # fmt: skip
    parser.add_argument(
        "--no-wheels", action="store_true",
        help="leave out the wheels: the board has them from the previous version, or downloads them",
    )  # fmt: skip
    parser.add_argument("--sign-key", type=Path, metavar="KEY", help="sign with this private key (PEM, curve P-256)")
    parser.add_argument(
        "--next-key", type=Path, metavar="PUBKEY",
        help="public key (PEM): boards that have installed this bundle accept later ones only if signed with this key",
    )  # fmt: skip
    parser.add_argument(
        "--bundle-version", type=int, metavar="N",
        help="whole number that grows from bundle to bundle: boards refuse an older one (default: the time of "
        "SOURCE_DATE_EPOCH where it is set, else of the build where it is signed, else none)",
    )  # fmt: skip
    parser.add_argument(
        "--acceptance", type=Path, metavar="DIR",
        help="pack these labeled photos (a folder for each class; 200 photos and 20 MB at most): the board keeps its "
        "previous version if it classifies fewer of them correctly than this machine",
    )  # fmt: skip
    parser.set_defaults(tensorflow=False, run=run)


def add_python(parser: argparse.ArgumentParser) -> None:
    """Add ``--python``, which ``photos`` passes on to this command."""
    parser.add_argument(
        "--python", default=BOOKWORM, choices=tuple(SYSTEMS),
        help=f"the board's Python: {BOOKWORM} in Raspberry Pi OS Bookworm (default), {TRIXIE} in Trixie",
    )  # fmt: skip


def _machine(text: str) -> str:
    if text.startswith("armv"):
        raise argparse.ArgumentTypeError(
            f"onnxruntime has no wheels for {text}: put the 64-bit Raspberry Pi OS on the board and build for aarch64"
        )
    return text


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.deploy.bundle import Settings, bundle
    from pipeline.deploy.bundle.wheels import Target

    settings = Settings(
        name=options.name or options.dir.resolve().name,
        target=Target(options.python, options.machine),
        artifacts=tuple(options.artifacts),
        engines=tuple(options.engines),
        extras=tuple(options.extras),
        wheels=not options.no_wheels,
        sign_key=options.sign_key,
        version=options.bundle_version,
        acceptance=options.acceptance,
        next_key=options.next_key,
    )
    archive = bundle(options.dir, options.out, settings)
    content = _content(archive) + NO_WHEELS * options.no_wheels + ONE_FILE * (len(settings.artifacts) == 1)
    print(f"{content}\n\n{_which_systems(options)}\n\n{_next_steps(archive, signed=bool(options.sign_key))}")
    return OK


def _content(archive: Path) -> str:
    """List the archive's content in a few lines."""
    import tarfile
    import textwrap
    from collections import Counter

    with tarfile.open(archive) as opened:
        names = [Path(member.name) for member in opened if member.isfile()]
    places = Counter(name.parts[1] for name in names)
    models = [name.name for name in names if name.parts[1] == "models"]
    wheels = ", ".join(sorted(name.name.partition("-")[0] for name in names if name.parts[1] == "wheels"))
    extra = [plural(places["acceptance"], "acceptance photo")] * bool(places["acceptance"])
    extra += ["a signature"] * bool(places["model.sig"])
    content = archive.read_bytes()
    return "\n".join(
        [
            f"Written: {archive} ({len(content) / 1e6:.1f} MB)",
            f"SHA-256: {artifacts.sha256(content)}",
            "In it:",
            f"  models/   {', '.join(models)}",
            textwrap.fill(f"  wheels/   {wheels}", 80, subsequent_indent=" " * 12),
            f"  {', '.join(['install.sh, systemd units for watch and serve', *extra])}",
        ]
    )


def _which_systems(options: argparse.Namespace) -> str:
    """Name Python and systems of the archive, and the command that packs an archive for the other Python."""
    other = TRIXIE if options.python != TRIXIE else BOOKWORM
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--python")
    _, kept = own.parse_known_args(list(options.typed))
    return "\n".join(
        [
            f"It is for Python {options.python}, as in {SYSTEMS[options.python]}; a board with another is refused.",
            f"This prints the board's Python: ssh {BOARD} python3 --version",
            f"For Python {other}, as in {SYSTEMS[other]}:",
            f"  {command_line([*kept, '--python', other])}",
        ]
    )


def _next_steps(archive: Path, *, signed: bool) -> str:
    """Name the commands that copy the archive to a board and install it."""
    folder = archive.name.removesuffix(".tar.gz")
    more = (
        "docs/raspberry-pi.md says more."
        if not signed
        else "It is signed: docs/raspberry-pi.md says how the key gets there."
    )
    return "\n".join(
        [
            f"Next, with your board's user and name instead of {BOARD}:",
            f"  scp {archive} {BOARD}:",
            f"  ssh {BOARD} 'tar xzf {archive.name} && {folder}/install.sh'",
            more,
        ]
    )
