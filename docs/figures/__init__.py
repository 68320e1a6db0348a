"""Maintainers' tools: measure the figures of the documents and print them there.

``python -m docs.figures COMMAND``, run from the root of a clone. Not part of the wheel.
"""
