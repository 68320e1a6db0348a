"""Fine-tuning of a finished network, in float or as int8 computes it (quantization-aware)."""
