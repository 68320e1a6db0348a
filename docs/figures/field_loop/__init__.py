"""The loop of ``docs/field.md`` walked once: train, let a device see the rest, label what it kept, train again.

The photos that a device sees are those that did not train, with strangers mixed in. Thirty of them get their labels:
once those that the labeling page offers first, and as often as asked thirty drawn at random. Each time a network is
fitted anew, and judged on photos that no one has seen. Labels are the names of the folders; of strangers, ``none``.
"""
