"""ONNX Runtime Web as a contender of the benchmark, in a browser of its own."""

import time
from pathlib import Path

import numpy as np
import pytest

from pipeline import artifacts
from pipeline.benchmark.engines import desk_contenders
from pipeline.benchmark.engines.onnxruntime_web import descendants
from pipeline.data import samples
from runtime import Classifier
from runtime.benchmark.photo import PARTS, write_photo
from runtime.benchmark.workers import Worker
from users_cache import DOWNLOADS


def contender(folder, scratch):
    (found,) = (
        one for one in desk_contenders(folder, (1, 2), scratch) if one.backend == "onnxruntime-web" and one.threads == 1
    )
    return found


@pytest.mark.slow
def test_it_answers_as_the_runtime_does_and_is_timed_in_the_page(reference, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(DOWNLOADS))
    one = contender(reference, tmp_path)
    if one.missing:
        pytest.skip(f"{one.engine}: {one.missing}: {one.install}")
    worker = Worker(one.command)
    assert worker.startup.images == "golden set"
    assert worker.startup.peak_memory_bytes > 50e6
    processes = descendants(worker._process.pid)  # noqa: SLF001 - what the browser hangs from
    assert len(processes) > 2

    pixels = samples.read_test(reference).pixels[:100]
    np.save(tmp_path / "images.npy", pixels)
    expected = Classifier(reference / artifacts.INT8_ONNX).predict(pixels).argmax(axis=1)
    assert (np.array(worker.ask("predicted_classes", path=str(tmp_path / "images.npy"))) == expected).mean() >= 0.99
    one_image, eight = (np.median(worker.ask("time", batch=batch, runs=50)) for batch in (1, 8))
    assert 1e4 < one_image < eight
    worker.ask("use", path=str(tmp_path / "images.npy"))
    assert len(worker.ask("time", batch=1, runs=20)) == 20

    write_photo(tmp_path / "photo.jpg")
    parts = worker.ask("photo", path=str(tmp_path / "photo.jpg"), runs=2)
    assert {name: len(values) for name, values in parts.items()} == dict.fromkeys(PARTS, 2)
    assert min(parts["decode"] + parts["resize"]) > 1e5
    assert sum(parts["total"]) > sum(parts["inference"])
    (tmp_path / "photo.tiff").write_bytes(b"II*\0")
    assert worker.ask("photo", path=str(tmp_path / "photo.tiff"), runs=1) is None

    worker.close()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{process}").exists() for process in processes) and time.monotonic() < end:
        time.sleep(0.2)
    assert time.monotonic() < end


def test_without_the_package_it_says_what_to_do(reference, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    one = contender(reference, tmp_path)
    if "package" not in one.missing:
        pytest.skip(one.missing)
    assert "onnxruntime-web" in one.missing
    assert one.install.startswith("python -m pipeline web")


def test_without_a_browser_it_says_what_to_do(reference, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    one = contender(reference, tmp_path)
    assert "installed" in one.missing
    assert "apt install chromium" in one.install
