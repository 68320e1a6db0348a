"""Data sets: images and labels as arrays."""
