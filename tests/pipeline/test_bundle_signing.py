"""Signed bundles: the signature, the keys, and the version that a signed one states."""

import hashlib
import re
import shutil
import subprocess

import pytest

from bundle_archives import described, unpack
from pipeline.cli import main
from pipeline.deploy.bundle import Settings, bundle
from pipeline.deploy.bundle.sign import sign
from pipeline.deploy.bundle.version import default_version
from pipeline.deploy.bundle.wheels import Target
from pipeline.errors import BundleBuildError
from runtime.bundle import SIGNATURE, verify_bundle
from runtime.bundle.version import MAX_VERSION
from runtime.cli import main as runtime_main

OPENSSL = shutil.which("openssl")
PI = Target("3.11", "aarch64")


def test_the_signature_is_one_of_model_signing(reference, key, tmp_path):
    from model_signing import verifying

    command = [OPENSSL, "ec", "-in", key, "-pubout", "-out", key.with_suffix(".pub")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    arguments = ["bundle", str(reference), "--name", "signed", "--no-wheels", "--sign-key", str(key)]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    folder = unpack(tmp_path / "edgecnn-signed-0.1.0-aarch64-py311.tar.gz", tmp_path)
    assert verify_bundle(folder, key.with_suffix(".pub")) == 9
    config = verifying.Config().use_elliptic_key_verifier(public_key=key.with_suffix(".pub"))
    config.verify(folder, folder / SIGNATURE)


@pytest.mark.parametrize("command", [["ecparam", "-name", "secp384r1", "-genkey"], ["genrsa", "2048"]])
def test_a_key_of_another_kind_is_refused(reference, tmp_path, command):
    key = subprocess.run([OPENSSL, *command], capture_output=True, check=True).stdout
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(BundleBuildError, match="P-256"):
        bundle(reference, tmp_path, Settings("test", PI, wheels=False, sign_key=tmp_path / "key.pem"))


def test_a_key_that_is_not_there_is_named_with_how_to_make_one(tmp_path):
    with pytest.raises(BundleBuildError) as caught:
        sign(tmp_path, tmp_path / "none.pem")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'none.pem'}: No such file or directory; expected a private key in PEM")
    assert "openssl ecparam -name prime256v1" in message


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run([OPENSSL, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True)
    return path


def test_a_signed_bundle_states_when_it_was_built(key, reference, tmp_path):
    before, archive, after = (
        default_version(signed=True),
        bundle(reference, tmp_path, Settings("test", PI, wheels=False, sign_key=key)),
        default_version(signed=True),
    )
    card = described(archive)
    assert before <= card["bundle_version"] <= after < MAX_VERSION
    assert abs(int(re.sub(r"\D", "", card["date"])) - card["bundle_version"]) < 1000
    assert card["key"] == "key"
    public = subprocess.run([OPENSSL, "ec", "-in", key, "-pubout", "-outform", "DER"], capture_output=True, check=True)
    assert card["key_sha256"] == hashlib.sha256(public.stdout).hexdigest()


def public_key(path, *command):
    """A new key of this kind, its public part in ``path``."""
    private = subprocess.run([OPENSSL, *command], capture_output=True, check=True).stdout
    public = subprocess.run([OPENSSL, "pkey", "-pubout"], input=private, capture_output=True, check=True).stdout
    path.write_bytes(public)
    return path, private


P256 = ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def test_the_next_key_travels_in_what_the_present_one_signs(key, reference, tmp_path, capsys):
    path, _ = public_key(tmp_path / "next.pub", *P256)
    arguments = ["bundle", str(reference), "--name", "signed", "--no-wheels", "--sign-key", str(key)]
    assert main([*arguments, "--next-key", str(path), "--out", str(tmp_path)]) == 0
    folder = unpack(tmp_path / "edgecnn-signed-0.1.0-aarch64-py311.tar.gz", tmp_path)
    assert (folder / "next-key.pub").read_bytes() == path.read_bytes()
    subprocess.run([OPENSSL, "ec", "-in", key, "-pubout", "-out", tmp_path / "key.pub"], check=True, stderr=-3)
    assert runtime_main(["verify-bundle", str(folder), "--key", str(tmp_path / "key.pub")]) == 0
    said = capsys.readouterr().out
    assert "It is signed: docs/raspberry-pi.md says how the key gets there." in said
    assert "a signature" in said
    assert said.endswith("key.pub, and by next-key.pub from the next bundle on\n")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("the same", "already signs this bundle"), ("private", "expected the next public key"), ("RSA", "P-256"),
     ("missing", "No such file"), ("unsigned", "must be signed with the present key")],
)  # fmt: skip
def test_a_next_key_that_boards_could_not_go_by_is_refused(key, reference, tmp_path, kind, message):
    path, private = public_key(tmp_path / "next.pub", *(P256 if kind != "RSA" else ("genrsa", "2048")))
    if kind == "the same":
        subprocess.run([OPENSSL, "ec", "-in", key, "-pubout", "-out", path], check=True, stderr=subprocess.DEVNULL)
    elif kind == "private":
        path.write_bytes(private)
    elif kind == "missing":
        path.unlink()
    sign_key = None if kind == "unsigned" else key
    with pytest.raises(BundleBuildError, match=message):
        bundle(reference, tmp_path, Settings("test", PI, wheels=False, sign_key=sign_key, next_key=path))
