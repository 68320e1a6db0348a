"""Is a bundle what was built? Every file is held against ``SHA256SUMS``, and all of them against a signature.

The signature is that of OpenSSF model-signing: a Sigstore bundle of JSON with a DSSE envelope, in it an in-toto
statement that lists the SHA-256 of each file (github.com/sigstore/model-transparency,
github.com/secure-systems-lab/dsse). The elliptic curve is left to the ``openssl`` program, which a board has;
nothing out of the bundle is run.
"""

import base64
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from os import DirEntry, scandir
from pathlib import Path
from typing import Any

from runtime.errors import BundleError

SUMS, SIGNATURE = "SHA256SUMS", "model.sig"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
MAX_TEXT_BYTES = 1 << 20
"""The most that the list of digests or the signature may hold."""
SHOWN = 5
"""Files of each kind of trouble that a message names."""

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*)")


def verify_bundle(folder: Path, key: Path | None = None) -> int:
    """Check an unpacked bundle.

    Args:
        folder: where it lies.
        key: public key in PEM, an elliptic curve P-256; without it a signature is not looked at.

    Returns:
        How many files it has, all of them as they were built.

    Raises:
        BundleError: a file was changed, is missing or was added, or the signature is missing or not of this key.
    """
    digests = _check_files(folder)
    if key is not None:
        signed = _signed_digests(folder, key)
        troubles = {
            "changed since it was signed": {
                name for name in digests if signed.get(name, digests[name]) != digests[name]
            },
            "not signed": digests.keys() - signed.keys(),
            "signed but missing": signed.keys() - digests.keys(),
        }
        _refuse(folder, troubles)
    return len(digests)


def _check_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the signature, by name; all are as ``SHA256SUMS`` lists them."""
    found: set[str] = set()
    strange: set[str] = set()
    for name, entry in _walk(folder):
        (found if entry.is_file(follow_symlinks=False) else strange).add(name)
    listed = _listed(folder)
    here = {name: _sha256(folder / name) for name in sorted(found - {SIGNATURE})}
    troubles = {
        "no plain file": strange,
        "missing": listed.keys() - here.keys() - strange,
        "added": here.keys() - listed.keys() - {SUMS},
        "changed": {name for name in listed if here.get(name, listed[name]) != listed[name]},
    }
    _refuse(folder, troubles)
    return here


def _walk(folder: Path, above: str = "") -> Iterator[tuple[str, DirEntry[str]]]:
    """All that lies in a folder and below; links are named, and not followed."""
    try:
        with scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(folder / entry.name, f"{above}{entry.name}/")
                else:
                    yield above + entry.name, entry
    except OSError as error:
        raise BundleError(f"{folder}: {error.strerror}; expected the folder that a bundle unpacks to") from error


def _listed(folder: Path) -> dict[str, str]:
    lines = _read(folder / SUMS).decode(errors="replace").splitlines()
    matches = [_LINE.fullmatch(line) for line in lines]
    digests = {match[2]: match[1] for match in matches if match and not {".", ".."} & set(match[2].split("/"))}
    if not lines or len(digests) < len(lines) or {SUMS, SIGNATURE} & digests.keys():
        bad = next(
            (line for line, match in zip(lines, matches, strict=True) if not match or match[2] not in digests), ""
        )
        raise BundleError(
            f"{folder / SUMS}: expected a SHA-256 and a plain relative path a line, each once, got {bad[:120]!r}: "
            "build the bundle anew"
        )
    return digests


def _signed_digests(folder: Path, key: Path) -> dict[str, str]:
    """The SHA-256 of each file as the signed statement has it."""
    path = folder / SIGNATURE
    if not path.exists():
        raise BundleError(f"{folder}: not signed, but a key is required: build it with SIGN_KEY")
    try:
        envelope = json.loads(_read(path))["dsseEnvelope"]
        payload, signature = (
            base64.b64decode(text, validate=True) for text in (envelope["payload"], envelope["signatures"][0]["sig"])
        )
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {envelope['payloadType']!r}")
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BundleError(f"{path}: not a signature of model-signing ({error}): build the bundle anew") from error
    # Pre-authentication encoding of DSSE: the type and the payload, each with its length.
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    if not _openssl_accepts(key, message, signature):
        raise BundleError(f"{path}: not signed with the key {key}: take the bundle's own public key, or another bundle")
    try:
        statement: dict[str, Any] = json.loads(payload)
        if statement["predicateType"] != PREDICATE_TYPE:
            raise ValueError(f"it is {statement['predicateType']!r}")
        resources = statement["predicate"]["resources"]
        return {item["name"]: item["digest"] for item in resources if item["algorithm"] == "sha256"}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BundleError(f"{path}: its statement does not list files ({error}): build the bundle anew") from error


def _openssl_accepts(key: Path, message: bytes, signature: bytes) -> bool:
    if not key.is_file():
        raise BundleError(f"{key}: no such file; expected a public key in PEM")
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        command = ["openssl", "dgst", "-sha256", "-verify", str(key.absolute()), "-signature", file.name]
        try:
            done = subprocess.run(command, input=message, capture_output=True, check=False)  # noqa: S603 - no shell
        except FileNotFoundError as error:
            raise BundleError("openssl is not installed, which checks signatures: sudo apt install openssl") from error
    if b"key" in done.stderr.lower() and b"verif" not in done.stdout.lower():
        raise BundleError(f"{key}: openssl cannot read it; expected a public key in PEM, of the curve P-256")
    return done.returncode == 0


def _refuse(folder: Path, troubles: dict[str, set[str]]) -> None:
    told = [
        f"{trouble}: {', '.join(sorted(names)[:SHOWN])}{', …' if len(names) > SHOWN else ''}"
        for trouble, names in troubles.items()
        if names
    ]
    if told:
        raise BundleError(f"{folder} is not as it was built: {'; '.join(told)}. Copy it again, or do not trust it")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; expected a readable file") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; expected a file of an unpacked bundle") from error
    if len(content) > MAX_TEXT_BYTES:
        raise BundleError(f"{path}: larger than {MAX_TEXT_BYTES} bytes, the most that is read")
    return content
