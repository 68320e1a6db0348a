"""Metrics of answers on labeled images, each written once: numpy and SciPy, no Keras.

``classification`` counts right answers, ``multi_label`` judges each of several labels by itself, ``difference``
compares two arrays of numbers, ``significance`` says what chance explains, ``calibration`` compares probabilities with
how often they are right, ``selective`` says how many errors remain among the surest answers.
"""
