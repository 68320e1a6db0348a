"""Exported files held against Keras: parity, evaluation on labelled images, drift layer by layer."""
