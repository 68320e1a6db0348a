"""``verify-bundle --key``: what a signature must cover."""

import base64
import json

import pytest

from runtime.bundle import verify_bundle
from runtime.errors import BundleError
from small_bundle import FILES, needs_openssl, new_key, sign, write_sums


@needs_openssl
def test_a_signed_bundle_passes_with_its_own_key_alone(bundle, key, tmp_path):
    sign(bundle, key)
    assert verify_bundle(bundle, key.with_suffix(".pub")) == len(FILES) + 1
    new_key(tmp_path / "other.pem")
    with pytest.raises(BundleError, match=r"not signed with the key .*other\.pub"):
        verify_bundle(bundle, tmp_path / "other.pub")


@needs_openssl
def test_a_bundle_that_is_whole_but_not_what_was_signed_is_refused(bundle, key):
    sign(bundle, key)
    signature = (bundle / "model.sig").read_bytes()
    (bundle / "models/model_int8.onnx").write_bytes(b"another")
    (bundle / "install.sh").unlink()
    (bundle / "wheels/more.whl").write_bytes(b"")
    (bundle / "model.sig").unlink()
    write_sums(bundle)
    (bundle / "model.sig").write_bytes(signature)
    verify_bundle(bundle)
    with pytest.raises(BundleError) as caught:
        verify_bundle(bundle, key.with_suffix(".pub"))
    for trouble in ("changed since it was signed: SHA256SUMS, models/model_int8.onnx",
                    "not signed: wheels/more.whl", "signed but missing: install.sh"):  # fmt: skip
        assert trouble in str(caught.value)


@needs_openssl
def test_an_unsigned_bundle_is_refused_where_a_key_is_required(bundle, key):
    verify_bundle(bundle)
    with pytest.raises(BundleError, match="not signed, but a key is required"):
        verify_bundle(bundle, key.with_suffix(".pub"))


@needs_openssl
def test_a_signature_that_is_damaged_is_refused(bundle, key):
    sign(bundle, key)
    whole = json.loads((bundle / "model.sig").read_text())
    envelope = whole["dsseEnvelope"]
    payload = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"install.sh", b"Install.sh")).decode()
    for change in (
        {"payload": payload}, {"payload": "?"}, {"payloadType": "text/plain"}, {"signatures": []},
        {"signatures": [{"sig": ""}]}, {"signatures": None},
    ):  # fmt: skip
        (bundle / "model.sig").write_text(json.dumps({"dsseEnvelope": envelope | change}))
        with pytest.raises(BundleError, match=r"model\.sig"):
            verify_bundle(bundle, key.with_suffix(".pub"))
    for content in (b"", b"[]", b"{}", b"\xff", b"[" * 100_000):
        (bundle / "model.sig").write_bytes(content)
        with pytest.raises(BundleError, match=r"model\.sig"):
            verify_bundle(bundle, key.with_suffix(".pub"))


@needs_openssl
def test_a_statement_of_another_kind_is_refused(bundle, key):
    for changes in ({"predicateType": "https://slsa.dev/provenance/v1"}, {"predicate": {}}, {"predicate": None}):
        sign(bundle, key, **changes)
        with pytest.raises(BundleError, match="does not list files"):
            verify_bundle(bundle, key.with_suffix(".pub"))


@needs_openssl
def test_what_is_no_public_key_is_refused(bundle, key, tmp_path):
    sign(bundle, key)
    (tmp_path / "text.pub").write_text("no key")
    for wrong in (key, tmp_path / "text.pub", tmp_path / "absent.pub"):
        with pytest.raises(BundleError, match="expected a public key in PEM"):
            verify_bundle(bundle, wrong)
