"""What the headers of image files say, before Pillow sees them."""

import io
import os
import random
from itertools import pairwise

import pytest
from PIL import Image

from fuzz.crafted_tiff import TIFFS
from fuzz.mutate import mutate
from fuzz.pictures import gif
from fuzz.seeds import HEIGHT, PROFILED, RECIPES, WIDTH, image_seeds, pillow_has
from runtime import ImageDecodeError, ModelSpec
from runtime.image import decode
from runtime.image.budget import Budget
from runtime.image.decode import examine
from runtime.image.header.av1 import largest_frame
from runtime.image.load import load_pixels

SPEC = ModelSpec(8, ("a", "b"))
READ = {"jpeg", "mpo", "png", "apng", "gif", "webp", "tiff", "bmp", "ppm", "pgm", "pbm", "avif"}
NAMES = [name for name in (*RECIPES, *PROFILED) if name.partition("_")[0] in READ]


def header(content):
    return examine(content).header


@pytest.fixture(params=NAMES)
def seed(request):
    """A small picture of each format that is read."""
    if request.param not in image_seeds():
        pytest.skip(f"this Pillow cannot write {request.param}")
    return image_seeds()[request.param]


def test_the_size_is_pillows(seed):
    with Image.open(io.BytesIO(seed)) as image:
        assert (header(seed).width, header(seed).height) == image.size == (WIDTH, HEIGHT)


def test_every_beginning_of_a_file_is_a_header_or_a_typed_error(seed):
    for length in range(min(len(seed), 800)):
        try:
            header(seed[:length])
        except ImageDecodeError as error:
            assert str(error)  # noqa: PT017 - most raise, some do not


def test_damaged_headers_are_headers_or_typed_errors(seed):
    random_ = random.Random(seed)  # noqa: S311
    pool = [content for name, content in image_seeds().items() if name in NAMES]
    for _ in range(100):
        try:
            header(mutate(seed, pool, random_))
        except ImageDecodeError as error:
            assert str(error)  # noqa: PT017


def test_tags_of_a_tiff_that_take_too_much_are_refused():
    with pytest.raises(ImageDecodeError, match=r"tags of a TIFF that take 9\d+ MiB"):
        header(TIFFS["TIFF of 3,000 tags at one place"]())


def test_a_frame_that_goes_beyond_its_screen_makes_a_gif_larger():
    found = header(gif(8, 9, frame=(60, 50, 4, 3)))
    assert (found.width, found.height) == (64, 53)
    found = header(gif(80, 90, frame=(60, 50, 4, 3)))
    assert (found.width, found.height) == (80, 90)


def test_a_decoder_that_finds_more_pixels_than_the_header_is_stopped():
    with pytest.raises(ImageDecodeError, match="its header has both 8x8 and 88x8"):
        load_pixels(b"P6\n8#\n8 8\n255\n" + bytes(8 * 88 * 3), SPEC)


@pytest.mark.parametrize(("image_format", "small", "large"), [("JPEG", 700, 1600), ("WEBP", 700, 1600)])
def test_the_memory_follows_from_the_pixels(image_format, small, large):
    sizes = []
    for side in (small, large):
        stream = io.BytesIO()
        Image.new("RGB", (side, side)).save(stream, image_format)
        sizes.append(header(stream.getvalue()).memory())
    assert sizes[1] / sizes[0] == pytest.approx((large / small) ** 2, rel=0.01)


def test_a_jpeg_of_several_scans_takes_memory_for_all_pixels_at_any_scale():
    stream = io.BytesIO()
    Image.new("RGB", (1600, 1600)).save(stream, "JPEG", progressive=True)
    progressive = header(stream.getvalue())
    baseline = header(encoded((1600, 1600)))
    assert progressive.memory(8) > 3 * 1600 * 1600
    assert baseline.memory(8) < 4 * 200 * 200 + 10_000


def encoded(size, image_format="JPEG", **options):
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(stream, image_format, **options)
    return stream.getvalue()


@pytest.mark.skipif(not pillow_has("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize(("width", "height"), [(45, 37), (64, 64), (1000, 333)])
@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"subsampling": "4:0:0"}])
def test_an_av1_stream_says_its_size_itself(width, height, options):
    content = encoded((width, height), "AVIF", **options)
    start = content.index(b"\x12\0\x0a")  # a temporal delimiter and a sequence header
    assert largest_frame(content[start:]) == (width, height, True)


@pytest.mark.skipif(not pillow_has("avif"), reason="this Pillow has no AVIF")
def test_an_avif_sequence_is_read():
    frames = [Image.new("RGB", (64, 48), (level, 0, 0)) for level in (10, 20, 30)]
    stream = io.BytesIO()
    frames[0].save(stream, "AVIF", save_all=True, append_images=frames[1:])
    assert (header(stream.getvalue()).width, header(stream.getvalue()).height) == (64, 48)


def test_files_of_the_largest_size_are_read_and_larger_ones_are_not(tmp_path, monkeypatch):
    content = encoded((64, 48))
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", len(content))
    path = tmp_path / "photo.jpg"
    for extra, is_read in ((b"", True), (b"x", False)):
        path.write_bytes(content + extra)
        with path.open("rb") as file:
            for source in (path, content + extra, io.BytesIO(content + extra), file, Unseekable(content + extra)):
                if is_read:
                    assert load_pixels(source, SPEC).shape == (8, 8, 3)
                else:
                    with pytest.raises(ImageDecodeError, match=f"{len(content):,}"):
                        load_pixels(source, SPEC)


class Unseekable:
    """A pipe's end."""

    def __init__(self, content):
        self.read = io.BytesIO(content).read


def test_memory_for_decoding_is_shared_and_given_back():
    budget, order = Budget(100), []
    with budget.taken(60), budget.taken(40):
        order.append("both")
    with budget.taken(1_000):  # more than there is waits until it is alone
        order.append("all")
    with pytest.raises(ValueError, match="x"), budget.taken(100):
        raise ValueError("x")
    with budget.taken(100):
        order.append("again")
    assert order == ["both", "all", "again"]


def test_memory_for_decoding_is_waited_for():
    from concurrent.futures import ThreadPoolExecutor

    budget, inside = Budget(100), []

    def work(number):
        with budget.taken(60):
            inside.append(("in", number))
            os.sched_yield()
            inside.append(("out", number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    assert all(one[1] == other[1] for one, other in list(pairwise(inside))[::2])
