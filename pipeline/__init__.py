"""From a Keras model to verified model files for an edge board. Start at ``pipeline.cli``."""
