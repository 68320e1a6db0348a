"""The checksum of a model file: the CRC-32 of all bytes before it, at the end of the file.

It is checked before loading, because engines trust their input: a flipped bit in a flatbuffer can crash the process.
In ONNX the checksum is the last ``metadata_props`` entry (fields may be appended to a serialized protobuf message); in
TFLite it is the comment of the appended ZIP archive; in a file that is a ZIP archive, the comment of that archive. Each
ends with the marker, two bytes, and eight hexadecimal digits. A CRC is enough against accidental damage, and hashlib
would cost a small process 4 ms and 4 MB; the SHA-256 in the manifest identifies the file.
"""

import io
import zlib

from runtime.engines.base import FileFormat
from runtime.errors import ModelDigestError, ModelFormatError, ModelSpecError
from runtime.spec import SPEC_KEY

MARKER = b"edgecnn_crc32"
_DIGITS = 8
_ZIP = b"PK\x03\x04"
_TAIL = len(MARKER) + 2 + _DIGITS
_ONNX_ENTRY = b"\x72\x19" + b"\x0a\x0d" + MARKER + b"\x12\x08"
"""Field 14, 25 bytes: field 1 (key), 13 bytes; field 2 (value), 8 bytes (onnx.proto: ModelProto.metadata_props)."""


def add_checksum(content: bytes) -> bytes:
    """Append the checksum to the bytes of a finished model file; nothing may be appended after it."""
    if content[4:8] == b"TFL3" or content.startswith(_ZIP):
        import zipfile

        stream = io.BytesIO(content)
        with zipfile.ZipFile(stream, "a") as archive:
            archive.comment = MARKER + b": " + b"0" * _DIGITS
        body = stream.getvalue()[:-_DIGITS]
    else:
        body = content + _ONNX_ENTRY
    return body + _checksum(body)


def check_checksum(content: bytes, kind: FileFormat, name: str, *, spec_given: bool) -> None:
    """Check a file's magic bytes and checksum before an engine loads it.

    Args:
        content: the whole file.
        kind: the file format of its suffix.
        name: name of the file in messages.
        spec_given: the caller passes a spec, so a file of another exporter, without a checksum, is accepted.

    Raises:
        ModelFormatError: the content does not match the suffix.
        ModelSpecError: the file has no spec, and none is given.
        ModelDigestError: the file was damaged or changed since export.
    """
    if not content.startswith(kind.magic, kind.offset):
        raise ModelFormatError(f"{name}: not a {kind.title} file (no {kind.magic_title}): copy or export it again")
    marked = MARKER in content
    if not marked and SPEC_KEY.encode() not in content:
        if spec_given:
            return
        raise no_spec(name)
    if content[-_TAIL:].startswith(MARKER) and _checksum(memoryview(content)[:-_DIGITS]) == content[-_DIGITS:]:
        return
    raise ModelDigestError(f"{name}: damaged or changed since export (its checksum does not match): copy it again")


def no_spec(name: str) -> ModelSpecError:
    """Return the error for a file without a spec, probably of another exporter."""
    return ModelSpecError(
        f"{name}: has no model spec, or is cut off: export or copy it again, or describe it with "
        "Classifier(path, spec=ModelSpec(side, class_names, …))"
    )


def _checksum(body: bytes | memoryview) -> bytes:
    return b"%08x" % zlib.crc32(body)
