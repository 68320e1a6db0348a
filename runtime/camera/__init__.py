"""Read JPEG frames from a pipe, a program or a network camera, in a thread of their own."""
