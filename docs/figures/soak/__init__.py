"""Soak test: a device runs for an hour while camera, broker, disk, clock and power fail in turn."""
