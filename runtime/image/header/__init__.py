"""Read an image file's size in pixels from its header, and estimate the memory that decoding takes."""
