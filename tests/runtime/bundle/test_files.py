"""``verify-bundle``: the files that a bundle may contain, and the errors for others."""

import hashlib
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import EdgecnnError
from runtime.bundle import verify_bundle
from runtime.bundle.files import MAX_DEPTH
from runtime.errors import BundleError
from small_bundle import FILES, needs_openssl, run, sign

SUM_OF_INSTALL = f"{hashlib.sha256(FILES['install.sh']).hexdigest()}  install.sh".encode()


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
def test_irregular_and_huge_files_are_refused_before_reading(bundle, key, make, name, monkeypatch):
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


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(EdgecnnError, match="bundle"):
            verify_bundle(folder)


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
