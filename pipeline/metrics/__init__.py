"""Metrics of answers on labeled images, each implemented once: numpy and SciPy, no Keras.

``classification`` counts correct answers, ``multi_label`` judges each label by itself, ``difference`` compares two
arrays, ``significance`` has statistical tests and intervals, ``calibration`` compares probabilities with accuracies,
``selective`` computes the error rate of the most confident answers.
"""
