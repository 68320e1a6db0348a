"""Measure the loop of ``docs/field.md``: train, let a device see other photos, label frames that it kept, train again.

The device sees photos that were not used for training, mixed with unknown photos, which show none of the classes.
Thirty of them get labels: in one run the first thirty that the labeling page offers, in the other runs thirty random
ones. After each run a network is fitted again and judged on held-out photos. A label is the name of the photo's folder,
or ``none``.
"""
