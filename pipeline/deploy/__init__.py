"""Packages of exported files: an archive for a board, a page for a browser."""
