"""Is the world still the one that the model was trained for? Counters of constant size, and a sequential test."""
