"""``verify-bundle --installed``: a bundle older than the installed one is refused."""

import json

import pytest

from small_bundle import needs_openssl, run, sign, write_sums


def versioned(folder, version):
    """Give a folder a ``bundle.json`` that states a version, or with None leaves it out."""
    folder.mkdir(exist_ok=True)
    stated = {} if version is None else {"bundle_version": version}
    (folder / "bundle.json").write_text(json.dumps(stated))
    return folder


@needs_openssl
@pytest.mark.parametrize(
    ("versions", "passes"),
    [
        ((2, 1), "signed and unsigned"),
        ((2, 2), "signed and unsigned"),
        ((1, 2), "never"),
        ((20261126055247, 20261126055248), "never"),
        ((None, 1), "unsigned"),
        ((1, None), "signed and unsigned"),
        ((None, None), "signed and unsigned"),
    ],
)
def test_a_bundle_older_than_the_installed_one_is_refused(bundle, key, tmp_path, versions, passes):
    new, installed = versions
    current = versioned(tmp_path / "current", installed)
    write_sums(versioned(bundle, new))
    sign(bundle, key)
    for kind, arguments in (("unsigned", ()), ("signed", ("--key", key.with_suffix(".pub")))):
        done = run(bundle, *arguments, "--installed", current)
        passed = kind in passes.split()
        assert (done.returncode, done.stdout[:5]) == ((0, "PASS ") if passed else (1, "FAIL "))
        assert passed or "--allow-downgrade" in done.stdout


@pytest.mark.parametrize("version", ["2", 1.5, True, -1, 10**15, [1], {"a\n": 1}, float("inf")], ids=str)
def test_a_version_that_is_no_whole_number_is_refused(bundle, tmp_path, version):
    write_sums(versioned(bundle, version))
    done = run(bundle, "--installed", versioned(tmp_path / "current", 1))
    assert done.returncode == 1
    assert "bundle_version" in done.stdout
    assert done.stdout.removesuffix("\n").isprintable()


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000, b"9" * 5000], ids=lambda text: text[:2])
def test_an_invalid_description_is_refused(bundle, tmp_path, content):
    (bundle / "bundle.json").write_bytes(content)
    write_sums(bundle)
    done = run(bundle, "--installed", versioned(tmp_path / "current", 1))
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 1)
    assert "bundle.json: not the description of a bundle" in done.stdout


def test_an_installed_version_that_is_not_there_is_refused(bundle, tmp_path):
    write_sums(versioned(bundle, 1))
    done = run(bundle, "--installed", tmp_path / "absent")
    assert done.returncode == 1
    assert "absent/bundle.json: No such file" in done.stdout
