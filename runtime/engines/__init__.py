"""Engines that run a model file: a registry, a base, one file an engine."""
