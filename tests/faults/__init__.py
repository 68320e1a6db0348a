"""Hand-made faults, and a command that says which of them the tests catch."""
