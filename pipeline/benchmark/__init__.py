"""Latency of the exported files on every engine of the desk."""
