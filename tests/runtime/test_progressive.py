import io

import numpy as np
import pytest
from PIL import Image

from docs.figures.photos import photograph
from runtime.image.progressive import without_unused_scans

PHOTO = Image.fromarray(photograph(803, 605, seed=3))


def encoded(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", progressive=True, **{"quality": 90, **options})
    return stream.getvalue()


def eighth(content):
    with Image.open(io.BytesIO(content)) as image:
        image.draft(None, (image.width // 8, image.height // 8))
        return np.asarray(image)


FILES = {
    "420": encoded(PHOTO, subsampling="4:2:0"),
    "422": encoded(PHOTO, subsampling="4:2:2"),
    "444": encoded(PHOTO, subsampling="4:4:4"),
    "gray": encoded(PHOTO.convert("L")),
    "cmyk": encoded(PHOTO.convert("CMYK")),
    "restarts": encoded(PHOTO, restart_marker_blocks=7),
    "tiny": encoded(PHOTO.crop((0, 0, 17, 9))),
    "quality-30": encoded(PHOTO, quality=30),
    "many-blocks": encoded(PHOTO.resize((1609, 1501))),  # more than one end-of-band run has room for
}


@pytest.mark.parametrize("name", FILES)
def test_the_answer_is_the_same_to_the_bit(name):
    content = FILES[name]
    short = without_unused_scans(content)
    assert short is not content
    assert (eighth(short) == eighth(content)).all()


def test_most_of_the_file_goes():
    assert len(without_unused_scans(FILES["420"])) < 0.4 * len(FILES["420"])
    assert len(without_unused_scans(FILES["444"])) < 0.2 * len(FILES["444"])


def test_other_files_are_returned_as_they_are():
    content = FILES["420"]
    baseline = io.BytesIO()
    PHOTO.save(baseline, "JPEG")
    for other in (baseline.getvalue(), b"", b"\xff\xd8", content[:100], content[:-2], content[: len(content) // 2]):
        assert without_unused_scans(other) is other
