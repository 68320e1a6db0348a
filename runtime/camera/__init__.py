"""Frames from a pipe, a program or a network camera, and the thread that reads them."""
