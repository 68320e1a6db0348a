"""``verify-bundle``: is an unpacked bundle what was built, before anything of it is run?"""

import argparse
from pathlib import Path

from runtime.bundle import SIGNATURE, one_line, verify_bundle
from runtime.commands import FAILED, OK
from runtime.errors import BundleError

EPILOG = """\
Run it from an installed version on the next one, before that one's install.sh.

exit status:
  0 PASS: every file is as it was built, and with --key signed by that key; 1 FAIL: the line says which is not

examples:
  PROGRAM verify-bundle edgecnn-reference-0.1.0-aarch64
  PROGRAM verify-bundle edgecnn-reference-0.1.0-aarch64 --key ~/edgecnn/key.pub"""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("dir", metavar="DIR", type=Path, help="the folder that a bundle unpacks to")
    parser.add_argument("--key", metavar="PUBKEY", type=Path, help="require a signature of this key (PEM)")


def run(options: argparse.Namespace) -> int:
    """Say whether it is whole."""
    try:
        files = verify_bundle(options.dir, options.key)
    except (BundleError, OSError) as error:
        print(f"FAIL {error}")
        return FAILED
    if options.key:
        signature = f"signed by {one_line(options.key)}"
    elif (options.dir / SIGNATURE).exists():
        signature = "signed, by whom --key would tell"
    else:
        signature = "not signed"
    print(f"PASS {one_line(options.dir)}: {files} files as they were built, {signature}")
    return OK
