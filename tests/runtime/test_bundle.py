"""``verify-bundle`` on a small bundle made by hand, signed with openssl as model-signing does."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from runtime import EdgecnnError
from runtime.bundle import PAYLOAD_TYPE, PREDICATE_TYPE, verify_bundle
from runtime.errors import BundleError

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


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "edgecnn-test"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_sums(folder)
    return folder


@pytest.fixture
def key(tmp_path):
    """A private key; its public half lies beside it."""
    path = tmp_path / "key.pem"
    new_key(path)
    return path


def new_key(path):
    subprocess.run([OPENSSL, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True)
    command = [OPENSSL, "ec", "-in", path, "-pubout", "-out", path.with_suffix(".pub")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def sign(folder, key, **changes):
    """``model.sig`` over what the folder holds now; ``changes`` go into the statement."""
    resources = [{"name": name, "algorithm": "sha256", "digest": digest} for name, digest in digests(folder).items()]
    statement = {"predicateType": PREDICATE_TYPE, "predicate": {"resources": resources}} | changes
    payload = json.dumps(statement).encode()
    message = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    signature = subprocess.run([OPENSSL, "dgst", "-sha256", "-sign", key], input=message, stdout=-1, check=True).stdout
    encoded = [base64.b64encode(content).decode() for content in (payload, signature)]
    envelope = {"payloadType": PAYLOAD_TYPE, "payload": encoded[0], "signatures": [{"sig": encoded[1]}]}
    (folder / "model.sig").write_text(json.dumps({"dsseEnvelope": envelope}))


def test_a_whole_bundle_passes(bundle):
    assert verify_bundle(bundle) == len(FILES) + 1


TAMPERED = {
    "changed: models/model_int8.onnx": lambda folder: (folder / "models/model_int8.onnx").write_bytes(b"another"),
    "missing: install.sh": lambda folder: (folder / "install.sh").unlink(),
    "added: wheels/more.whl": lambda folder: (folder / "wheels/more.whl").write_bytes(b""),
    "added: .hidden": lambda folder: (folder / ".hidden").write_bytes(b""),
    "no plain file: install.sh": lambda folder: relink(folder / "install.sh", "/etc/passwd"),
    "no plain file: models": lambda folder: relink(folder / "models", "/etc"),
    "no plain file: pipe": lambda folder: os.mkfifo(folder / "pipe"),
}


def relink(path, target):
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("trouble", TAMPERED)
def test_a_tampered_bundle_is_refused_by_the_file_s_name(bundle, trouble):
    TAMPERED[trouble](bundle)
    with pytest.raises(BundleError) as caught:
        verify_bundle(bundle)
    assert trouble in str(caught.value)


@pytest.mark.parametrize("name", ["../key", "/etc/passwd", "models/../../key", "./install.sh", "a\tb", "models//x", ""])
def test_a_list_that_names_what_lies_elsewhere_is_refused(bundle, name):
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(BundleError, match="plain relative path"):
        verify_bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * (1 << 21)], ids=["empty", "binary", "large"])
def test_a_list_that_is_none_is_refused(bundle, content):
    (bundle / "SHA256SUMS").write_bytes(content)
    with pytest.raises(BundleError, match="SHA256SUMS"):
        verify_bundle(bundle)


def test_what_is_no_bundle_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(EdgecnnError, match="bundle"):
            verify_bundle(folder)


@needs_openssl
def test_a_signed_bundle_passes_with_its_own_key_alone(bundle, key, tmp_path):
    sign(bundle, key)
    assert verify_bundle(bundle, key.with_suffix(".pub")) == len(FILES) + 1
    new_key(tmp_path / "other.pem")
    with pytest.raises(BundleError, match=r"not signed with the key .*other\.pub"):
        verify_bundle(bundle, tmp_path / "other.pub")


@needs_openssl
def test_a_bundle_that_is_whole_but_not_what_was_signed_is_refused(bundle, key):
    sign(bundle, key)
    signature = (bundle / "model.sig").read_bytes()
    (bundle / "models/model_int8.onnx").write_bytes(b"another")
    (bundle / "install.sh").unlink()
    (bundle / "wheels/more.whl").write_bytes(b"")
    (bundle / "model.sig").unlink()
    write_sums(bundle)
    (bundle / "model.sig").write_bytes(signature)
    verify_bundle(bundle)
    with pytest.raises(BundleError) as caught:
        verify_bundle(bundle, key.with_suffix(".pub"))
    for trouble in ("changed since it was signed: SHA256SUMS, models/model_int8.onnx",
                    "not signed: wheels/more.whl", "signed but missing: install.sh"):  # fmt: skip
        assert trouble in str(caught.value)


@needs_openssl
def test_an_unsigned_bundle_is_refused_where_a_key_is_required(bundle, key):
    verify_bundle(bundle)
    with pytest.raises(BundleError, match="not signed, but a key is required"):
        verify_bundle(bundle, key.with_suffix(".pub"))


@needs_openssl
def test_a_signature_that_is_damaged_is_refused(bundle, key):
    sign(bundle, key)
    whole = json.loads((bundle / "model.sig").read_text())
    envelope = whole["dsseEnvelope"]
    payload = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"install.sh", b"Install.sh")).decode()
    for change in (
        {"payload": payload}, {"payload": "?"}, {"payloadType": "text/plain"}, {"signatures": []},
        {"signatures": [{"sig": ""}]}, {"signatures": None},
    ):  # fmt: skip
        (bundle / "model.sig").write_text(json.dumps({"dsseEnvelope": envelope | change}))
        with pytest.raises(BundleError, match=r"model\.sig"):
            verify_bundle(bundle, key.with_suffix(".pub"))
    for content in (b"", b"[]", b"{}", b"\xff", b"[" * 100_000):
        (bundle / "model.sig").write_bytes(content)
        with pytest.raises(BundleError, match=r"model\.sig"):
            verify_bundle(bundle, key.with_suffix(".pub"))


@needs_openssl
def test_a_statement_of_another_kind_is_refused(bundle, key):
    for changes in ({"predicateType": "https://slsa.dev/provenance/v1"}, {"predicate": {}}, {"predicate": None}):
        sign(bundle, key, **changes)
        with pytest.raises(BundleError, match="does not list files"):
            verify_bundle(bundle, key.with_suffix(".pub"))


@needs_openssl
def test_what_is_no_public_key_is_refused(bundle, key, tmp_path):
    sign(bundle, key)
    (tmp_path / "text.pub").write_text("no key")
    for wrong in (key, tmp_path / "text.pub", tmp_path / "absent.pub"):
        with pytest.raises(BundleError, match="expected a public key in PEM"):
            verify_bundle(bundle, wrong)


def run(*arguments):
    command = [sys.executable, "-m", "runtime", "verify-bundle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_it_found(bundle):
    done = run(bundle)
    assert (done.returncode, done.stdout) == (0, f"PASS {bundle}: 4 files as they were built, not signed\n")
    (bundle / "models/model_int8.onnx").write_bytes(b"another")
    done = run(bundle)
    assert done.returncode == 1
    assert "changed: models/model_int8.onnx" in done.stdout


def test_checking_imports_no_package():
    code = (
        "import runtime.commands.verify_bundle, sys; sys.exit(bool({'numpy', 'PIL', 'onnxruntime'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
