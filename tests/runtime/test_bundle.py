"""``verify-bundle`` on a small bundle made by hand, signed with openssl as model-signing does."""

import base64
import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import runtime
from runtime import EdgecnnError
from runtime.bundle import verify_bundle
from runtime.bundle.files import MAX_DEPTH
from runtime.bundle.signature import PAYLOAD_TYPE, PREDICATE_TYPE
from runtime.errors import BundleError

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="openssl is not installed")
FILES = {
    "install.sh": b"exit 0\n",
    "models/model_int8.onnx": b"a model",
    "wheels/edgecnn-1-py3-none-any.whl": b"a wheel",
}


SUM_OF_INSTALL = f"{hashlib.sha256(FILES['install.sh']).hexdigest()}  install.sh".encode()


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
    "not a regular file: install.sh": lambda folder: relink(folder / "install.sh", "/etc/passwd"),
    "not a regular file: models": lambda folder: relink(folder / "models", "/etc"),
    "not a regular file: pipe": lambda folder: os.mkfifo(folder / "pipe"),
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


MALFORMED = {
    "empty": b"",
    "binary": b"\xff\xfe",
    "too large": b"0" * (1 << 21),
    "Windows line ends": SUM_OF_INSTALL + b"\r\n",
    "line separators of Unicode": SUM_OF_INSTALL + "\u2028PASS\n".encode(),
    "form feed between lines": SUM_OF_INSTALL + b"\f" + SUM_OF_INSTALL.replace(b"install", b"another") + b"\n",
    "the same name twice": (SUM_OF_INSTALL + b"\n") * 2,
    "an empty line": SUM_OF_INSTALL + b"\n\n",
    "capital digits": SUM_OF_INSTALL.upper() + b"\n",
    "MD5": b"0" * 32 + b"  install.sh\n",
    "binary mode": SUM_OF_INSTALL.replace(b"  ", b" *") + b"\n",
    "escaped name": b"\\" + SUM_OF_INSTALL + b"\\n\n",
    "itself": SUM_OF_INSTALL.replace(b"install.sh", b"SHA256SUMS") + b"\n",
    "the signature": SUM_OF_INSTALL.replace(b"install.sh", b"model.sig") + b"\n",
    "ends the terminal's line": b"\x1b[2J\x1b[HPASS\n",
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_list_is_refused_in_one_line(bundle, content):
    (bundle / "SHA256SUMS").write_bytes(content)
    with pytest.raises(BundleError, match="SHA256SUMS") as caught:
        verify_bundle(bundle)
    assert str(caught.value).isprintable()


def a_sparse_file(path):
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(1 << 40)


def a_device(path):
    path.unlink(missing_ok=True)
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")


def a_socket(path):
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def a_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def a_folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def a_link_to_itself(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


HOSTILE = (a_sparse_file, a_device, a_socket, a_pipe, a_folder, a_link_to_itself)


@needs_openssl
@pytest.mark.parametrize("name", ["SHA256SUMS", "model.sig", "models/model_int8.onnx", "added", "key.pub"])
@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_what_is_no_regular_file_of_a_sane_size_is_refused_at_once(bundle, key, make, name, monkeypatch):
    sign(bundle, key)
    monkeypatch.chdir(bundle)  # the path of a socket is short
    path = Path(name) if name != "key.pub" else Path("..", name)
    make(path)
    done = run(".", "--key", "../key.pub")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL")
    assert done.stdout.count("\n") == 1
    assert name in done.stdout or name == "added"


def test_folders_nested_without_end_are_refused(bundle):
    deepest = bundle
    for _ in range(MAX_DEPTH + 1):
        deepest /= "d"
        deepest.mkdir()
    (deepest / "file").touch()
    with pytest.raises(BundleError, match="nested deeper than"):
        verify_bundle(bundle)


def test_folders_nested_deeper_than_a_path_can_name_are_refused(bundle, monkeypatch):
    with monkeypatch.context() as there:
        there.chdir(bundle)
        for _ in range(1500):
            Path("folder").mkdir()
            os.chdir("folder")
    with pytest.raises(BundleError, match="nested deeper than"):
        verify_bundle(bundle)
    delete_nested(bundle, 1500)


def delete_nested(folder, count):
    """Delete folders that are nested deeper than ``shutil.rmtree`` of some Pythons goes."""
    here = os.open(folder, os.O_RDONLY)
    opened = [here]
    for _ in range(count):
        opened.append(os.open("folder", os.O_RDONLY, dir_fd=opened[-1]))
    for parent, child in zip(reversed(opened[:-1]), reversed(opened[1:]), strict=True):
        os.close(child)
        os.rmdir("folder", dir_fd=parent)
    os.close(here)


def test_more_files_than_a_bundle_has_are_refused(bundle, monkeypatch):
    monkeypatch.setattr("runtime.bundle.files.MAX_FILES", 10)
    for number in range(10):
        (bundle / str(number)).touch()
    with pytest.raises(BundleError, match="more than 10 files"):
        verify_bundle(bundle)


def test_files_that_are_too_large_together_are_refused_before_one_is_read(bundle, monkeypatch):
    monkeypatch.setattr("runtime.bundle.files.MAX_BYTES", 20)
    with pytest.raises(BundleError, match="expected no more than 20 together"):
        verify_bundle(bundle)


FORGING = {
    "a line end": "a\nPASS bundle: 15 files as they were built, signed by key.pub",
    "a carriage return": "a\rPASS bundle: 15 files as they were built",
    "a screen that is cleared": "\x1b[2J\x1b[HPASS bundle: 15 files",
    "direction of reading": "\u202ePASS",
    "a line separator": "a\u2028PASS",
    "blanks to the next line of a terminal": "a" + " " * 150 + "PASS bundle: 15 files",
    "no text at all": "\udcff\udcfe",
}


@pytest.mark.parametrize("name", FORGING.values(), ids=FORGING)
@pytest.mark.parametrize("where", ["a file", "a folder", "the bundle"])
def test_a_name_cannot_forge_a_line(bundle, name, where):
    if where == "the bundle":
        (bundle / "added").touch()
        bundle = bundle.rename(bundle.with_name(name))
    elif where == "a folder":
        (bundle / name).mkdir()
        (bundle / name / "file").touch()
    else:
        (bundle / name).touch()
    done = run(bundle)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL ")
    assert done.stdout.removesuffix("\n").isprintable()
    assert where == "the bundle" or "  PASS" not in done.stdout


def test_a_line_that_says_pass_names_the_folder_in_one_line(bundle):
    done = run(bundle.rename(bundle.with_name("a\nb")))
    assert done.returncode == 0
    assert done.stdout.startswith("PASS ")
    assert done.stdout.removesuffix("\n").isprintable()


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


def run(*arguments, limit_s=60):
    command = [sys.executable, "-m", "runtime", "verify-bundle", *map(str, arguments)]
    path = os.pathsep.join([str(Path(runtime.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=limit_s, env=os.environ | {"PYTHONPATH": path}
    )


def test_the_command_says_what_it_found(bundle):
    done = run(bundle)
    assert (done.returncode, done.stdout) == (0, f"PASS {bundle}: 4 files as they were built, not signed\n")
    (bundle / "models/model_int8.onnx").write_bytes(b"another")
    done = run(bundle)
    assert done.returncode == 1
    assert "changed: models/model_int8.onnx" in done.stdout


def versioned(folder, version):
    """Give a folder a ``bundle.json`` that states a version, or with None leaves it out."""
    folder.mkdir(exist_ok=True)
    stated = {} if version is None else {"bundle_version": version}
    (folder / "bundle.json").write_text(json.dumps(stated))
    return folder


@needs_openssl
@pytest.mark.parametrize(
    ("versions", "passes"),
    [
        ((2, 1), "signed and unsigned"),
        ((2, 2), "signed and unsigned"),
        ((1, 2), "never"),
        ((20261126055247, 20261126055248), "never"),
        ((None, 1), "unsigned"),
        ((1, None), "signed and unsigned"),
        ((None, None), "signed and unsigned"),
    ],
)
def test_a_bundle_older_than_the_installed_one_is_refused(bundle, key, tmp_path, versions, passes):
    new, installed = versions
    current = versioned(tmp_path / "current", installed)
    write_sums(versioned(bundle, new))
    sign(bundle, key)
    for kind, arguments in (("unsigned", ()), ("signed", ("--key", key.with_suffix(".pub")))):
        done = run(bundle, *arguments, "--installed", current)
        passed = kind in passes.split()
        assert (done.returncode, done.stdout[:5]) == ((0, "PASS ") if passed else (1, "FAIL "))
        assert passed or "--allow-downgrade" in done.stdout


@pytest.mark.parametrize("version", ["2", 1.5, True, -1, 10**15, [1], {"a\n": 1}, float("inf")], ids=str)
def test_a_version_that_is_no_whole_number_is_refused(bundle, tmp_path, version):
    write_sums(versioned(bundle, version))
    done = run(bundle, "--installed", versioned(tmp_path / "current", 1))
    assert done.returncode == 1
    assert "bundle_version" in done.stdout
    assert done.stdout.removesuffix("\n").isprintable()


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000, b"9" * 5000], ids=lambda text: text[:2])
def test_a_description_that_is_none_is_refused(bundle, tmp_path, content):
    (bundle / "bundle.json").write_bytes(content)
    write_sums(bundle)
    done = run(bundle, "--installed", versioned(tmp_path / "current", 1))
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 1)
    assert "bundle.json: not JSON" in done.stdout


def test_an_installed_version_that_is_not_there_is_refused(bundle, tmp_path):
    write_sums(versioned(bundle, 1))
    done = run(bundle, "--installed", tmp_path / "absent")
    assert done.returncode == 1
    assert "absent/bundle.json: No such file" in done.stdout


def test_checking_imports_no_package():
    code = (
        "import runtime.commands.verify_bundle, sys; sys.exit(bool({'numpy', 'PIL', 'onnxruntime'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
