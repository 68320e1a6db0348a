"""Sign a bundle's files with OpenSSF model-signing and the user's own key."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BundleBuildError, reason
from runtime.bundle import SIGNATURE
from runtime.system.files import read_regular

MAX_KEY_BYTES = 1 << 20
MAKE_KEY = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
MAKE_PUBLIC = "openssl ec -in key.pem -pubout -out key.pub"


@dataclass(frozen=True)
class SigningKey:
    """A key that can sign: the name of its file, and the SHA-256 of its public key (DER)."""

    name: str
    sha256: str


def check_key(key: Path) -> SigningKey:
    """Check that a key can sign, before the bundle is built.

    Args:
        key: private key in PEM, without password, of the curve P-256.

    Raises:
        BundleBuildError: model-signing is not installed, or the key is of another kind.
    """
    try:
        import model_signing  # noqa: F401 - checks that it is installed
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise BundleBuildError(f"signing needs model-signing ({error}): pip install 'edgecnn[sign]'") from error
    try:
        private = load_pem_private_key(read_regular(key, MAX_KEY_BYTES), None)
    except (OSError, TypeError, ValueError) as error:
        raise BundleBuildError(
            f"{key}: {reason(error)}; expected a private key in PEM without password: {MAKE_KEY}"
        ) from error
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise BundleBuildError(f"{key}: expected an elliptic curve key, P-256: {MAKE_KEY}")
    return SigningKey(key.stem, _digest(private.public_key()))


def next_key(path: Path, present_sha256: str) -> bytes:
    """Read the public key, in PEM, of the key that signs later bundles.

    Args:
        path: its file.
        present_sha256: of the public key of this bundle's signature, see ``check_key``.

    Raises:
        BundleBuildError: it is not a public key in PEM of the curve P-256, or it is the present key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        public = load_pem_public_key(read_regular(path, MAX_KEY_BYTES))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BundleBuildError(
            f"{path}: {reason(error)}; expected the next public key in PEM: {MAKE_PUBLIC}"
        ) from error
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        raise BundleBuildError(f"{path}: expected a public key of the curve P-256: {MAKE_KEY}; {MAKE_PUBLIC}")
    if _digest(public) == present_sha256:
        raise BundleBuildError(f"{path}: already signs this bundle; give another key, or leave it out")
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _digest(public: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sign(folder: Path, key: Path) -> None:
    """Write ``model.sig`` into ``folder``, over every other file in it.

    Args:
        folder: the unpacked bundle.
        key: private key, see ``check_key``.

    Raises:
        BundleBuildError: see ``check_key``.
    """
    check_key(key)
    from model_signing import hashing, signing

    files = hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)
    signer = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(files)
    signer.sign(folder, folder / SIGNATURE)
