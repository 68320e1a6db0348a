"""CONTRIBUTING.md lists the modules that exist; files and functions are short."""

import ast
import re
import subprocess

import pytest


@pytest.fixture
def listings(repository):
    """The names that CONTRIBUTING.md lists, by package."""
    text = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = {}
    for package in ("runtime", "pipeline"):
        listing = re.search(rf"^{package}/ .*\n((?:  .*\n)+)", text, re.MULTILINE)[1]
        found[package] = set(re.findall(r"^  ([\w.]+)/? ", listing, re.MULTILINE))
    return found


@pytest.mark.parametrize("package", ["runtime", "pipeline"])
def test_every_folder_and_module_is_listed_and_no_other(package, repository, listings):
    there = {
        path.name
        for path in (repository / package).iterdir()
        if not path.name.startswith("__") and (path.suffix == ".py" or path.is_dir())
    }
    assert listings[package] == there


def test_every_commit_that_is_named_exists(repository):
    def git(*words):
        return subprocess.run(["git", *words], cwd=repository, capture_output=True, text=True, check=False)  # noqa: S607

    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("not a clone with its history")
    text = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"commit\s+([0-9a-f]{7,40})", text)
    assert len(named) >= 4
    assert [commit for commit in named if git("cat-file", "-e", f"{commit}^{{commit}}").returncode] == []


@pytest.mark.parametrize("package", ["runtime", "pipeline", "docs"])
def test_files_and_functions_are_short(package, repository):
    long = []
    for path in (repository / package).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        long += [path] if len(text.splitlines()) > 300 else []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60:
                long.append(f"{path}: {node.name}")
    assert not long
