"""Forty kinds of classifier, trained on painted photos and exported by the plain command: what becomes of each."""
