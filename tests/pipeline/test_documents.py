"""Every document is read back as it was written; any other file gives a one-line error."""

import json
from dataclasses import fields

import pytest

import measured_folder
from pipeline import artifacts
from pipeline.documents import benchmark
from pipeline.documents.base import MAX_BYTES, Document, read
from pipeline.documents.benchmark import Benchmark
from pipeline.documents.drift import DriftReport
from pipeline.documents.evaluation import Evaluation, LabelEvaluation
from pipeline.documents.history import History
from pipeline.documents.known import Known
from pipeline.documents.manifest import Manifest
from pipeline.documents.mistakes import Mistakes
from pipeline.documents.verify import Verification, VerificationSummary
from pipeline.errors import DocumentError
from runtime import replay
from runtime.benchmark import document, environment, photo, statistics

KINDS = (
    Manifest, Verification, VerificationSummary, DriftReport, Benchmark, Evaluation, LabelEvaluation, History, Known,
    Mistakes,
)  # fmt: skip
HAND_MADE = {
    Manifest: measured_folder.manifest(),
    Verification: measured_folder.verified(),
    VerificationSummary: {**measured_folder.verified(), "keras_accuracy": 0.84},
    DriftReport: measured_folder.drifted(),
    Benchmark: measured_folder.benchmark(),
    Evaluation: measured_folder.evaluation(),
    LabelEvaluation: measured_folder.label_evaluation(),
    History: measured_folder.history(),
    Known: measured_folder.known(),
    Mistakes: measured_folder.mistakes(),
}
NETWORKS = [folder.parent for folder in sorted(artifacts.REFERENCE_DIR.glob("*/history.json"))]
SHIPPED = {
    Manifest: [artifacts.REFERENCE_DIR],
    Verification: [artifacts.REFERENCE_DIR, *NETWORKS],
    History: [artifacts.REFERENCE_DIR, *NETWORKS],
}
WRONG = (None, -1, "\x1b[2J", ["x"], {"x": 1}, True, 10**30, float("nan"))


