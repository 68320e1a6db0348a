"""The images that PC and board both classify: test images as pixels, and photos as files."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

PIXELS = 1000


def write(folder: Path, reference: Path) -> None:
    """Write ``pixels.npy``, uint8 (N, S, S, 3), and ``photos/``.

    The photos: the one that matplotlib brings, as it is, large as a camera's, turned by its EXIF and progressive; and
    the first test images, enlarged, in the formats that cameras and browsers write.
    """
    side = 32
    with Image.open(reference / "test.webp") as sheet:
        rows = np.asarray(sheet)
    columns = rows.shape[1] // side
    pixels = rows.reshape(-1, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)[:PIXELS]
    photos = folder / "photos"
    photos.mkdir(parents=True)
    np.save(folder / "pixels.npy", pixels)
    source = mpl.get_data_path() + "/sample_data/grace_hopper.jpg"
    with Image.open(source) as photo:
        photo.save(photos / "hopper.jpg", quality=95)
        photo.resize((3000, 3516)).save(photos / "large.jpg", quality=90)
        exif = Image.Exif()
        exif[0x0112] = 6
        photo.save(photos / "turned.jpg", exif=exif)
        photo.save(photos / "progressive.jpg", progressive=True)
    index = json.loads((reference / "samples.json").read_text(encoding="utf-8"))
    for number, suffix in enumerate(["jpg", "png", "webp", "bmp"] * 4):
        label = index["class_names"][index["test"]["labels"][number]]
        image = Image.fromarray(pixels[number]).resize((640, 480), Image.Resampling.BICUBIC)
        image.save(photos / f"{number:02}-{label}.{suffix}")
