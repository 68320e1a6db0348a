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
from dataclasses import dataclass
from os import DirEntry, scandir
from pathlib import Path, PurePosixPath
from typing import Any

from runtime.errors import BundleError
from runtime.system.files import open_regular, read_regular
from runtime.text import for_terminal

SUMS, SIGNATURE = "SHA256SUMS", "model.sig"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
MAX_BYTES = 1 << 30
"""The most that all files of a bundle may hold together. install.sh has the same bound."""
MAX_FILES = 10_000
MAX_DEPTH = 8
"""The most folders inside each other; a bundle has one."""
MAX_TEXT_BYTES = 1 << 20
"""The most that the list of digests, the signature or a key may hold."""
SHOWN = 5
"""Files of each kind of trouble that a message names."""
SHOWN_CHARACTERS = 80
"""The most characters of an unusual name that a message shows."""

_PLAIN_NAME = r"[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*"
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PLAIN_NAME})")


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


def one_line(text: object) -> str:
    """``text`` as it is, or escaped where a character of it could end the line or steer a terminal."""
    return for_terminal(str(text))


@dataclass(frozen=True)
class _Contents:
    """What lies in a folder and below, by paths relative to it."""

    files: dict[str, int]
    """Regular files and how many bytes each holds."""
    folders: set[str]
    others: set[str]
    """Links, pipes, sockets and devices."""

    def __len__(self) -> int:
        return len(self.files) + len(self.folders) + len(self.others)


def _check_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the signature, by name; all are as ``SHA256SUMS`` lists them."""
    found = _contents(folder)
    listed = _listed(folder)
    needed_folders = {str(parent) for name in listed for parent in PurePosixPath(name).parents}
    here = {name: _sha256(folder / name) for name in sorted(found.files.keys() - {SIGNATURE})}
    troubles = {
        "not a regular file": found.others,
        "missing": listed.keys() - here.keys() - found.others,
        "added": (here.keys() - listed.keys() - {SUMS}) | (found.folders - needed_folders),
        "changed": {name for name in listed if here.get(name, listed[name]) != listed[name]},
    }
    _refuse(folder, troubles)
    return here


def _contents(folder: Path) -> _Contents:
    """Look at everything in a folder without opening a file or following a link."""
    found = _Contents({}, set(), set())
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for entry in _entries(folder / above):
            name = above + entry.name
            if entry.is_dir(follow_symlinks=False):
                found.folders.add(name)
                waiting.append(f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                found.files[name] = entry.stat(follow_symlinks=False).st_size
            else:
                found.others.add(name)
            if len(found) > MAX_FILES or name.count("/") > MAX_DEPTH:
                raise BundleError(
                    f"{one_line(folder)}: more than {MAX_FILES:,} files, or folders nested deeper than {MAX_DEPTH}; "
                    "expected the folder that a bundle unpacks to"
                )
    total = sum(found.files.values())
    if total > MAX_BYTES:
        largest = max(found.files, key=found.files.__getitem__)
        raise BundleError(
            f"{one_line(folder)}: its files hold {total:,} bytes, {found.files[largest]:,} of them {_quoted(largest)}; "
            f"expected no more than {MAX_BYTES:,} together: build it with fewer files, or do not trust it"
        )
    return found


def _entries(folder: Path) -> Iterator[DirEntry[str]]:
    try:
        with scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise BundleError(
            f"{one_line(folder)}: {error.strerror}; expected the folder that a bundle unpacks to"
        ) from error


def _listed(folder: Path) -> dict[str, str]:
    """The digests of ``SHA256SUMS`` by name; its lines end as sha256sum ends them."""
    lines = _read(folder / SUMS).decode(errors="replace").removesuffix("\n").split("\n")
    digests: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        plain = match and not {".", ".."} & set(match[2].split("/")) and match[2] not in {SUMS, SIGNATURE}
        if not match or not plain or match[2] in digests:
            raise BundleError(
                f"{one_line(folder / SUMS)}: expected a SHA-256 and a plain relative path a line, each once, "
                f"got {line[:120]!a}: build the bundle anew"
            )
        digests[match[2]] = match[1]
    return digests


def _signed_digests(folder: Path, key: Path) -> dict[str, str]:
    """The SHA-256 of each file as the signed statement has it."""
    path = folder / SIGNATURE
    shown = one_line(path)
    if not path.exists():
        raise BundleError(f"{one_line(folder)}: not signed, but a key is required: build it with SIGN_KEY")
    try:
        envelope = json.loads(_read(path))["dsseEnvelope"]
        payload, signature = (
            base64.b64decode(text, validate=True) for text in (envelope["payload"], envelope["signatures"][0]["sig"])
        )
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {envelope['payloadType']!r}")
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BundleError(
            f"{shown}: not a signature of model-signing ({one_line(error)}): build the bundle anew"
        ) from error
    # Pre-authentication encoding of DSSE: the type and the payload, each with its length.
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    if not _openssl_accepts(key, message, signature):
        raise BundleError(
            f"{shown}: not signed with the key {one_line(key)}: take the bundle's own public key, or another bundle"
        )
    try:
        statement: dict[str, Any] = json.loads(payload)
        if statement["predicateType"] != PREDICATE_TYPE:
            raise ValueError(f"it is {statement['predicateType']!r}")
        resources = statement["predicate"]["resources"]
        return {str(item["name"]): item["digest"] for item in resources if item["algorithm"] == "sha256"}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BundleError(
            f"{shown}: its statement does not list files ({one_line(error)}): build the bundle anew"
        ) from error


def _openssl_accepts(key: Path, message: bytes, signature: bytes) -> bool:
    shown = one_line(key)
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
        raise BundleError("openssl is not installed, which checks signatures: sudo apt install openssl") from error
    except OSError as error:
        raise BundleError(f"the signature cannot be checked with openssl: {one_line(error)}") from error
    if b"key" in done.stderr.lower() and b"verif" not in done.stdout.lower():
        raise BundleError(f"{shown}: openssl cannot read it; expected a public key in PEM, of the curve P-256")
    return done.returncode == 0


def _refuse(folder: Path, troubles: dict[str, set[str]]) -> None:
    told = [
        f"{trouble}: {', '.join(map(_quoted, sorted(names)[:SHOWN]))}{', …' if len(names) > SHOWN else ''}"
        for trouble, names in troubles.items()
        if names
    ]
    if told:
        raise BundleError(
            f"{one_line(folder)} is not as it was built: {'; '.join(told)}. Copy it again, or do not trust it"
        )


def _quoted(name: str) -> str:
    """A name as bundles have them as it is, any other in quotes, escaped and cut."""
    if re.fullmatch(_PLAIN_NAME, name) and len(name) <= SHOWN_CHARACTERS:
        return name
    return ascii(name[:SHOWN_CHARACTERS]) + "…" * (len(name) > SHOWN_CHARACTERS)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    left = MAX_BYTES
    try:
        with open_regular(path) as file:
            while left >= 0 and (block := file.read(1 << 20)):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise BundleError(f"{one_line(path)}: {error.strerror}; expected a readable file") from error
    if left < 0:
        raise BundleError(f"{one_line(path)}: grows while it is read; expected a file that nobody writes")
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_TEXT_BYTES)
    except OSError as error:
        raise BundleError(f"{one_line(path)}: {error.strerror}; expected a file of an unpacked bundle") from error
