import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.commands.doctor import NEEDED
from runtime.system.child import death
from runtime.system.machine import examine_machine, throttling
from runtime.system.probe import ProbeResult, probe

PI4_CPU = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU part\t: 0xd08

Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""
FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "proc/cpuinfo": PI4_CPU,
    "proc/meminfo": "MemTotal:        3884372 kB\nMemFree:          100 kB\nMemAvailable:    3145728 kB\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48686\n",
    "sys/class/thermal/thermal_zone1/temp": "none\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}


@pytest.fixture
def pi(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_what_a_raspberry_pi_tells(pi):
    machine = examine_machine(pi)
    assert machine.system == "Debian GNU/Linux 12 (bookworm)"
    assert machine.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert machine.processor == "Cortex-A72"
    assert machine.features == ("asimd",)
    assert machine.memory_mib == 3793
    assert machine.memory_available_mib == 3072
    assert machine.celsius == {"cpu-thermal": 48.686}
    assert machine.governor == "ondemand"
    assert machine.throttling == (
        "under-voltage now",
        "throttled now",
        "under-voltage since boot",
        "throttled since boot",
    )


def test_an_emulated_processor_is_called_by_the_name_that_qemu_was_given(pi, monkeypatch):
    auxv = pi / "proc/self/auxv"
    auxv.parent.mkdir()
    auxv.write_bytes(struct.pack("@NNNN", 16, 1 << 1 | 1 << 20, 0, 0))
    program = pi / f"proc/self/task/{os.getpid()}/exe"
    program.parent.mkdir(parents=True)
    program.symlink_to("/usr/bin/qemu-aarch64-static")
    monkeypatch.setenv("QEMU_CPU", "cortex-a76")
    machine = examine_machine(pi)
    assert (machine.emulated, machine.processor, machine.features) == (
        True,
        "cortex-a76",
        ("asimd", "asimddp"),
    )
    monkeypatch.delenv("QEMU_CPU")
    assert not examine_machine(pi).processor


def test_a_kernel_that_tells_nothing_is_no_trouble(tmp_path):
    assert set(examine_machine(tmp_path).to_json()) == {"system", "architecture", "python", "processors", "features"}


def test_throttling_words():
    assert throttling("0") == ()
    assert throttling("0x80000") == ("soft temperature limit since boot",)
    assert throttling("what") == ("unknown ('what')",)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (signal.SIGILL, "illegal instruction.*install another version: pip install --force-reinstall x!=1"),
        (signal.SIGKILL, "memory"),
        (signal.SIGSEGV, "SIGSEGV"),
    ],
)
def test_the_death_of_a_probe_is_a_sentence(number, sentence):
    result = probe([sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(number)})"], "pip install x!=1")
    assert result.works is False
    assert re.search(sentence, result.says)


def test_a_missing_package_is_named_with_its_remedy():
    result = probe([sys.executable, "-c", "import no_such_engine"], "pip install no-such-engine")
    assert result == ProbeResult(works=False, says="not installed: pip install no-such-engine")


def test_a_32_bit_system_is_told_that_only_a_64_bit_one_helps(pi, monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")
    machine = examine_machine(pi)
    assert (machine.architecture, machine.python) == ("armv7l", f"{platform.python_version()}, 32-bit")
    says = probe([sys.executable, "-c", "import no_such_engine"], "pip install no-such-engine").says
    assert says.startswith("not installed: pip install no-such-engine; this Python is 32-bit, for which no engine has")
    assert says.endswith("use a 64-bit Raspberry Pi OS")


def doctor(*arguments, **environment):
    command = [sys.executable, "-m", "runtime", "doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_this_machine_is_well_and_replays_models(carrying):
    path = carrying("model_int8.onnx")
    report = json.loads(doctor(path, "--json").stdout)
    assert report["well"] is True
    assert report["engines"]["onnxruntime"]["works"] is True
    assert report["models"][str(path)]["says"].startswith("PASS ")
    path = carrying("model_int8.onnx", shift=0.1)
    carrying("model_fp32.onnx")
    done = doctor(path.parent)
    assert done.returncode == 1
    assert "model_int8.onnx FAILS: FAIL " in done.stdout
    assert "model_fp32.onnx works: PASS " in done.stdout


@pytest.mark.parametrize("package", ["numpy", "PIL", "onnxruntime"])
def test_it_speaks_where_a_package_dies_at_import(tmp_path, package):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("import os; os.kill(os.getpid(), 4)")
    done = doctor(PYTHONPATH=str(tmp_path))
    assert done.stderr == ""
    assert "dies of an illegal instruction: it was built for a newer processor" in done.stdout
    another = package == "onnxruntime" and re.search("^(litert|openvino|ncnn) +works", done.stdout, re.MULTILINE)
    assert done.returncode == (0 if another else 1)


def test_unknown_signals_are_numbers():
    assert "signal 99" in death(99, "")


@pytest.mark.parametrize(("name", "module"), [("numpy", "numpy"), ("pillow", "PIL")])
def test_a_package_that_is_too_old_is_named_with_the_version_that_will_do(name, module, tmp_path):
    """By a module of its name that comes first on the search path and says that it is older."""
    major, minor = NEEDED[name][1]
    (tmp_path / module).mkdir()
    (tmp_path / module / "__init__.py").write_text(
        f"__version__ = '{major}.{minor - 1}.9'\n"
        "class M:\n    __matmul__ = resize = lambda *_: None\nones = new = lambda *_: M()\n"
    )
    (tmp_path / module / "Image.py").write_text("from PIL import new\n")
    command = [sys.executable, "-m", "runtime", "doctor", "--json"]
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path})
    report = json.loads(done.stdout)
    expected = (
        f'{major}.{minor - 1}.9 is too old, expected {major}.{minor} or newer: pip install "{name}>={major}.{minor}"'
    )
    assert report["packages"][name] == {"works": False, "says": expected}
    assert (done.returncode, report["well"]) == (1, False)


def test_the_oldest_versions_are_those_of_the_package():
    text = (Path(__file__).parent.parent.parent / "pyproject.toml").read_text()
    for name, (_, oldest) in NEEDED.items():
        assert f'"{name}>={oldest[0]}.{oldest[1]}"' in text
