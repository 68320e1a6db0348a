"""Convert uint8 pixels to the int8 input tensor of a flatbuffer with operators that XNNPACK supports."""

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

DEQUANTIZE_VERSION = 2
"""The first version of DEQUANTIZE that takes int8 and uint8."""


def take_pixels_through_float(content: bytes) -> bytes:
    """Insert a DEQUANTIZE before the QUANTIZE that converts uint8 pixels to int8; other flatbuffers are unchanged.

    XNNPACK cannot convert uint8 to int8, so this conversion would run on an unoptimized kernel, which takes several
    times as long as XNNPACK takes for both steps through float. The values are the same, because the scale does not
    change.
    """
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = flatbuffer.subgraphs[0]
    first = graph.operators[0]
    pixels = graph.tensors[graph.inputs[0]]
    quantizes = flatbuffer.operatorCodes[first.opcodeIndex].builtinCode == schema.BuiltinOperator.QUANTIZE
    if not quantizes or first.inputs[0] != graph.inputs[0] or pixels.type != schema.TensorType.UINT8:
        return content
    image = schema.TensorT()
    image.name, image.type, image.shape = b"pixels_in_float", schema.TensorType.FLOAT32, pixels.shape
    flatbuffer.buffers.append(schema.BufferT())
    image.buffer = len(flatbuffer.buffers) - 1
    graph.tensors.append(image)
    dequantize = schema.OperatorT()
    dequantize.opcodeIndex = _dequantize_code(flatbuffer)
    dequantize.inputs, dequantize.outputs = [graph.inputs[0]], [len(graph.tensors) - 1]
    first.inputs = list(dequantize.outputs)
    graph.operators.insert(0, dequantize)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer))


def _dequantize_code(flatbuffer: schema.ModelT) -> int:
    """Index of DEQUANTIZE in the file's list of operators, to which it is added if missing."""
    for position, code in enumerate(flatbuffer.operatorCodes):
        if code.builtinCode == schema.BuiltinOperator.DEQUANTIZE:
            return position
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = DEQUANTIZE_VERSION
    flatbuffer.operatorCodes.append(code)
    return len(flatbuffer.operatorCodes) - 1
