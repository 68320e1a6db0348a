"""The table of configurations that the search has tried."""

from types import SimpleNamespace

from pipeline.documents.manifest import Candidate, Decision
from pipeline.export.quantize.decisions import format_decisions


def candidate(summary, mean_difference, stage="calibration", method="minmax"):
    return Candidate(
        stage=stage,
        config={"method": method, "images": 100},
        summary=summary,
        accuracy=0.9,
        lost_points=0.1,
        agreement=0.99,
        mean_difference=mean_difference,
        p_value=0.5,
        violations=(),
    )


def test_of_each_calibration_method_the_closest_is_shown_and_the_winner_always():
    tried = (
        candidate("minmax 100", 0.003),
        candidate("minmax 500", 0.001),
        candidate("minmax 1000", 0.002),
        candidate("entropy 100", 0.005, method="entropy"),
        candidate("entropy 500", 0.004, method="entropy"),
        candidate("entropy 100, per tensor", 0.006, stage="structure", method="entropy"),
    )
    decision = Decision(summary="entropy 100", passed=True, candidates=tried)
    manifest = SimpleNamespace(
        validation=SimpleNamespace(images=5000, keras_accuracy=0.9, keras_macro_f1=None),
        decisions={"model_int8.onnx": decision},
        thresholds=None,
    )
    lines = format_decisions(manifest).splitlines()
    shown = [entry.summary for entry in tried if any(line.endswith(f"  {entry.summary}") for line in lines)]
    assert shown == ["minmax 500", "entropy 100", "entropy 100, per tensor"]
    assert [line.strip()[0] for line in lines if line.endswith("  entropy 100")] == ["*"]
