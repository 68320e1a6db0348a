"""A device that works for an hour while everything around it fails in turn: camera, broker, disk, clock, power."""
