"""Packed contents of model files: archives, pictures and JSON that take far more memory than their size."""

import base64
import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from hostile.packed import ARCHIVES, DATA, END, GOLDEN, LIMITS, PICTURES, PIXELS, archive, bomb, header, png
from runtime import ModelFormatError, ModelSpecError
from runtime.engines.archive import MAX_RATIO, SMALL_BYTES, read_members
from runtime.golden import GoldenSet
from runtime.system.files import MAX_VALUES, parse_json


@pytest.mark.parametrize("name", PICTURES)
def test_a_golden_picture_is_what_export_writes_or_refused(name):
    entries = GOLDEN | {"png": base64.b64encode(PICTURES[name]).decode()}
    with pytest.raises(ModelSpecError, match=r"^golden set is not readable"):
        GoldenSet.from_json(json.dumps(entries))


def test_a_golden_picture_as_export_writes_it_is_read():
    plain = GOLDEN | {"png": base64.b64encode(png(header(8, 16), DATA, END)).decode()}
    assert not GoldenSet.from_json(json.dumps(plain)).pixels.any()
    assert np.array_equal(GoldenSet.from_json(json.dumps(GOLDEN)).pixels, PIXELS)


@pytest.mark.parametrize("image_format", ["JPEG", "GIF", "WEBP", "TIFF"])
def test_a_golden_picture_of_another_format_is_refused(image_format):
    stream = io.BytesIO()
    Image.fromarray(PIXELS.reshape(16, 8, 3)).save(stream, image_format)
    with pytest.raises(ModelSpecError):
        GoldenSet.from_json(json.dumps(GOLDEN | {"png": base64.b64encode(stream.getvalue()).decode()}))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" + "[]," * MAX_VALUES + "0]",
        "[" + "{}," * MAX_VALUES + "0]",
        b"[" + b"0," * MAX_VALUES + b"0]",
        ("[" + "0," * MAX_VALUES + "0]").encode("utf-16"),
        "9" * 5000,
        b"\xff",
        "",
    ],
)
def test_json_is_held_to_a_depth_and_a_number_of_values(text):
    with pytest.raises(ValueError):  # noqa: PT011 - which reason does not matter
        parse_json(text)


def test_ordinary_json_is_parsed():
    assert parse_json('{"a": [1, 2.5, null, "\\u00fc, [{"]}') == parse_json('{"a": [1, 2.5, null, "ü, [{"]}'.encode())


@pytest.mark.parametrize("name", ARCHIVES)
def test_no_member_takes_more_than_it_may(name):
    with pytest.raises(ModelFormatError, match=r"^model\.tflite: its archive is damaged"):
        read_members(ARCHIVES[name](), "model.tflite", LIMITS)


@pytest.mark.parametrize("name", ["larger than it says", "says nothing is in it", "larger than its limit"])
def test_what_a_member_hides_is_not_unpacked(name):
    content = ARCHIVES[name]()
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError):
            read_members(content, "model.tflite", LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content) + SMALL_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, 5000, SMALL_BYTES])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_whole(size, method):
    content = archive(("spec", bytes(size)), ("other", bomb()), method=method)
    assert read_members(content, "model.tflite", LIMITS) == {"spec": bytes(size)}


def test_well_packed_text_is_within_the_ratio():
    text = json.dumps({"class_names": [f"class number {index}" for index in range(100_000)]}).encode()
    packed = archive(("spec", text))
    assert SMALL_BYTES < len(text) < MAX_RATIO * len(packed)
    assert read_members(packed, "model.tflite", LIMITS)["spec"] == text
