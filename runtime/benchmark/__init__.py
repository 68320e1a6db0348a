"""The benchmark behind ``bench``: every engine on every model file, side by side.

Each contender lives in a process of its own, so that its memory and its start are its own, its death is a row that says
so, and engines that cannot share a process still take turns.
"""
