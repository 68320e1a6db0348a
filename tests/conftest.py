"""Fixtures that all tests share, and the distribution of tests over processes.

Work that is shared so that it is done once:

- One process start per command: tests of messages and statuses call ``pipeline.cli.main`` in their own process, where
  TensorFlow is loaded; ``test_line.py`` and ``test_own_photos.py`` start real processes. The runtime's commands are
  forked from one process that has imported NumPy, Pillow and ONNX Runtime (``called.py``).
- One trained model and one export per test file (``exported``, ``trained``, ``killed``: module fixtures), copied before
  a test changes it. Only ``test_line.py`` searches int8 configurations; other exports are quick and write few files.
- One set of bundles and one installed prefix for all of ``tests/pipeline/install`` (``SHARING`` below).
- Only ``test_line.py`` times Keras and TensorFlow as contenders. Tests that do not judge times run benchmarks for a
  tenth of a second and start each contender once; ``figures/test_reading.py`` starts one process per way.
- ``test_drift.py`` runs the reference once, and translates and freezes each damaged network once for its eight formats.
- The processes of distributed and killed trainings are forked from one that has imported TensorFlow; their three files
  run in one process (``training_run.py``, ``SHARING`` below).
- ``make test-fast`` starts no browser.
- The web page is loaded once for all tests that choose pictures or get no camera (``test_web.py``).
- The report is opened once per width and color scheme (``test_report_browser.py``).
- pip is compiled once, in the wheels from which all bundles are installed (``installing.compile_pip``).
- Networks and photos are as small as the test allows: ``tests/figures/test_graph.py`` has two networks of one layer,
  ``test_families.py`` a ResNet50 with a quarter of its channels and an EfficientNetV2B0 with 15 of its 21 blocks.
- Trainings in the tests' process draw no curves, which takes half a second; ``test_train.py`` draws them once.
- One translation to ONNX per family in ``test_families.py``, for the two ONNX files and NCNN's; the stock TFLite file
  is made from the traced network, without a SavedModel.
- One process start in ``test_own_photos.py`` (export); verify and drift run in the tests' process, where output of C++
  code is captured, too.
- One build of the project's wheel per run for all bundles; one test of ``test_bundle.py`` builds it again.
- One installation for two tests in ``install/test_places.py``: a user without HOME, and versions of others nearby.
- All refusals before TensorFlow is loaded are tested in one process (``test_before_tensorflow.py``).
- If several processes run tests, TensorFlow has one thread, and the garbage collector skips objects made by imports.
- TensorFlow is imported without IPython, OpenCV and matplotlib, which Keras imports where they are installed.
- ``test_benchmark.py`` runs ``bench`` in the tests' process, where contenders start once and the photo has one round.
- OpenVINO is timed by the ``bench`` of ``test_docs.py``; tests of what ``bench`` writes, and of the modules that its
  processes import, time ONNX Runtime.
- Pictures of parametrized tests are made when the first test needs them, not in every process that collects tests.
- In the crafted pictures, a deflated megabyte of zeros is repeated, not deflated again; hostile names share reports.
  Each kind of PNG comes only in the largest size that is decoded; hostile archives are packed when a test needs them.
- Files that a test writes hundreds of times are deleted first, as ext4 waits for the disk at each overwriting.
- ``test_trusted_code.py`` saves the model with custom layers in the tests' process.
"""

import gc
import json
import os
import signal
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: more threads than that would wait for each other
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")

REFERENCE = Path(__file__).parent.parent / "artifacts" / "reference"
DURATIONS = Path(__file__).parent / "durations.json"
FAST_SECONDS = 0.2
SHORT_SECONDS = 0.03
"""The mean of the tests that take no more than ``FAST_SECONDS``."""
SHOWN = 25
SHARING = (
    ("tests/pipeline/install/",),
    ("tests/pipeline/test_distribute.py", "tests/pipeline/test_resume.py", "tests/pipeline/test_stages.py"),
)
"""Files, and folders of files, that share fixtures or a process that forks."""


def scope_of(nodeid):
    """The unit that one process runs as a whole: a file, or a group of ``SHARING``."""
    file = nodeid.partition("::")[0]
    return next((group[0] for group in SHARING if file.startswith(group)), file)


def pytest_configure():
    """Enable SIGINT in programs that tests start: a shell's background job ignores it, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection():
    """Keep the garbage collector from examining TensorFlow's million objects during and after its import."""
    gc.disable()


def pytest_collection_finish():
    """Enable the garbage collector, seldom enough that it takes hardly any time of a conversion."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no process ends long after the others."""
    seconds = Counter()
    for item in items:
        seconds[scope_of(item.nodeid)] += long_tests().get(item.nodeid, SHORT_SECONDS)
    items.sort(key=lambda item: -seconds[scope_of(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """``--dist loadfile`` with folders of ``SHARING`` as one file."""
    from xdist.scheduler import LoadFileScheduling

    class ByScope(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    return ByScope(config, log) if config.getvalue("dist") == "loadfile" else None


@cache
def long_tests():
    """The tests that took more than ``FAST_SECONDS`` on an idle machine, with their seconds."""
    return json.loads(DURATIONS.read_text(encoding="utf-8"))


def pytest_itemcollected(item):
    """Mark the tests of ``durations.json``, and those in a browser, as slow; ``make test-fast`` skips them."""
    if item.nodeid in long_tests() or "chromium" in item.fixturenames:
        item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter):
    """Print the files that took longest; with ``UPDATE_DURATIONS``, store the seconds of the tests."""
    files, tests = Counter(), Counter()
    for report in [
        each for reports in terminalreporter.stats.values() for each in reports if hasattr(each, "duration")
    ]:
        files[report.nodeid.partition("::")[0]] += report.duration
        if report.when == "call":
            tests[report.nodeid] = report.duration
    if len(files) <= SHOWN:
        return
    terminalreporter.section(f"the {SHOWN} files that took longest, of {sum(files.values()):.0f} s in all")
    for file, seconds in files.most_common(SHOWN):
        terminalreporter.line(f"{seconds:7.1f} s  {file}")
    if os.environ.get("UPDATE_DURATIONS"):
        long = {test: round(seconds, 1) for test, seconds in sorted(tests.items()) if seconds > FAST_SECONDS}
        DURATIONS.write_text(json.dumps(long, indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def disk_not_waited_for():
    """Files that a test writes need not survive a power failure; syncing one takes 3 to 15 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)  # noqa: ARG005 - as os.fsync
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REFERENCE.parent.parent


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of the shipped reference."""
    return REFERENCE


@pytest.fixture(scope="session")
def chromium():
    """An installed Chromium without a window (a Playwright ``Browser``), whose camera shows a test picture."""
    from pipeline.deploy.web.browser import launched, why_no_browser

    reason = why_no_browser()
    if reason:
        pytest.skip(f"no browser to look with: {reason}")
    with launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as started:
        yield started
