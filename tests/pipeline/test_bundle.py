"""A bundle: what is in it, its name and its wheels, and what is refused before it is built."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import zipfile

import pytest
from packaging.markers import Marker

import measured_folder
from bundle_archives import described, unpack
from pipeline import artifacts
from pipeline.cli import main
from pipeline.deploy.bundle import Settings, bundle
from pipeline.deploy.bundle.archive import pack
from pipeline.deploy.bundle.version import default_version
from pipeline.deploy.bundle.wheels import Target, build_runtime_wheel, fetch, lock
from pipeline.errors import BundleBuildError
from runtime.bundle import verify_bundle
from runtime.errors import OutputError

PI = Target("3.11", "aarch64")


@pytest.fixture(scope="module")
def small(reference, tmp_path_factory):
    """A bundle without wheels: the archive, and the folder that it unpacks to."""
    out = tmp_path_factory.mktemp("small")
    archive = bundle(reference, out, Settings("test", PI, wheels=False))
    return archive, unpack(archive, out)


def test_it_brings_what_the_board_needs(small, reference):
    archive, folder = small
    assert archive.name == "edgecnn-test-0.1.0-aarch64-py311.tar.gz"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "SHA256SUMS", "bundle.json", "edgecnn-serve.service", "edgecnn-watch.service", "install.sh",
        "models/manifest.json", "models/model_int8.onnx", "requirements.txt", "wheels/edgecnn-0.1.0-py3-none-any.whl",
    }  # fmt: skip
    assert (folder / "models/model_int8.onnx").read_bytes() == (reference / "model_int8.onnx").read_bytes()
    assert (folder / "install.sh").stat().st_mode & 0o111
    assert json.loads((folder / "bundle.json").read_text())["artifacts"] == ["model_int8.onnx"]
    assert verify_bundle(folder) == len(files)
    subprocess.run([shutil.which("sha256sum"), "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_its_wheel_holds_the_runtime_and_nothing_for_the_desk(small, repository):
    with zipfile.ZipFile(small[1] / "wheels/edgecnn-0.1.0-py3-none-any.whl") as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {*(repository / "runtime").rglob("*.py"), *(repository / "runtime/serve/page").iterdir()}
    assert names == {path.relative_to(repository).as_posix() for path in sources} | {"runtime/py.typed"}


def test_without_wheels_it_is_small(small):
    assert small[0].stat().st_size < 800_000


def test_its_requirements_are_pinned_by_hash_and_name_no_address(small):
    text = (small[1] / "requirements.txt").read_text()
    requirements = [line for line in text.replace("\\\n", " ").splitlines() if line]
    assert all("==" in line and "--hash=sha256:" in line for line in requirements)
    names = {line.split("==")[0] for line in requirements}
    assert {"edgecnn", "numpy", "pillow", "onnxruntime"} <= names
    assert not {"tensorflow", "ai-edge-litert", "pip"} & names
    assert "://" not in text
    wheel = (small[1] / "wheels/edgecnn-0.1.0-py3-none-any.whl").read_bytes()
    assert hashlib.sha256(wheel).hexdigest() in requirements[0]


def test_it_brings_the_extras_that_are_asked_for(reference, tmp_path, capsys):
    arguments = ["bundle", str(reference), "--name", "extras", "--no-wheels", "--out", str(tmp_path)]
    assert main([*arguments, "--extras", "serve", "mqtt"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "a board that does not have them from an earlier version needs a network, from which install.sh" in said
    folder = unpack(tmp_path / "edgecnn-extras-0.1.0-aarch64-py311.tar.gz", tmp_path)
    requirements = (folder / "requirements.txt").read_text()
    assert "paho-mqtt==" in requirements
    assert "waitress==" in requirements
    assert "pillow-heif==" not in requirements
    card = json.loads((folder / "bundle.json").read_text())
    assert (card["engines"], card["extras"]) == ([], ["mqtt", "serve"])


def test_the_same_files_give_the_same_bytes(small, reference, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.deploy.bundle.build_runtime_wheel", build_runtime_wheel)  # as a user builds it
    again = bundle(reference, tmp_path, Settings("test", PI, wheels=False))
    assert again.read_bytes() == small[0].read_bytes()


def test_the_archive_does_not_depend_on_order_owner_or_time(tmp_path):
    archives = []
    for names in (("b", "a.sh"), ("a.sh", "b")):
        folder = tmp_path / names[0] / "folder"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name)
            (folder / name).chmod(0o600)
        archives.append(pack(folder))
    assert archives[0] == archives[1]
    (tmp_path / "archive.tar.gz").write_bytes(archives[0])
    with tarfile.open(tmp_path / "archive.tar.gz") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["folder", "folder/a.sh", "folder/b"]
    assert [member.mode for member in members] == [0o755, 0o755, 0o644]
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in members} == {
        (0, 0, "", "", 0)
    }


def test_without_a_network_the_message_asks_for_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(BundleBuildError, match=r"^no network to PyPI, or no such wheels for Python 3\.11.*--no-wheels"):
        fetch("", PI, tmp_path)
    assert capsys.readouterr().err == "downloading the packages for Python 3.11 on aarch64\n"


def test_a_model_that_may_not_ship_is_refused(reference, tmp_path):
    for name in (artifacts.INT8_ONNX, artifacts.MANIFEST):
        (tmp_path / name).write_bytes((reference / name).read_bytes())
    artifacts.write_json(
        tmp_path / artifacts.VERIFY,
        {**measured_folder.verified(), "artifacts": {artifacts.INT8_ONNX: {"violations": ["accuracy"]}}},
    )
    with pytest.raises(BundleBuildError, match="differs from Keras"):
        bundle(tmp_path, tmp_path, Settings("test", PI, wheels=False))
    wrong = {"artifacts": {}, "passed": False, "wrong_input": "with other names more are right"}
    artifacts.write_json(tmp_path / artifacts.VERIFY, {**measured_folder.verified(), **wrong})
    with pytest.raises(BundleBuildError, match=r"with other names more are right; export again .*--as-asked"):
        bundle(tmp_path, tmp_path, Settings("test", PI, wheels=False))
    (tmp_path / artifacts.MANIFEST).unlink()
    with pytest.raises(BundleBuildError, match="no manifest"):
        bundle(tmp_path, tmp_path, Settings("test", PI, wheels=False))


@pytest.mark.parametrize("name", ["../model.onnx", "my model.onnx", "-model.onnx", "$m.onnx", "model.bin", "m\n.onnx"])
def test_a_model_whose_name_no_bundle_can_have_is_refused(reference, tmp_path, name):
    with pytest.raises(BundleBuildError, match="expected the name of a file"):
        bundle(reference, tmp_path, Settings("test", PI, artifacts=(name,), wheels=False))


@pytest.mark.slow
def test_an_unsigned_bundle_states_a_version_where_it_is_given(small, reference, tmp_path, monkeypatch, capsys):
    assert "bundle_version" not in described(small[0])
    arguments = ["bundle", str(reference), "--name", "test", "--no-wheels", "--out", str(tmp_path)]
    assert main([*arguments, "--bundle-version", "7"]) == 0
    assert described(tmp_path / small[0].name)["bundle_version"] == 7
    said = capsys.readouterr().out
    assert "\n  models/   manifest.json, model_int8.onnx\n  wheels/   edgecnn\n  install.sh, systemd units" in said
    copy, install = said.partition("\nNext, ")[2].splitlines()[1:3]
    assert copy == f"  scp {tmp_path / small[0].name} pi@raspberrypi.local:"
    command = f"tar xzf {small[0].name} && edgecnn-test-0.1.0-aarch64-py311/install.sh"
    assert install == f"  ssh pi@raspberrypi.local '{command}'"
    assert (small[1].parent / command.rpartition(" ")[2]).exists()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795672367")
    assert main(arguments) == 0
    assert described(tmp_path / small[0].name)["bundle_version"] == 20261126055247


@pytest.mark.parametrize("text", ["yesterday", "-1e9", "9" * 30, "nan"])
def test_an_invalid_source_date_is_refused(monkeypatch, text):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(BundleBuildError, match="SOURCE_DATE_EPOCH"):
        default_version(signed=False)


@pytest.mark.parametrize("number", [0, -1, 10**15])
def test_an_invalid_version_is_refused(number):
    with pytest.raises(BundleBuildError, match="whole number from 1"):
        Settings("test", PI, version=number)


def test_what_cannot_be_written_or_signed_is_found_before_the_work(reference, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.deploy.bundle.build_runtime_wheel", lambda _: pytest.fail("worked already"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="not a folder"):
        bundle(reference, tmp_path / "file", Settings("test", PI, wheels=False))
    with pytest.raises(BundleBuildError, match=r"none\.pem: No such file"):
        bundle(reference, tmp_path, Settings("test", PI, wheels=False, sign_key=tmp_path / "none.pem"))
    os.mkfifo(tmp_path / "pipe.pem")
    with pytest.raises(BundleBuildError, match="not a regular file"):
        bundle(reference, tmp_path, Settings("test", PI, wheels=False, sign_key=tmp_path / "pipe.pem"))


@pytest.mark.parametrize("name", ["../x", "a b", "", "naïve"])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(BundleBuildError, match="expected letters"):
        Settings(name, PI)


def test_markers_are_those_of_the_board():
    trixie = Target("3.13", "aarch64")
    assert not PI.wants(Marker("python_full_version >= '3.12'"))
    assert trixie.wants(Marker("python_full_version >= '3.12' and platform_machine == 'aarch64'"))
    assert not trixie.wants(Marker("sys_platform == 'win32' or platform_machine == 'x86_64'"))
    assert PI.platforms[0] == "manylinux_2_36_aarch64"
    assert trixie.platforms[0] == "manylinux_2_41_aarch64"
    assert "ai-edge-litert==" in lock(["litert"], PI)


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_every_wheel_is_to_be_had_for_the_board(python, tmp_path):
    target = Target(python, "aarch64")
    fetch(lock(["litert", "heif", "mqtt", "serve"], target), target, tmp_path)
    wheels = [path.name for path in tmp_path.glob("*.whl")]
    for package in ("numpy", "pillow", "onnxruntime", "ai_edge_litert", "pillow_heif", "paho_mqtt", "waitress", "pip"):
        assert any(name.startswith(f"{package}-") for name in wheels)
    assert all(name.endswith(("aarch64.whl", "-any.whl")) for name in wheels)


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("3.11", ("py311", "Bookworm", "3.13")),
        ("3.12", ("py312", "Ubuntu 24.04", "3.13")),
        ("3.13", ("py313", "Trixie", "3.11")),
    ],
)
def test_it_says_for_which_system_it_is(monkeypatch, tmp_path, capsys, python, expected):
    tag, system, other = expected

    def written(_folder, out, settings):
        archive = out / f"edgecnn-x-0.1.0-{settings.target.tag}.tar.gz"
        archive.write_bytes(pack(tmp_path / "stage"))
        return archive

    (tmp_path / "stage").mkdir()
    monkeypatch.setattr("pipeline.deploy.bundle.bundle", written)
    typed = ["bundle", "my files", "--name", "x", "--out", str(tmp_path)]
    assert main([*typed, "--python", python]) == 0
    said = capsys.readouterr().out
    assert f"Written: {tmp_path}/edgecnn-x-0.1.0-aarch64-{tag}.tar.gz" in said
    assert f"It is for Python {python}, as in" in said
    assert system in said.partition(f"Python {python}, as in")[2].partition("\n")[0]
    assert "ssh pi@raspberrypi.local python3 --version" in said.partition("Next, ")[0]
    command = shlex.split(said.partition(f"For Python {other}, as in")[2].splitlines()[1])
    assert command[1:] == ["-m", "pipeline", *typed, "--python", other]


def test_a_32_bit_board_is_told_what_to_do(capsys):
    with pytest.raises(SystemExit):
        main(["bundle", "build", "--machine", "armv7l"])
    assert "onnxruntime has no wheels for armv7l: put the 64-bit" in capsys.readouterr().err
