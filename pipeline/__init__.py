"""From a Keras model to verified model files for an edge board. Start at ``pipeline.cli``."""

import runtime as runtime  # says first which Python is needed
