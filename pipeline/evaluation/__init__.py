"""The parts of evaluating: scores, calibration, pictures."""
