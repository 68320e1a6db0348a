"""Operating system services: machine description, files, child processes, signals, stderr."""
