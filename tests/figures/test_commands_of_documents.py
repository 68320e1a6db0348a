"""Each command of each document is accepted by the command lines, and each link has a target.

Other tests show that they do what the page says: tests/runtime/test_docs.py runs docs/runtime.md, tests/pi runs
docs/raspberry-pi.md, and the tests of each command run it.
"""

import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs.figures import cli as figures_cli
from pipeline import cli as pipeline_cli
from runtime import cli as runtime_cli

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```.*\n((?s:.*?))^```$", re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#]+)")
PYTHON = re.compile(r"(?:\S*/)?python3? -m (pipeline|runtime|docs\.figures)( .*|$)")
MAKE = re.compile(r"make( .*|$)")
BOARD = re.compile(r"(?:\S*/)?edgecnn( [a-z-].*)")
PARSERS = {
    "pipeline": pipeline_cli.parse,
    "runtime": runtime_cli.parse,
    "docs.figures": lambda arguments: figures_cli.parse(arguments, figures_cli.COMMANDS),
}


def lines(text):
    """The commands of a page: lines of code blocks, with continuation lines joined, and texts between backticks."""
    for block in BLOCK.findall(text):
        whole = block.replace("\\\n", " ").splitlines()
        typed = [line[2:] for line in whole if line.startswith("$ ")]  # the others are what they print
        for command in re.split(r" \| | && |\n", "\n".join(typed or whole)):
            yield command.removesuffix(" &&").strip(), True
    for command in INLINE.findall(BLOCK.sub("", text)):
        yield command, False


def commands():
    found = {}
    for page in PAGES:
        for command, complete in lines(page.read_text(encoding="utf-8")):
            python, board, make = PYTHON.fullmatch(command), BOARD.fullmatch(command), MAKE.fullmatch(command)
            module = python[1] if python else "runtime" if board else "make" if make else None
            match = python or board or make
            words = shlex.split(match[match.lastindex], comments=True) if match else []
            if words or module == "make":
                found[f"{page.name}: {command[:90]}"] = (module, words, complete)
    return found


COMMANDS = commands()
PYTHONS = [name for name, (module, *_) in COMMANDS.items() if module in PARSERS]
MAKES = [name for name, (module, *_) in COMMANDS.items() if module == "make"]


def test_commands_are_found():
    assert {module for module, *_ in COMMANDS.values()} == {*PARSERS, "make"}
    assert len(PYTHONS) > 60
    assert len(MAKES) > 20


@pytest.mark.parametrize("name", PYTHONS)
def test_a_command_line_takes_it(name, capsys):
    module, words, complete = COMMANDS[name]
    if complete and "--help" not in words:
        assert PARSERS[module](words).run
    else:
        with pytest.raises(SystemExit) as ended:
            PARSERS[module]([*words[:1], "--help"] if words[0] != "--help" else words)
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert not [word for word in words if word.startswith("--") and word not in text]
    for word in words:
        if word.startswith(("artifacts/reference/", "docs/")):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("name", MAKES)
def test_make_has_its_target(name):
    words = [word.replace("DIR", "photos") for word in COMMANDS[name][1]]
    subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)  # noqa: S607 - the make of PATH


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / unquote(link)).exists()]
    assert not missing
