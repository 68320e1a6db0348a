"""Drift of the input: counters of constant size and a sequential test notice when the world has changed."""
