import json

import pytest

from docs.figures.documents import marked
from pi import parity
from pi.page import FIGURES_OF_PAGE, PAGE, Block, blocks


def test_every_block_of_the_page_is_run_or_says_why_not():
    found = blocks(PAGE.read_text(encoding="utf-8"))
    assert {block.place for block in found} == {"", "desk", "pi"}
    assert sum(block.place != "" for block in found) > sum(block.place == "" for block in found)


def test_the_figures_of_the_page_are_those_of_its_file():
    table = parity.table(json.loads(FIGURES_OF_PAGE.read_text(encoding="utf-8")))
    assert marked("parity", table) in PAGE.read_text(encoding="utf-8")


def test_blocks_are_told_apart():
    text = "```sh desk\nmake\n```\nand\n<!-- not run: needs a camera -->\n```sh\nrpicam-still\n```\n"
    assert blocks(text) == [Block("desk", "make\n", "", 1), Block("", "rpicam-still\n", "needs a camera", 6)]


@pytest.mark.parametrize(
    "text", ["```sh\nmake\n```\n", "```\nmake\n```\n", "<!-- not run: why -->\n```sh pi\nmake\n```\n"]
)
def test_a_block_that_says_neither_is_refused(text):
    with pytest.raises(ValueError, match="line"):
        blocks(text)
