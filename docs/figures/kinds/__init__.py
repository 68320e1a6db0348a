"""Train forty kinds of classifier on painted photos, export them with the command, and compare the files with Keras."""
