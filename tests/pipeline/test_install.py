"""``install.sh`` on this machine: one version with wheels, a second without, and whatever can go wrong between them."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from pipeline.deploy.bundle import Settings, bundle
from pipeline.deploy.bundle.sign import sign
from pipeline.deploy.bundle.wheels import GLIBC, Target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = Target(PYTHON, platform.machine())
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PYTHON not in GLIBC or sys.platform != "linux" or not shutil.which("flock"), reason="a bundle is for Linux"
    ),
]
OPENSSL, SHELLCHECK, SYSTEMD = map(shutil.which, ("openssl", "shellcheck", "systemd-analyze"))
NOT_EASY = 'it\'s "$HOME" $(touch x) `y` & * here; \\'
"""A folder's name in which a shell could see much."""
MADE = ".installed-by-edgecnn"
STEPS = (
    "copying the bundle",
    "checking every file of the bundle",
    "making a virtual environment",
    "installing the packages",
    "replaying the images that the models carry",
    "switching to",
)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run([OPENSSL, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True)
    command = [OPENSSL, "ec", "-in", path, "-pubout", "-out", path.with_suffix(".pub")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def bundles(reference, key, tmp_path_factory):
    """Unpacked: ``old`` with its wheels, ``new`` without, both signed; and ``plain``, unsigned and of no version."""
    out, folders = tmp_path_factory.mktemp("bundles"), {}
    for name, wheels, sign_key, version in (
        ("old", True, key, 1),
        ("new", False, key, 2),
        ("plain", False, None, None),
    ):
        settings = Settings(name, HERE, wheels=wheels, sign_key=sign_key, version=version)
        archive = bundle(reference, out, settings)
        folders[name] = unpacked(archive, out)
    return folders


def unpacked(archive, folder):
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def prefix_of_old(bundles, tmp_path_factory):
    """A prefix, its name not an easy one, where ``old`` is installed."""
    prefix = tmp_path_factory.mktemp("a prefix") / NOT_EASY
    done = install(bundles["old"], prefix)
    assert done.returncode == 0, done.stderr
    return prefix


@pytest.fixture
def installed(prefix_of_old):
    """The prefix with ``old`` and nothing else; afterwards, too."""
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


def command(folder, prefix, *arguments):
    return [str(folder / "install.sh"), "--prefix", str(prefix), *map(str, arguments)]


def install(folder, prefix, *arguments, **environment):
    """Run a bundle's script where no network can be reached."""
    return run(command(folder, prefix, *arguments), **environment)


def run(arguments, cwd=None, without=(), **environment):
    """Run a command where no network can be reached, with and ``without`` variables of the environment."""
    blocked = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    variables = {name: value for name, value in (os.environ | blocked | environment).items() if name not in without}
    return subprocess.run(
        list(map(str, arguments)), cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=300
    )


def answering(prefix):
    """The name of the version that ``current`` is, which has to classify."""
    model = prefix / "current/models/model_int8.onnx"
    subprocess.run([prefix / "current/bin/python", "-I", "-m", "runtime", "verify", model], check=True, stdout=-3)
    return json.loads((prefix / "current/bundle.json").read_text())["name"]


def versions(prefix):
    return sorted(path.name.split("-")[0] for path in (prefix / "versions").iterdir())


def copy(folder, tmp_path, name="copy"):
    return shutil.copytree(folder, tmp_path / name, symlinks=True)


def sum_up(folder):
    """Write ``SHA256SUMS`` anew, as one would who does not have the key."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def test_a_second_run_changes_nothing(bundles, installed):
    before = (installed / "current").readlink()
    made = (installed / "current/pyvenv.cfg").stat().st_mtime_ns
    done = install(bundles["old"], installed)
    assert done.returncode == 0, done.stderr
    assert "was installed already" in done.stdout
    assert (installed / "current").readlink() == before
    assert (installed / "current/pyvenv.cfg").stat().st_mtime_ns == made
    assert (answering(installed), versions(installed)) == ("old", ["old"])


def test_the_installed_command_works(installed, reference, tmp_path):
    shutil.copy(reference / "test.webp", tmp_path / "photo.webp")
    edgecnn = [installed / "current/bin/edgecnn", "classify", installed / "current/models/model_int8.onnx"]
    done = subprocess.run([*edgecnn, tmp_path / "photo.webp"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_update_without_wheels_takes_those_of_the_version_before_and_can_be_rolled_back(bundles, installed):
    done = install(bundles["new"], installed)
    assert done.returncode == 0, done.stderr
    assert "fetching" not in done.stdout
    assert (answering(installed), versions(installed)) == ("new", ["new", "old"])
    done = subprocess.run([installed / "current/install.sh", "--rollback"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert answering(installed) == "old"
    done = install(bundles["new"], installed, "--rollback")
    assert done.returncode == 1
    assert "no version before" in done.stderr
    assert answering(installed) == "old"


def external(folder):
    """Fill a folder with what install.sh did not make; a function that says whether all is as it was."""
    (folder / "thesis").mkdir(parents=True)
    (folder / "thesis/chapter").write_text("precious")
    (folder / "file").write_text("precious")
    (folder / "old-0.1.0-0123456789ab").mkdir()
    (folder / "old-0.1.0-0123456789ab/before").touch()
    (folder / "link").symlink_to("thesis")
    (folder / "a\nb").mkdir()
    (folder / "..data").mkdir()
    names = {path.name for path in folder.iterdir()}

    def is_whole():
        assert names <= {path.name for path in folder.iterdir()}
        assert (folder / "thesis/chapter").read_text() == (folder / "file").read_text() == "precious"
        return True

    return is_whole


def test_folders_that_it_did_not_make_are_never_deleted(bundles, installed):
    mine = installed / "versions/mine"
    is_whole = external(mine)
    beside = {"copy": installed / "versions/copy", "away": installed / "away", "file": installed / "versions/file"}
    shutil.copytree((installed / "current").resolve(), beside["copy"], symlinks=True)
    away_is_whole = external(beside["away"])
    (installed / "versions/linked").symlink_to(beside["away"])
    beside["file"].touch()
    with (installed / MADE).open("a") as made:  # names of what is no folder of its own below versions/
        made.write("linked\n../away\nversions/mine\n.\n..\n/\nfile\n\n")
    assert install(bundles["new"], installed).returncode == 0
    assert install(bundles["new"], installed, "--rollback").returncode == 0
    assert install(bundles["new"], installed).returncode == 0
    assert install(bundles["new"], installed, "--rollback").returncode == 0
    assert is_whole()
    assert away_is_whole()
    assert (beside["copy"] / "install.sh").exists()
    assert beside["file"].exists()


def test_unpacked_below_versions_of_others_it_goes_where_it_always_goes(bundles, tmp_path):
    is_whole = external(tmp_path / "versions")
    folder = copy(bundles["old"], tmp_path / "versions", "unpacked")
    done = run([folder / "install.sh"], HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert is_whole()
    assert answering(tmp_path / "edgecnn") == "old"


def test_below_a_prefix_that_has_versions_of_its_own_nothing_is_deleted(bundles, tmp_path):
    is_whole = external(tmp_path / "versions")
    done = install(bundles["old"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert is_whole()


def a_file(path):
    path.write_text("precious")


def a_folder(path):
    path.mkdir()


def a_link_to_a_release(path):
    (path.parent / "versions").mkdir(parents=True)
    (path.parent / "versions/release").mkdir()
    path.symlink_to("versions/release")


def a_link_to_nothing(path):
    path.symlink_to("versions/gone")


@pytest.mark.parametrize(
    "make", [a_file, a_folder, a_link_to_a_release, a_link_to_nothing], ids=lambda make: make.__name__
)
def test_a_current_of_another_program_is_not_replaced(bundles, tmp_path, make):
    make(tmp_path / "current")
    kind = os.lstat(tmp_path / "current").st_mode
    for arguments in ((), ("--rollback",)):
        done = install(bundles["old"], tmp_path, *arguments)
        assert done.returncode == 1
        assert "belongs to another program" in done.stderr
    assert os.lstat(tmp_path / "current").st_mode == kind
    assert not list((tmp_path / "versions").glob("old*"))


def test_nothing_is_deleted_before_the_new_version_answers(bundles, installed, tmp_path):
    kill_at(bundles["new"], installed, STEPS[3])
    left = sorted(path.name for path in (installed / "versions").iterdir())
    assert len(left) == 2
    damaged = copy(bundles["new"], tmp_path)
    with (damaged / "models/model_int8.onnx").open("ab") as file:
        file.write(b"\0")
    assert install(damaged, installed).returncode == 1
    assert sorted(path.name for path in (installed / "versions").iterdir()) == left
    assert install(bundles["new"], installed).returncode == 0
    assert versions(installed) == ["new", "old"]


def kill_at(folder, prefix, step):
    with subprocess.Popen(
        command(folder, prefix), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        reached = next((line for line in process.stdout if line.startswith(step)), None)
        os.killpg(process.pid, signal.SIGKILL)
    assert reached


@pytest.fixture
def traps(tmp_path):
    """A folder with a file for each module that Python or pip could import; one that runs writes ``ran``."""
    folder = tmp_path / "traps"
    folder.mkdir()
    for name in (*sys.stdlib_module_names, "pip", "numpy", "PIL", "onnxruntime", "runtime", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\n")
    return folder


@pytest.mark.parametrize("path", [None, "", ":", "HERE"], ids=str)
def test_no_python_file_of_the_current_folder_is_run(bundles, installed, traps, tmp_path, path):
    variables = {} if path is None else {"PYTHONPATH": str(traps) if path == "HERE" else path}
    edgecnn = installed / "current/bin/edgecnn"
    commands = [[edgecnn, "doctor", installed / "current/models/model_int8.onnx"]]
    if path is None:
        commands += [
            [edgecnn, "tune", installed / "current/models", "--seconds", "1"],
            command(bundles["new"], installed), command(bundles["new"], installed, "--rollback"),
        ]  # fmt: skip
    for each in commands:
        done = run(each, cwd=traps, **variables)
        assert not (tmp_path / "ran").exists(), f"{each}: {(tmp_path / 'ran').read_text()}"
        assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_home_the_user_s_own_is_found(bundles, tmp_path):
    shim = tmp_path / "bin/getent"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\necho 'me:x:0:0:me:{tmp_path}/home $1:/bin/sh'\n")
    shim.chmod(0o755)
    search = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    folder = copy(bundles["old"], tmp_path, f"a bundle {NOT_EASY}")
    done = run([f"./{folder.name}/install.sh"], cwd=tmp_path, without=("HOME",), PATH=search, CDPATH="/usr:/")
    assert done.returncode == 0, done.stderr
    assert answering(tmp_path / "home $1/edgecnn") == "old"
    edgecnn = tmp_path / "home $1/edgecnn/current/bin/edgecnn"
    done = run([edgecnn, "doctor"], without=("HOME", "PATH"), PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    shim.write_text("#!/bin/sh\nexit 2\n")
    done = run([folder / "install.sh"], without=("HOME",), PATH=search)
    assert done.returncode == 1
    assert "--prefix" in done.stderr


def test_the_launcher_is_found_through_links_and_says_its_name(installed, tmp_path):
    (tmp_path / "edge").symlink_to(installed / "current/bin/edgecnn")
    done = run([tmp_path / "edge", "classify", "--help"])
    assert done.returncode == 0
    assert done.stdout.startswith("usage: edgecnn classify")


def test_what_runs_keeps_to_its_version(installed):
    watch = [installed / "current/bin/edgecnn", "stream", installed / "current/models/model_int8.onnx"]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while "onnxruntime" not in (maps := Path(f"/proc/{process.pid}/maps").read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.stdin.close()
        process.wait(60)
    assert f"{(installed / 'current').resolve()}/lib" in maps


@pytest.mark.parametrize("place", ["a file/prefix", "/proc/edgecnn", "with: a colon"])
def test_a_place_that_cannot_be_installed_to_is_found_before_the_work(bundles, tmp_path, place):
    (tmp_path / "a file").touch()
    done = install(bundles["old"], tmp_path / place)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_disk_that_is_too_full_is_found_before_the_work_and_leftovers_are_named(bundles, installed, tmp_path):
    kill_at(bundles["new"], installed, STEPS[2])
    shim = tmp_path / "df"
    shim.write_text("#!/bin/sh\nprintf 'Avail\\n 1000\\n'\n")
    shim.chmod(0o755)
    search = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for folder in (bundles["old"], bundles["new"]):
        prefix = tmp_path / "prefix" if folder == bundles["old"] else installed
        done = install(folder, prefix, PATH=search)
        assert (done.returncode, done.stdout) == (1, "")
        assert "has 1000 KiB free and this version takes" in done.stderr
    assert f"interrupted installs left {installed}/versions/new" in done.stderr
    assert install(bundles["new"], installed).returncode == 0
    assert versions(installed) == ["new", "old"]


def test_an_older_bundle_is_refused_unless_it_is_asked_for(bundles, installed):
    assert install(bundles["new"], installed).returncode == 0
    newer = (installed / "current").readlink()
    for folder in (bundles["old"], next((installed / "versions").glob("old*"))):
        done = install(folder, installed)
        assert done.returncode == 1
        assert "bundle version 1 is older than 2" in done.stderr
        assert "--allow-downgrade" in done.stderr
        assert (installed / "current").readlink() == newer
    done = install(bundles["old"], installed, "--allow-downgrade")
    assert done.returncode == 0, done.stderr
    assert answering(installed) == "old"
    assert install(bundles["old"], installed).returncode == 0
    assert versions(installed) == ["new", "old"]


def test_where_a_key_is_asked_for_a_bundle_without_a_version_is_older(bundles, key, installed, reference, tmp_path):
    folder = signed_without_version(reference, key, tmp_path)
    assert install(bundles["new"], installed).returncode == 0
    shutil.copy(key.with_suffix(".pub"), installed / "key.pub")
    done = install(folder, installed)
    assert done.returncode == 1
    assert "bundle version 0 is older than 2" in done.stderr


def signed_without_version(reference, key, tmp_path):
    """Such as were built before bundles had versions."""
    folder = unpacked(bundle(reference, tmp_path, Settings("bare", HERE, wheels=False)), tmp_path)
    sign(folder, key)
    return folder


HOSTILE = ("a pipe", "a device", "a sparse file", "a link")


@pytest.mark.parametrize("name", ["SHA256SUMS", "bundle.json", "requirements.txt", "wheels/more.whl"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_no_bundle_holds_is_refused_before_it_is_opened(bundles, tmp_path, name, kind):
    folder = copy(bundles["new"], tmp_path)
    path = folder / name
    content = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        if os.getuid():
            pytest.skip("only root can make a device")
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    elif kind == "a sparse file":
        path.write_bytes(content)
        os.truncate(path, 1 << 40)
    else:
        path.symlink_to("/dev/zero")
    done = install(folder, tmp_path / "prefix")
    assert (done.returncode, done.stdout) == (1, "")
    assert not (tmp_path / "prefix").exists()


def test_killed_at_any_step_the_old_version_answers_and_the_next_run_succeeds(bundles, installed):
    for step in STEPS:
        kill_at(bundles["new"], installed, step)
        assert answering(installed) in (("old", "new") if step == STEPS[-1] else ("old",))
    done = install(bundles["new"], installed)
    assert done.returncode == 0, done.stderr
    assert (answering(installed), versions(installed)) == ("new", ["new", "old"])


@pytest.mark.parametrize("moved", [False, True], ids=["before it switches", "after it has switched"])
def test_killed_around_the_switch_one_of_the_two_versions_answers(bundles, installed, tmp_path, moved):
    shim = tmp_path / "mv"
    real = f'{shutil.which("mv")} "$@"' if moved else ":"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *current) {real}; kill -9 $PPID ;; *) exec {shutil.which("mv")} "$@" ;; esac\n'
    )
    shim.chmod(0o755)
    done = install(bundles["new"], installed, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == -signal.SIGKILL
    assert answering(installed) == ("new" if moved else "old")
    assert install(bundles["new"], installed).returncode == 0
    assert answering(installed) == "new"


def test_a_tampered_bundle_is_refused_by_the_file_s_name(bundles, installed, tmp_path):
    changed = copy(bundles["new"], tmp_path, "changed")
    with (changed / "models/model_int8.onnx").open("ab") as file:
        file.write(b"\0")
    missing = copy(bundles["new"], tmp_path, "missing")
    (missing / "requirements.txt").unlink()
    added = copy(bundles["new"], tmp_path, "added")
    (added / "wheels/numpy-9-py3-none-any.whl").write_bytes(b"")
    linked = copy(bundles["new"], tmp_path, "linked")
    (linked / "models/manifest.json").unlink()
    (linked / "models/manifest.json").symlink_to(bundles["new"] / "models/manifest.json")
    for folder, name in (
        (changed, "models/model_int8.onnx"), (missing, "requirements.txt"), (added, "wheels/numpy-9-py3-none-any.whl"),
        (linked, "models/manifest.json"),
    ):  # fmt: skip
        done = install(folder, installed)
        assert done.returncode == 1
        assert name in done.stderr
        assert "FAILED at: checking every file of the bundle" in done.stderr
        assert (answering(installed), versions(installed)) == ("old", ["old"])


def test_a_key_is_asked_of_every_later_bundle(bundles, key, tmp_path):
    prefix, other = tmp_path / "prefix", tmp_path / "other.pub"
    (prefix / "versions").mkdir(parents=True)
    shutil.copy(key.with_suffix(".pub"), prefix / "key.pub")
    for folder, why in (
        (bundles["plain"], "not signed"),
        (forged(bundles["new"], tmp_path), "changed since it was signed"),
    ):
        done = install(folder, prefix)
        assert done.returncode == 1
        assert why in done.stderr
        assert not (prefix / "current").exists()
    other.write_text("another key")
    done = install(bundles["new"], prefix, "--key", other)
    assert done.returncode == 1
    assert "is another key" in done.stderr


def forged(folder, tmp_path):
    """A bundle that was changed by somebody who knows of ``SHA256SUMS``."""
    path = copy(folder, tmp_path, "forged")
    (path / "edgecnn-watch.service").write_text("[Service]\n")
    sum_up(path)
    return path


def test_a_signed_bundle_is_installed_with_its_key_and_the_key_is_kept(bundles, key, installed):
    done = install(bundles["old"], installed, "--key", key.with_suffix(".pub"))
    assert done.returncode == 0, done.stderr
    assert (installed / "key.pub").read_bytes() == key.with_suffix(".pub").read_bytes()
    assert install(bundles["plain"], installed).returncode == 1
    assert answering(installed) == "old"


def test_a_model_that_does_not_work_here_is_not_switched_to(bundles, installed, tmp_path):
    folder = copy(bundles["plain"], tmp_path)
    card = json.loads((folder / "bundle.json").read_text()) | {"artifacts": ["manifest.json"]}
    (folder / "bundle.json").write_text(json.dumps(card, indent=2))
    sum_up(folder)
    done = install(folder, installed)
    assert done.returncode == 1
    assert "FAILED at: replaying the images that the models carry\nCurrent version: versions/old" in done.stderr
    assert answering(installed) == "old"


def test_a_version_whose_files_were_damaged_since_is_named(bundles, prefix_of_old, tmp_path):
    prefix = shutil.copytree(prefix_of_old, tmp_path / "prefix", symlinks=True)
    model = prefix / "current/models/model_int8.onnx"
    model.write_bytes(model.read_bytes()[:1000])
    done = install(bundles["old"], prefix)
    assert done.returncode == 1
    assert f"delete {(prefix / 'current').resolve()} and install again" in done.stderr


def test_packages_that_are_not_to_be_had_are_named_and_nothing_is_switched(bundles, tmp_path):
    done = install(bundles["plain"], tmp_path / "prefix", PIP_INDEX_URL="http://127.0.0.1:9", PIP_RETRIES="0")
    assert done.returncode == 1
    assert "FAILED at: fetching packages that are not here" in done.stderr
    assert not (tmp_path / "prefix/current").exists()


def test_a_bundle_for_another_machine_is_refused_at_once(bundles, tmp_path):
    folder = copy(bundles["new"], tmp_path)
    card = (folder / "bundle.json").read_text()
    for field, value in (("python", "3.9"), ("machine", "armv7l")):
        (folder / "bundle.json").write_text(json.dumps(json.loads(card) | {field: value}, indent=2))
        done = install(folder, tmp_path / "prefix")
        assert done.returncode == 1
        assert value in done.stderr
        assert f"here is {PYTHON} {platform.machine()}" in done.stderr


def test_two_at_once_do_not_get_in_each_other_s_way(bundles, installed):
    with (installed / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = install(bundles["new"], installed)
    assert done.returncode == 1
    assert "another install" in done.stderr


def test_wrong_arguments_are_refused(bundles):
    for arguments in (["--nonsense"], ["--prefix"], ["--key"], ["--prefix", ""], ["--key", ""]):
        done = subprocess.run([bundles["new"] / "install.sh", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert arguments[0] in done.stderr


@pytest.mark.skipif(not SHELLCHECK, reason="shellcheck is not installed")
def test_the_script_is_clean(bundles):
    subprocess.run([SHELLCHECK, bundles["new"] / "install.sh"], check=True)


@pytest.mark.skipif(not SYSTEMD, reason="systemd is not installed")
def test_the_unit_is_one_that_systemd_takes(bundles, tmp_path):
    unit = (bundles["new"] / "edgecnn-watch.service").read_text()
    path = tmp_path / "edgecnn-watch.service"
    path.write_text(unit.replace("/opt/edgecnn/current/bin/edgecnn", sys.executable))
    done = subprocess.run([SYSTEMD, "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
