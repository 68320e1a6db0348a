"""Hand-made faults (mutations), and a command that reports which of them the tests catch."""
