"""CONTRIBUTING.md lists what is there."""

import re

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


def test_a_documents_commands_are_those_of_the_make_file(repository):
    targets = re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page in (repository / "README.md", *repository.glob("*.md"), *(repository / "docs").glob("*.md")):
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
