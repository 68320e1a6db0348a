import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from docs.figures.photos import photograph
from runtime.image.progressive import without_unused_scans


@cache
def photo():
    return Image.fromarray(photograph(803, 605, seed=3))


def encoded(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", progressive=True, **{"quality": 90, **options})
    return stream.getvalue()


def eighth(content):
    with Image.open(io.BytesIO(content)) as image:
        image.draft(None, (image.width // 8, image.height // 8))
        return np.asarray(image)


FILES = {
    "420": lambda: encoded(photo(), subsampling="4:2:0"),
    "422": lambda: encoded(photo(), subsampling="4:2:2"),
    "444": lambda: encoded(photo(), subsampling="4:4:4"),
    "gray": lambda: encoded(photo().convert("L")),
    "cmyk": lambda: encoded(photo().convert("CMYK")),
    "restarts": lambda: encoded(photo(), restart_marker_blocks=7),
    "tiny": lambda: encoded(photo().crop((0, 0, 17, 9))),
    "quality-30": lambda: encoded(photo(), quality=30),
    # more than one end-of-band run has room for
    "many-blocks": lambda: encoded(photo().resize((1609, 1501))),
}


@cache
def file(name):
    return FILES[name]()


@pytest.mark.parametrize("name", FILES)
def test_the_answer_is_the_same_to_the_bit(name):
    content = file(name)
    short = without_unused_scans(content)
    assert short is not content
    assert (eighth(short) == eighth(content)).all()


def test_most_of_the_file_goes():
    assert len(without_unused_scans(file("420"))) < 0.4 * len(file("420"))
    assert len(without_unused_scans(file("444"))) < 0.2 * len(file("444"))


def test_other_files_are_returned_as_they_are():
    content = file("420")
    baseline = io.BytesIO()
    photo().save(baseline, "JPEG")
    for other in (baseline.getvalue(), b"", b"\xff\xd8", content[:100], content[:-2], content[: len(content) // 2]):
        assert without_unused_scans(other) is other
