"""Bundles, and a prefix where one of them is installed."""

import shutil
import subprocess
import sys

import pytest

from installing import HERE, MADE, NOT_EASY, OPENSSL, compile_pip, install, unpacked
from pipeline.deploy.bundle import Settings, bundle
from pipeline.deploy.bundle.wheels import fetch


def make_key(folder):
    path = folder / "key.pem"
    subprocess.run([OPENSSL, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True)
    command = [OPENSSL, "ec", "-in", path, "-pubout", "-out", path.with_suffix(".pub")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def other_key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="session")
def bundles(reference, key, tmp_path_factory):
    """Unpacked: ``old`` with its wheels, ``new`` without, both signed; and ``plain``, unsigned and of no version.

    The pip that they bring is compiled.
    """
    out, folders = tmp_path_factory.mktemp("bundles"), {}

    def fetch_compiled(requirements, target, folder):
        fetch(requirements, target, folder)
        compile_pip(folder, tmp_path_factory.mktemp("pip"))

    for name, wheels, sign_key, version in (
        ("old", True, key, 1),
        ("new", False, key, 2),
        ("plain", False, None, None),
    ):
        settings = Settings(name, HERE, wheels=wheels, sign_key=sign_key, version=version)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.deploy.bundle.fetch", fetch_compiled)
            archive = bundle(reference, out, settings)
        folders[name] = unpacked(archive, out)
    return folders


@pytest.fixture(scope="session")
def prefix_of_old(bundles, tmp_path_factory):
    """A prefix with unusual characters in its name, where ``old`` is installed."""
    prefix = tmp_path_factory.mktemp("a prefix") / NOT_EASY
    done = install(bundles["old"], prefix)
    assert done.returncode == 0, done.stderr
    return prefix


@pytest.fixture
def installed(prefix_of_old):
    """The prefix with only ``old``; restored after the test."""
    prefix = prefix_of_old
    target, made = (prefix / "current").readlink(), (prefix / MADE).read_text()
    yield prefix
    (prefix / "current").unlink()
    (prefix / "current").symlink_to(target)
    (prefix / target / "before").write_text("\n")
    (prefix / MADE).write_text(made)
    (prefix / "key.pub").unlink(missing_ok=True)
    for path in (prefix / "versions").iterdir():
        if path.name != target.name:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.fixture
def traps(tmp_path):
    """A folder with a file for each module that Python or pip could import; one that runs writes ``ran``."""
    folder = tmp_path / "traps"
    folder.mkdir()
    for name in (*sys.stdlib_module_names, "pip", "numpy", "PIL", "onnxruntime", "runtime", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\n")
    return folder
