"""Load a Keras file: the classifier in it, and the preprocessing that it expects."""
