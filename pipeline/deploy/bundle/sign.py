"""The signature of a bundle's files: OpenSSF model-signing, by a key of one's own."""

from pathlib import Path

from pipeline.errors import BundleBuildError, reason
from runtime.bundle import SIGNATURE
from runtime.system.files import read_regular

MAX_KEY_BYTES = 1 << 20
MAKE_KEY = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem"


def check_key(key: Path) -> None:
    """Find out before the work whether a key can sign.

    Args:
        key: private key in PEM, without password, of the curve P-256.

    Raises:
        BundleBuildError: model-signing is not installed, or the key is of another kind.
    """
    try:
        import model_signing  # noqa: F401 - is it there?
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


def sign(folder: Path, key: Path) -> None:
    """Write ``model.sig`` into ``folder``, over every other file in it.

    Args:
        folder: the unpacked bundle.
        key: as ``check_key`` wants it.

    Raises:
        BundleBuildError: as ``check_key``.
    """
    check_key(key)
    from model_signing import hashing, signing

    files = hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)
    signer = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(files)
    signer.sign(folder, folder / SIGNATURE)
