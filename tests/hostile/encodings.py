"""Protobuf written by hand: every path and encoding by which a tensor of an ONNX file can name another file."""

from runtime.engines.onnx_graph import MESSAGES

BYTES = 2


def varint(number, extra=0):
    """A number, in ``extra`` more bytes than it needs."""
    content = bytearray()
    while number >= 0x80:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    for _ in range(extra):
        content[-1] |= 0x80
        content.append(0)
    return bytes(content)


def part(number, content, *, tag_extra=0, length_extra=0):
    """A field of bytes."""
    return varint(number << 3 | BYTES, tag_extra) + varint(len(content), length_extra) + content


KEY, VALUE = part(1, b"location"), part(2, b"weights.bin")
TENSORS = {
    "plain": part(13, KEY + VALUE),
    "value first": part(13, VALUE + KEY),
    "key twice": part(13, part(1, b"length") + KEY + VALUE),
    "key of a longer length": part(13, part(1, b"location", length_extra=2) + VALUE),
    "entry of a longer length": part(13, KEY + VALUE, length_extra=3),
    "longer tag": part(13, KEY + VALUE, tag_extra=2),
    "tag beyond 32 bits": b"\xea\x80\x80\x80\x70" + varint(len(KEY + VALUE)) + KEY + VALUE,
    "unknown fields around": varint(99 << 3) + varint(5) + part(13, part(77, b"x") + KEY + VALUE) + part(98, b"y"),
    "group before": varint(90 << 3 | 3) + part(1, b"z") + varint(90 << 3 | 4) + part(13, KEY + VALUE),
    "nested groups before": b"\xd3\x05\xdb\x05\xdc\x05\xd4\x05" + part(13, KEY + VALUE),
    "only its place": varint(14 << 3) + varint(1) + part(8, b"location"),
    "place in a longer number": varint(14 << 3) + varint(1, 8) + part(8, b"location"),
    "absolute path": part(13, KEY + part(2, b"/etc/passwd")),
    "address": part(13, part(2, b"*/_ORT_MEM_ADDR_/*") + KEY),
}


def ways():
    """Paths of field numbers from the model to a tensor: each field of each message, also nested subgraphs."""
    found, open_ways = [], [("model", ())]
    while open_ways:
        kind, numbers = open_ways.pop()
        if kind == "tensor":
            found.append(numbers)
        elif len(numbers) < 8:
            open_ways += [(inner, (*numbers, number)) for number, inner in MESSAGES[kind].items()]
    return found


def model(way, tensor):
    """A model with a graph, and a tensor at the end of a path."""
    content = tensor
    for number in reversed(way):
        content = part(number, content)
    return part(7, b"") + content
