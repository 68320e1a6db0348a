"""The parts of training: settings, augmentation, batches, steps, teacher, distribution, kept state, record."""
