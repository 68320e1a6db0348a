"""Check that a bundle is what was built: every file against ``SHA256SUMS``, and all files against a signature.

Nothing out of the bundle is run.
"""

from pathlib import Path

from runtime.bundle.files import NEXT_KEY, SIGNATURE, SUMS, check_files, refuse
from runtime.bundle.signature import signed_digests

__all__ = ["NEXT_KEY", "SIGNATURE", "SUMS", "verify_bundle"]


def verify_bundle(folder: Path, key: Path | None = None) -> int:
    """Check an unpacked bundle.

    Nothing is opened but regular files, and nothing is read before all of them together are within ``MAX_BYTES``.

    Args:
        folder: where it lies.
        key: public key in PEM, an elliptic curve P-256; without it a signature is not looked at.

    Returns:
        How many files it has, all of them as they were built.

    Raises:
        BundleError: a file was changed, is missing or was added, or the signature is missing or not of this key.
            The message is one line, whatever the files are called.
    """
    digests = check_files(folder)
    if key is not None:
        signed = signed_digests(folder, key)
        troubles = {
            "changed since it was signed": {
                name for name in digests if signed.get(name, digests[name]) != digests[name]
            },
            "not signed": digests.keys() - signed.keys(),
            "signed but missing": signed.keys() - digests.keys(),
        }
        refuse(folder, troubles)
    return len(digests)
