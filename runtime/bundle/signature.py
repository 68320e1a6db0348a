"""Check a bundle's signature: OpenSSF model-signing with a private key.

``model.sig`` is a Sigstore bundle in JSON. Its DSSE envelope contains an in-toto statement that lists the SHA-256 of
each file (github.com/sigstore/model-transparency, github.com/secure-systems-lab/dsse). The program ``openssl``, which
boards have, checks the elliptic-curve signature.
"""

import base64
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from runtime.bundle.files import MAX_TEXT_BYTES, SIGNATURE, read
from runtime.errors import BundleError
from runtime.system.files import read_regular
from runtime.text import for_terminal

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"


def signed_digests(folder: Path, key: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in the signed statement, by name.

    Raises:
        BundleError: there is no signature, it is damaged, or it is not of this key.
    """
    path = folder / SIGNATURE
    shown = for_terminal(str(path))
    if not path.exists():
        raise BundleError(f"{for_terminal(str(folder))}: not signed, but a key is required: build it with SIGN_KEY")
    content = read(path)
    try:
        envelope = json.loads(content)["dsseEnvelope"]
        payload, signature = (
            base64.b64decode(text, validate=True) for text in (envelope["payload"], envelope["signatures"][0]["sig"])
        )
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {envelope['payloadType']!r}")
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BundleError(
            f"{shown}: not a signature of model-signing ({for_terminal(str(error))}): build the bundle again"
        ) from error
    # Pre-authentication encoding of DSSE: the type and the payload, each with its length.
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    if not _openssl_accepts(key, message, signature):
        raise BundleError(
            f"{shown}: not signed with the key {for_terminal(str(key))}: take the bundle's own public key, or "
            "another bundle"
        )
    try:
        statement: dict[str, Any] = json.loads(payload)
        if statement["predicateType"] != PREDICATE_TYPE:
            raise ValueError(f"it is {statement['predicateType']!r}")
        resources = statement["predicate"]["resources"]
        return {str(item["name"]): item["digest"] for item in resources if item["algorithm"] == "sha256"}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BundleError(
            f"{shown}: its statement does not list files ({for_terminal(str(error))}): build the bundle again"
        ) from error


def _openssl_accepts(key: Path, message: bytes, signature: bytes) -> bool:
    shown = for_terminal(str(key))
    try:
        read_regular(key, MAX_TEXT_BYTES)
    except OSError as error:
        raise BundleError(f"{shown}: {error.strerror}; expected a public key in PEM") from error
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.write(signature)
            file.flush()
            command = ["openssl", "dgst", "-sha256", "-verify", str(key.absolute()), "-signature", file.name]
            done = subprocess.run(command, input=message, capture_output=True, check=False)  # noqa: S603 - no shell
    except FileNotFoundError as error:
        raise BundleError("openssl, which checks signatures, is not installed: sudo apt install openssl") from error
    except OSError as error:
        raise BundleError(f"the signature cannot be checked with openssl: {for_terminal(str(error))}") from error
    if b"key" in done.stderr.lower() and b"verif" not in done.stdout.lower():
        raise BundleError(f"{shown}: openssl cannot read it; expected a public key in PEM, of the curve P-256")
    return done.returncode == 0
