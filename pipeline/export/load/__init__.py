"""A Keras file -> the classifier in it and how it is fed."""
