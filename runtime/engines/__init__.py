"""Inference engines: the registry, the interface ``Backend``, and one module per engine."""
