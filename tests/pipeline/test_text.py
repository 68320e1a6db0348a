"""Hostile names in Markdown, in figures and in the JSON documents."""

import io
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

import measured_folder
from pipeline import artifacts
from pipeline.data import class_names
from pipeline.data.class_list import read_class_list
from pipeline.documents.base import Entry
from pipeline.errors import ExportError
from pipeline.report import report
from pipeline.text import code, for_figure, for_markdown, table
from pipeline.verify.evaluate import figures
from runtime.text import is_plain

HOSTILE = [
    "![x](http://127.0.0.1:9/t.png)",
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ ~~gone~~ `code`",
    "# heading",
    "- item",
    "a | b",
    "http://127.0.0.1:9/",
    "www.example.org me@example.org",
    "$\\frac{1}{0}$",
    "\x1b[31mred\x1b[0m\x07",
    "gpj.\u202eexe",
    "two\nlines",
    "&lt;b&gt; \\* \\",
    "`` ` ``",
    "=cmd|' C calc'!A0",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_of_a_name_is_alive_in_markdown(text):
    shown = for_markdown(text)
    assert shown.isprintable()
    for active in ("![", "](", "<", "|", "**", "~~", "http://", "www.", "$\\f"):
        assert active not in shown.replace("\\" + active[0], ""), shown
    assert not shown.startswith(("# ", "- ", "+ ", ">"))


def test_ordinary_names_stay_readable_in_markdown():
    assert (
        for_markdown("model_int8.onnx, 4 threads (93.1 %): 1-2 of C++")
        == "model_int8.onnx, 4 threads (93.1 %): 1-2 of C++"
    )
    assert code("model_int8.onnx") == "`model_int8.onnx`"


@pytest.mark.parametrize("text", ["`", "``a`` b", "a`", "a\nb`c``d"])
def test_a_code_span_ends_where_it_should(text):
    span = code(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert span.endswith(fence)
    assert fence not in span[len(fence) : -len(fence)]
    assert "\n" not in span


NAMES = ["$\\frac{1}{0}$", "5$ and 6$", "\\$", "a_b^c", "$"]


@pytest.mark.parametrize("text", NAMES)
def test_a_figure_shows_a_name_as_it_is(text):
    figure = Figure()
    drawn = figure.text(0, 0, for_figure(text))
    figure.savefig(io.BytesIO())  # which would parse formulas
    assert drawn._preprocess_math(drawn.get_text()) == (text, False)  # noqa: SLF001


def test_a_confusion_matrix_of_such_names_is_drawn(tmp_path):
    names = (*NAMES, "tac\u202e")
    figures.draw_confusion(tmp_path / "c.png", np.eye(len(names), dtype=np.int64), names)
    assert (tmp_path / "c.png").stat().st_size > 1_000


BAD_NAMES = [
    [],
    ["a", ""],
    ["a", " b"],
    ["a", "b\x1b[2J"],
    ["a", "b\u202e"],
    ["a", "b", "a"],
    ["caf\u00e9", "cafe\u0301"],
]


@pytest.mark.parametrize("names", BAD_NAMES, ids=ascii)
def test_a_list_of_classes_with_such_names_is_refused(tmp_path, names):
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(names) + "\nlast" * bool(names), encoding="utf-8")
    if names == ["a", " b"]:
        assert read_class_list(path) == ("a", "b", "last")
        return
    with pytest.raises(ExportError, match=r"classes\.txt: "):
        read_class_list(path)


@pytest.mark.parametrize("names", [["a", None], ["a", 3], ["a", "b\n"], ["a", "\u200fb"], ["a", "a"]], ids=ascii)
def test_class_names_from_anywhere_are_looked_at(names):
    assert class_names.fault(names)
    assert class_names.fault(["\u0645\u06cc\u200c\u062e", "a$b", "=c", "d|e", "<f>"]) is None


class Named(Entry):
    name: str
    more: tuple[str, ...] = ()
    by_name: dict[str, int] = {}  # noqa: RUF012 - pydantic copies it


def test_texts_of_documents_are_printable():
    content = json.dumps({"name": "\x1b[31m\u202e", "more": ["a\nb\x07"], "by_name": {"\x00": 1}})
    read = Named.model_validate_json(content)
    assert read == Named(name=r"\x1b[31m\u202e", more=("a\nb\\x07",), by_name={r"\x00": 1})


@pytest.mark.slow
@pytest.mark.parametrize("texts", [HOSTILE[start::4] for start in range(4)], ids=ascii)
def test_a_report_of_hostile_names_is_written_and_nothing_in_it_is_alive(tmp_path, texts):
    measured_folder.write(tmp_path)
    benchmark = json.loads((tmp_path / artifacts.BENCHMARK).read_text())
    for text, contender, field in zip(texts, benchmark["contenders"], ("name", "cpu", "os", "governor"), strict=False):
        benchmark["device"][field] = contender["engine"] = contender["artifact"] = text
    (tmp_path / artifacts.BENCHMARK).write_text(json.dumps(benchmark))
    report(tmp_path)
    page = (tmp_path / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    table = (tmp_path / artifacts.REPORT_TABLE).read_text(encoding="utf-8")
    for written in (page, table):
        assert all(map(is_plain, written.split("\n")))
    assert "<img src=x" not in page + table
    table = re.sub(r"model_\w+\.", "", table)  # the names of our own files
    table = re.sub(r"\\.", "", re.sub(r"(`+).*?\1", "", table))  # neither code nor escaped letters are alive
    for active in ("](", "![", "~", "$", "_", "://", "www."):
        assert active not in table


def test_a_table_has_a_cell_for_each_column():
    assert table(("a", "b", "c"), [("x|<", "1")]) == "| a | b | c |\n| --- | ---: | ---: |\n| x\\|&lt; | 1 |  |"
    assert table(("a",), [("x",)]) == "| a |\n| --- |\n| x |"
