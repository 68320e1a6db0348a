"""The checksum: a model file ends in the CRC-32 of everything before it, so that no engine is given a damaged graph.

Engines trust what they load: a flipped bit in a flatbuffer can kill the process. In ONNX the checksum is the last
``metadata_props`` entry (protobuf lets fields be appended to a serialized message); in TFLite the comment of the
appended ZIP archive; in a file that is a ZIP archive, that archive's. All end in the marker, two bytes, and eight
hexadecimal digits. A checksum, and not a digest, because it guards against accidents, and because hashlib would cost a
small process 4 ms and 4 MB; where a file comes from is what the manifest's SHA-256 is for.
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
    """The bytes of a finished model file, with its checksum; nothing may be added afterwards."""
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
    """Look a file over before an engine sees it.

    Args:
        content: the whole file.
        kind: what its suffix says that it is.
        name: what messages call it.
        spec_given: the caller says how to feed it, so it need not be one of ours.

    Raises:
        ModelFormatError: not a file of its suffix.
        ModelSpecError: it carries no spec, and none is given.
        ModelDigestError: it was damaged or changed since it was sealed.
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
    """The error for a file of another exporter."""
    return ModelSpecError(
        f"{name}: carries no model spec, or is cut off: export or copy it again, or say how to feed it with "
        "Classifier(path, spec=ModelSpec(side, class_names, …))"
    )


def _checksum(body: bytes | memoryview) -> bytes:
    return b"%08x" % zlib.crc32(body)
