"""Check a bundle: every file against ``SHA256SUMS`` and, with a key, against the digests in the signature.

No code of the bundle is run.
"""

from pathlib import Path

from runtime.bundle.files import NEXT_KEY, SIGNATURE, SUMS, check_files, refuse
from runtime.bundle.signature import signed_digests

__all__ = ["NEXT_KEY", "SIGNATURE", "SUMS", "verify_bundle"]


def verify_bundle(folder: Path, key: Path | None = None) -> int:
    """Check an unpacked bundle.

    Only regular files are opened, and only after their total size has been checked against ``MAX_BYTES``.

    Args:
        folder: folder of the unpacked bundle.
        key: public key in PEM, on the elliptic curve P-256; ``None``: the signature is not checked.

    Returns:
        The number of checked files.

    Raises:
        BundleError: a file was changed, is missing or was added, or the signature is missing or not of this key.
            The message is one line for any file names.
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
