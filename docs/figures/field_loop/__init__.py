"""Measure the loop of ``docs/field.md``: train, let a device see other photos, label frames that it kept, train again.

The device sees photos that were not used for training, mixed with strangers (photos of none of the classes). Thirty of
them get labels: once those that the labeling page offers first, and several times thirty that are drawn at random. Each
time a network is fitted again and judged on held-out photos. A label is the name of the photo's folder, or ``none``.
"""
