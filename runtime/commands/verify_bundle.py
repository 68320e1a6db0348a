"""``verify-bundle``: check an unpacked bundle's checksums, signature and version, without running anything in it."""

import argparse
from pathlib import Path

from runtime.bundle import NEXT_KEY, SIGNATURE, verify_bundle
from runtime.bundle.version import require_newer
from runtime.commands import FAILED, OK
from runtime.errors import BundleError
from runtime.text import for_terminal

EPILOG = """\
Run it from the installed version to check the next bundle, before you run that bundle's install.sh.

exit status:
  0 PASS: every file is as it was built; with --key, the bundle is signed by that key; with --installed, it is not older
  than that version; 1 FAIL: the line says what is wrong

examples:
  PROGRAM verify-bundle edgecnn-reference-0.1.0-aarch64-py311
  PROGRAM verify-bundle edgecnn-reference-0.1.0-aarch64-py311 --key ~/edgecnn/key.pub --installed ~/edgecnn/current"""


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    parser.add_argument("dir", metavar="DIR", type=Path, help="folder of the unpacked bundle")
    parser.add_argument("--key", metavar="PUBKEY", type=Path, help="require a signature by this public key (PEM)")
    parser.add_argument(
        "--installed", metavar="FOLDER", type=Path, help="refuse a bundle older than the version in this folder"
    )


def run(options: argparse.Namespace) -> int:
    """Check the bundle, and print PASS or FAIL."""
    try:
        files = verify_bundle(options.dir, options.key)
        if options.installed:
            require_newer(options.dir, options.installed, signed=options.key is not None)
    except (BundleError, OSError) as error:
        print(f"FAIL {error}")
        return FAILED
    if options.key:
        signature = f"signed by {for_terminal(str(options.key))}"
        if (options.dir / NEXT_KEY).exists():
            signature += f", and by {NEXT_KEY} from the next bundle on"
    elif (options.dir / SIGNATURE).exists():
        signature = "signed (give --key to check by whom)"
    else:
        signature = "not signed"
    print(f"PASS {for_terminal(str(options.dir))}: {files} files as they were built, {signature}")
    return OK
