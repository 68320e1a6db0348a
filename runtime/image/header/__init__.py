"""Read from the first bytes of an image file its size in pixels and the memory that decoding will take."""
