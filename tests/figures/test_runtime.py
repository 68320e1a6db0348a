import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from docs.figures.bars import Bar, ratio_bar
from docs.figures.files import BENCHMARK_RUNTIME
from docs.figures.runtime import QUICK, benchmark_runtime, format_runtime_benchmark
from docs.figures.runtime.contenders import HandWritten, script
from docs.figures.runtime.processes import interleaved_processes
from pipeline import artifacts
from runtime import Classifier


def test_a_bar_knows_whether_it_is_met():
    assert Bar("", 1.1, 1.1).met
    assert not Bar("", 1.11, 1.1).met
    assert Bar("", 5.1, 5.0, at_least=True).met
    assert not Bar("", 4.9, 5.0, at_least=True).met


def test_a_ratio_is_ours_over_theirs():
    bar = ratio_bar("", (3.0, 2.0), "ms", 1.4)
    assert (bar.value, bar.met) == (1.5, False)


def test_a_process_costs_its_own_memory():
    ballast = np.ones(50_000_000, np.uint8)
    costs = interleaved_processes({"small": ["true"]}, rounds=1)
    assert costs["small"].peak_mib < 20 < ballast.nbytes / 2**20


def test_contenders_do_what_the_runtime_does(reference, tmp_path, capsys):
    model = reference / artifacts.INT8_ONNX
    ours = Classifier(model)
    theirs = HandWritten(model, ours.spec)
    rows, columns = np.mgrid[0:512, 0:768]
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.stack([rows // 2, columns // 3, rows * 0 + 90], axis=2).astype(np.uint8)).save(path)
    label = ours.classify(path).label
    for contender in (theirs.naive, theirs.full_decode, theirs.opencv, theirs.simplejpeg):
        assert contender(path) == label
    assert list(theirs.folder([path, path], workers=2)) == [label, label]
    code = compile(script(ours.spec), "script", "exec")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["script.py", str(model), str(path)])
        exec(code, {})  # noqa: S102 - the script that the benchmark runs
    assert capsys.readouterr().out.startswith(label)


@pytest.mark.slow
def test_the_benchmark_runs_and_its_json_is_complete(reference, tmp_path):
    shutil.copy(reference / artifacts.INT8_ONNX, tmp_path)
    effort = replace(QUICK, process_rounds=1, folder_photos=10, generated=2)
    report = benchmark_runtime(tmp_path, None, effort)
    assert json.loads(json.dumps(report)) == json.loads((tmp_path / BENCHMARK_RUNTIME).read_text())
    names = " ".join(bar["name"] for bar in report["bars"])
    for part in (
        "faster than full",
        "other decoder",
        "same class",
        "predict",
        "PNG",
        "wall",
        "peak memory of the script",
    ):
        assert part in names
    for part in ("import runtime", "idling", "one thread's rate", "OpenCV's rate", "peak memory of a tenth"):
        assert part in names
    text = format_runtime_benchmark(report)
    assert text.count("met") + text.count("MISSED") >= len(report["bars"])
