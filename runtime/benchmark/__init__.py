"""The benchmark of ``bench``: compare every engine on every model file.

Each contender runs in its own process. So its memory and start-up time are measured separately, a crash is reported in
its row, and engines that cannot share a process can be compared.
"""
