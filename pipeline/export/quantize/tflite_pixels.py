"""From uint8 pixels to the int8 tensor that an int8 flatbuffer computes with, by operators that XNNPACK has."""

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

DEQUANTIZE_VERSION = 2
"""The first that takes int8 and uint8."""


def take_pixels_through_float(content: bytes) -> bytes:
    """Put a DEQUANTIZE before a QUANTIZE that makes int8 of uint8 pixels.

    XNNPACK cannot change one integer into the other, so that step would run outside it on an unoptimized kernel, which
    takes several times as long as both steps over float do within it. The values are the same: the scale is one.
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
    """The position of the operator in the file's list, put there if need be."""
    for position, code in enumerate(flatbuffer.operatorCodes):
        if code.builtinCode == schema.BuiltinOperator.DEQUANTIZE:
            return position
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = DEQUANTIZE_VERSION
    flatbuffer.operatorCodes.append(code)
    return len(flatbuffer.operatorCodes) - 1