def places(value, path=()):
    """The path of every entry within a JSON value; of the entries of long lists only the first."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from places(entry, (*path, key))


def replaced(value, path, wrong):
    """A copy with the value at one path replaced."""
    if not path:
        return wrong
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], wrong)
    return copy


def written(folder, kind, value):
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / kind.FILE).unlink(missing_ok=True)  # ext4 waits for the disk where a file is written over
    (folder / kind.FILE).write_text(text, encoding="utf-8")
    return folder


DROPPED = ("latency_ratio", "sure_ratio")
"""Entries of candidates that are not written any more."""


def lost(shipped, kept, path=""):
    """The entries of a shipped document that are lost by reading and writing it."""
    if isinstance(shipped, dict):
        for name, value in shipped.items():
            if name not in DROPPED:
                yield from lost(value, kept.get(name), f"{path}.{name}")
    elif isinstance(shipped, list) and len(shipped) == len(kept):
        for number, pair in enumerate(zip(shipped, kept, strict=True)):
            yield from lost(*pair, f"{path}.{number}")
    elif shipped != kept:
        yield path


def plain(document):
    return document.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(kind, tmp_path):
    document = kind.read(written(tmp_path, kind, HAND_MADE[kind]))
    document.write(tmp_path)
    assert kind.read(tmp_path) == document
    heading = json.loads((tmp_path / kind.FILE).read_text(encoding="utf-8"))
    assert list(heading)[:2] == ["format", "version"]
    assert (heading["format"], heading["version"]) == (kind.FORMAT, kind.VERSION)


@pytest.mark.parametrize("kind", SHIPPED)
def test_shipped_documents_are_read_whole(kind):
    """Reading and writing a shipped file loses nothing."""
    for folder in SHIPPED[kind]:
        shipped = json.loads((folder / kind.FILE).read_text(encoding="utf-8"))
        heading = {"format": kind.FORMAT, "version": kind.VERSION}
        assert not list(lost(shipped, plain(kind.read(folder)) | heading))


def test_the_first_version_is_summed_up_or_refused(tmp_path):
    file = {"bytes": 122_872, "agreement": 0.987, "accuracy": 0.8589, "p_value": 1.0, "breaches": []}
    written(tmp_path, Verification, {"images": 10_000, "keras_accuracy": 0.8588, "artifacts": {"model.onnx": file}})
    assert VerificationSummary.read(tmp_path).images == 10_000
    with pytest.raises(DocumentError, match=r"has no entry 'class_names'; run python -m pipeline verify DIR"):
        Verification.read(tmp_path)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_entry_is_one_line_or_harmless(kind, wrong, tmp_path):
    refused = 0
    for path in places(HAND_MADE[kind]):
        written(tmp_path, kind, replaced(HAND_MADE[kind], path, wrong))
        try:
            kind.read(tmp_path)
        except DocumentError as error:
            refused += 1
            message = str(error)
            assert "\n" not in message
            assert "\x1b" not in message
            assert len(message) < 600
            assert message.startswith(str(tmp_path / kind.FILE))
            assert message.endswith(kind.REMEDY)
    assert refused > len(kind.model_fields) / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "its content is"),
        ('"text"', "its content is"),
        ('{"format": "edgecnn-other"}', "its format is 'edgecnn-other'"),
        ('{"version": 99}', "written in version 99 of the format, this edgecnn reads up to"),
        ('{"version": "1"}', "its 'version' is '1'"),
    ],
)
def test_a_file_that_is_no_document_gives_an_error(kind, content, fault, tmp_path):
    with pytest.raises(DocumentError, match=r"[^\n]+") as caught:
        kind.read(written(tmp_path, kind, content))
    assert fault in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not History])
def test_entries_that_are_needed_are_asked_for(kind, tmp_path):
    with pytest.raises(DocumentError, match="has no entry"):
        kind.read(written(tmp_path, kind, "{}"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unreadable_document_gives_an_error(kind, tmp_path):
    with pytest.raises(DocumentError, match="not there; "):
        kind.read(tmp_path)
    (tmp_path / kind.FILE).mkdir()
    with pytest.raises(DocumentError, match="a folder, not a file"):
        kind.read(tmp_path)
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DocumentError, match="larger than"):
        read(tmp_path / "large.json", kind)


WRITTEN = {
    benchmark.Machine: environment.Device,
    benchmark.SystemState: environment.SystemState,
    benchmark.Conditions: document.Conditions,
    benchmark.Settings: document.Settings,
    benchmark.Missing: document.Missing,
    benchmark.Latency: statistics.Latency,
    benchmark.Ratio: statistics.Ratio,
    benchmark.Golden: replay.ReplayResult,
    benchmark.Contender: document.Row,
    benchmark.Photo: photo.Photo,
    benchmark.EndToEnd: document.EndToEnd,
    benchmark.Benchmark: document.Benchmark,
}


@pytest.mark.parametrize(("read_by", "written_by"), WRITTEN.items(), ids=lambda kind: kind.__name__)
def test_what_the_runtime_writes_is_read_whole(read_by, written_by):
    assert set(read_by.model_fields) == {entry.name for entry in fields(written_by)}


def test_the_shipped_benchmark_is_read():
    kept = json.loads((artifacts.REFERENCE_DIR.parent.parent / "docs" / "benchmark.json").read_text(encoding="utf-8"))
    shipped = {name: value for name, value in kept["benchmark"].items() if name not in ("format", "version")}
    assert Benchmark.model_validate_json(json.dumps(shipped)).model_dump(mode="json") == shipped


def test_every_kind_is_tested():
    assert set(Document.__subclasses__()) == set(KINDS)


def test_all_shipped_documents_are_tested():
    named = {path.name for path in artifacts.REFERENCE_DIR.glob("*.json")} & {kind.FILE for kind in KINDS}
    assert {kind.FILE for kind in SHIPPED} == named
