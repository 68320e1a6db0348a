"""What the first bytes of an image file say: its size in pixels, and the memory that decoding will take."""
