"""A small bundle made by hand, signed with openssl as model-signing does, and ``verify-bundle`` on it."""

import base64
import hashlib
import json
import shutil
import subprocess

import pytest

from called import call
from runtime.bundle.signature import PAYLOAD_TYPE, PREDICATE_TYPE

OPENSSL = shutil.which("openssl")


needs_openssl = pytest.mark.skipif(not OPENSSL, reason="openssl is not installed")


FILES = {
    "install.sh": b"exit 0\n",
    "models/model_int8.onnx": b"a model",
    "wheels/edgecnn-1-py3-none-any.whl": b"a wheel",
}


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "model.sig")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_sums(folder):
    (folder / "SHA256SUMS").unlink(missing_ok=True)
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in digests(folder).items()))


def new_key(path):
    subprocess.run([OPENSSL, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True)
    command = [OPENSSL, "ec", "-in", path, "-pubout", "-out", path.with_suffix(".pub")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def sign(folder, key, **changes):
    """Write ``model.sig`` for the folder's present files; ``changes`` replace entries of the statement."""
    resources = [{"name": name, "algorithm": "sha256", "digest": digest} for name, digest in digests(folder).items()]
    statement = {"predicateType": PREDICATE_TYPE, "predicate": {"resources": resources}} | changes
    payload = json.dumps(statement).encode()
    message = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    signature = subprocess.run([OPENSSL, "dgst", "-sha256", "-sign", key], input=message, stdout=-1, check=True).stdout
    encoded = [base64.b64encode(content).decode() for content in (payload, signature)]
    envelope = {"payloadType": PAYLOAD_TYPE, "payload": encoded[0], "signatures": [{"sig": encoded[1]}]}
    (folder / "model.sig").write_text(json.dumps({"dsseEnvelope": envelope}))


def run(*arguments, limit_s=60):
    return call("verify-bundle", *arguments, timeout=limit_s)
