"""``python predict.py MODELS IMAGES OUT``: the probabilities of each model file on this machine; runs on PC and board.

Args:
    MODELS: folder of model files.
    IMAGES: folder with pixels.npy, uint8 (N, S, S, 3), and a folder photos/.
    OUT: .npz to write: for each file's name float32 (N + photos, C), the photos in the order of their names.
"""

import sys
from pathlib import Path

import numpy as np

from runtime import Classifier

models, images, out = map(Path, sys.argv[1:])
photos = sorted((images / "photos").iterdir())
answers = {}
for path in sorted([*models.glob("*.onnx"), *models.glob("*.tflite")]):
    with Classifier(path) as classifier:
        top = [dict(classifier.classify(photo, top=len(classifier.spec.class_names)).top) for photo in photos]
        rows = [[answer[name] for name in classifier.spec.class_names] for answer in top]
        answers[path.name] = np.vstack([classifier.predict(np.load(images / "pixels.npy")), rows]).astype(np.float32)
np.savez(out, **answers)
