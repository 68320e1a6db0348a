import pytest

from docs.figures import networks
from docs.figures.documents import marked
from pipeline import artifacts
from pipeline.errors import PipelineError


def test_the_table_is_the_files(repository):
    figures = artifacts.read_json(repository / networks.FIGURES)
    assert not [row["source"] for row in figures["networks"] if row["source"].startswith("/")]
    text = (repository / networks.DOCUMENT).read_text(encoding="utf-8")
    assert marked(networks.MARKER, networks.networks_table(figures)) in text


def test_rows_are_in_order_of_their_cost_and_published_figures_have_no_interval():
    figures = {
        "device": "a CPU",
        "rounds": 2,
        "runs": 3,
        "networks": [
            {
                "title": "small",
                "images": 100,
                "multiply_accumulates": 2_000_000,
                "accuracy": {"model_int8.onnx": 0.9, "model_int8.tflite": 0.91},
                "kib": {"model_int8.onnx": 10.4, "model_int8.tflite": 9.6},
                "latency_us": {"model_int8.onnx": 50.2, "model_int8.tflite": 40.0},
            },
            {
                "title": "theirs",
                "images": None,
                "multiply_accumulates": 1_000_000,
                "accuracy": {"published": 0.8},
                "kib": {"published": 5.0},
                "latency_us": {},
            },
        ],
    }
    rows = networks.networks_table(figures).splitlines()
    assert rows[2] == "| theirs | 1.0 | 80.00% |  | 5 |  |"
    assert rows[3] == "| `small` | 2.0 | 90.00%, 91.00% | 82.6% to 94.5% | 10, 10 | 50, 40 |"
    assert "6 calls" in rows[-1]


def test_missing_files_of_other_projects_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "SHIPPED", {})
    with pytest.raises(PipelineError, match=r"no pretrainedResnet_quant\.tflite, .* mlcommons/tiny"):
        networks.measure(tmp_path)
