"""Fine-tune a finished network, in float or with simulated int8 (quantization-aware training)."""
