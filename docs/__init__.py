"""The documents, and ``docs.figures``, which measures and prints their figures."""
