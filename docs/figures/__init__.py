"""Maintainers' tools: measure the figures of the documents and write them into the documents.

Run ``python -m docs.figures COMMAND`` in the root of a clone. Not part of the wheel.
"""
