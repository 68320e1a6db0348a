"""Exported files held against Keras: parity, evaluation on labeled images, drift layer by layer."""
