import shutil

import numpy as np
import pytest

from runtime import Classifier, ModelDigestError, ModelSpec, ModelSpecError
from runtime.engines.base import FileFormat
from runtime.engines.checksum import MARKER, add_checksum, check_checksum

NAMES = ["model_int8.onnx", "model_int8.tflite"]
KIND = FileFormat(".model", "model")


@pytest.fixture(params=NAMES)
def sealed(request, reference):
    content = (reference / request.param).read_bytes()
    return content if MARKER in content else add_checksum(content)


def _is_seen(content):
    try:
        check_checksum(content, KIND, "model", spec_given=False)
    except (ModelDigestError, ModelSpecError):
        return True
    return False


def test_a_sealed_file_runs(sealed, tmp_path):
    suffix = ".tflite" if sealed[4:8] == b"TFL3" else ".onnx"
    if suffix == ".tflite":
        pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"model{suffix}"
    path.write_bytes(sealed)
    assert Classifier(path).predict(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 10)


def test_every_flipped_bit_and_every_cut_is_seen(sealed):
    assert not _is_seen(sealed)
    generator = np.random.default_rng(0)
    places = {0, len(sealed) - 1, *generator.integers(0, len(sealed), 150), *range(len(sealed) - 40, len(sealed))}
    for place in places:
        flipped = bytearray(sealed)
        flipped[place] ^= 1 << int(generator.integers(8))
        assert _is_seen(bytes(flipped)), place
    for length in places - {len(sealed)}:
        assert _is_seen(sealed[:length]), length


def test_a_damaged_file_is_refused_by_name_with_a_remedy(sealed, tmp_path):
    path = tmp_path / ("worn.tflite" if sealed[4:8] == b"TFL3" else "worn.onnx")
    path.write_bytes(sealed[:5000] + bytes([sealed[5000] ^ 1]) + sealed[5001:])
    with pytest.raises(ModelDigestError, match=rf"^{path}: damaged .* copy it again"):
        Classifier(path)


def test_without_a_spec_only_the_caller_can_vouch():
    assert _is_seen(b"another exporter's file")
    check_checksum(b"another exporter's file", KIND, "model", spec_given=True)


def test_a_given_spec_does_not_open_a_damaged_file(reference, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(reference / NAMES[0], path)
    spec = Classifier(path).spec
    content = add_checksum(path.read_bytes()) if MARKER not in path.read_bytes() else path.read_bytes()
    path.write_bytes(content[:9000] + bytes([content[9000] ^ 64]) + content[9001:])
    assert isinstance(spec, ModelSpec)
    with pytest.raises(ModelDigestError):
        Classifier(path, spec=spec)
