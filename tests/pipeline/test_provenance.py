"""The report's table of how much each layer suffers from rounding."""

from pipeline.documents.manifest import Decision, LayerNoise
from pipeline.report.provenance import _layers


def layer(number, **changes):
    told = {"noise": number / 1_000, "added": number / 1_000, "multiplications": 1 / 12, "in_float": False}
    return LayerNoise(name=f"layer {number}", **told | changes)


def test_the_noisiest_layers_come_first():
    every = tuple(layer(number, in_float=number == 11) for number in range(12))
    table = _layers("model_int8.onnx", Decision(summary="x", passed=True, candidates=(), layers=every))
    assert [row[0] for row in table.rows] == [f"layer {number}" for number in range(11, 1, -1)]
    assert [row[-1] for row in table.rows[:2]] == ["float", "int8"]
    assert table.rows[0][1:4] == ("1.1e-02", "1.1e-02", "8.33%")
    assert "the 10 noisiest of 12" in table.title
    few = _layers("model_int8.onnx", Decision(summary="x", passed=True, candidates=(), layers=every[:3]))
    assert "noisiest" not in few.title
