"""The machine, child processes, and the process's stderr."""
