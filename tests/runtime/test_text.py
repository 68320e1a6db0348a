"""Text of messages: nouns agree with counts, and hostile names act neither on a terminal nor in a spreadsheet."""

import csv
import io
import unicodedata

import pytest

from runtime.text import columns, first_bytes, for_csv, for_terminal, is_plain, plural

PLAIN = [
    "photo.jpg",
    "Größe 3.png",
    "画像.jpg",
    "\u0645\u06cc\u200c\u062e\u0648\u0631\u0645",
    "👩\u200d🔬",
    "10.30\u202fAM.png",
    "a$b `c` *d* =e",
    "C:\\x",
]
ACTIVE = {
    "a\nb": r"a\nb",
    "a\r\tb": r"a\r\tb",
    "\x1b[2J.png": r"\x1b[2J.png",
    "\x9b2J": r"\x9b2J",
    "\x00\x7f\xad": r"\x00\x7f\xad",
    "gpj.\u202eexe": r"gpj.\u202eexe",
    "\u2066a\u2069": r"\u2066a\u2069",
    "\u200e\u200f\u061c\ufeff\u200b": r"\u200e\u200f\u061c\ufeff\u200b",
    "a\u2028b\u2029": r"a\u2028b\u2029",
    "\udcff\udce9.png": r"\udcff\udce9.png",
    "\U000e0041": r"\U000e0041",
}


@pytest.mark.parametrize(
    ("head", "described"),
    [
        (b"I am text", "the text 'I am text'"),
        (b"I am text, and long", "the text 'I am text, and l…'"),
        (b"<html>\r\n\t<p>", "the text '<html>   <p>'"),
        (b"\x00\xffa" * 9, "the bytes 00 ff 61 00 ff 61 00 ff 61 00 ff 61 00 ff 61 00"),
        (b"\x1b[2J", "the bytes 1b 5b 32 4a"),
        (b"\x1ca", "the bytes 1c 61"),
        ("é".encode(), "the bytes c3 a9"),
    ],
)
def test_first_bytes_are_described_as_text_or_as_hexadecimal_numbers(head, described):
    assert first_bytes(head) == described


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_names_stay_as_they_are(text):
    assert for_terminal(text) == text
    assert is_plain(text)


@pytest.mark.parametrize(("text", "shown"), ACTIVE.items(), ids=map(ascii, ACTIVE))
def test_what_a_terminal_obeys_is_shown_as_an_escape(text, shown):
    assert for_terminal(text) == shown
    assert not is_plain(text)


def test_no_character_that_moves_a_terminal_or_turns_its_text_is_left():
    joiners = {"\u200c", "\u200d"}
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    active = [letter for letter in map(chr, range(0x110000)) if unicodedata.category(letter) in kinds]
    assert not any(letter in for_terminal(f"a{letter}") for letter in active if letter not in joiners)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\uff1d1", "=\n1"])
def test_no_cell_of_a_csv_begins_a_formula(text):
    cell = for_csv(text)
    assert cell[0] == "'"
    assert cell[1:] == for_terminal(text)
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow([cell])
    assert written.getvalue().count("\n") == 1


@pytest.mark.parametrize("text", ["", "-", "photo.jpg", "a=b", "1-2"])
def test_other_cells_stay_as_they_are(text):
    assert for_csv(text) == text


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "image", "0 images"),
        (1, "test image", "1 test image"),
        (1200, "image", "1,200 images"),
        (2, "class", "2 classes"),
    ],
)
def test_a_noun_agrees_with_its_count(count, noun, said):
    assert plural(count, noun) == said


def test_columns_are_as_wide_as_their_longest_cell():
    rows = [("file", "engine", "ms", "MiB"), ("a.onnx", "x", "10.5", "3")]
    assert columns(rows, "llr") == ["file    engine    ms  MiB", "a.onnx  x       10.5    3"]
    assert columns(rows, "lrrl") == ["file    engine    ms  MiB", "a.onnx       x  10.5  3"]
    assert columns([("a",), ("bc",)], "lr") == ["a", "bc"]
