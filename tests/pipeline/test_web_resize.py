"""The page's own preprocessing against Pillow and runtime.image.load, pixel by pixel, in a browser."""

import base64
import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from docs.figures import photos
from pipeline.deploy.web import PAGE_FILES
from runtime import ModelSpec
from runtime.image.load import load_pixels
from runtime.spec import NO_ANTIALIAS
from served import served

FILL = (255, 0, 255)
FILTERS = ("box", "bilinear", "bicubic", "lanczos", NO_ANTIALIAS)
POLICIES = ("stretch", "crop", "pad")
SIZES = [(32, 32), (33, 31), (20, 20), (1, 7), (7, 1), (200, 151), (101, 300), (64, 5), (5, 64), (5, 16)]

photograph = cache(photos.photograph)

SQUARES = """
async ([encoded, width, specs]) => {
  const { toPixels } = await import("./pixels.js");
  const bytes = (text) => Uint8ClampedArray.from(atob(text), (character) => character.charCodeAt(0));
  const pixels = bytes(encoded);
  const height = pixels.length / 4 / width;
  const rows = (top, count) => pixels.slice(top * width * 4, (top + count) * width * 4);
  return specs.map((spec) => btoa(String.fromCharCode(...toPixels({ width, height, rows }, spec))));
}
"""

READ = """
async ([encoded, name, spec]) => {
  const { toPixels } = await import("./pixels.js");
  const { decode, readable } = await import("./picture.js");
  const file = new File([Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))], name);
  return btoa(String.fromCharCode(...toPixels(readable(await decode(file, spec)), spec)));
}
"""


@pytest.fixture(scope="module")
def page(chromium):
    """A document beside the page's modules."""
    with served(PAGE_FILES) as address:
        page = chromium.new_page()
        page.goto(address + "style.css")
        yield page
        page.close()


def noise(width, height, channels=4):
    return np.random.default_rng(width * height).integers(0, 256, (height, width, channels), np.uint8)


def specs(side):
    return [
        ModelSpec(side, ("a", "b"), resize=policy, resize_filter=name, fill=FILL)
        for policy in POLICIES
        for name in FILTERS
    ]


def as_json(spec):
    return {name: getattr(spec, name) for name in ("side", "width", "resize", "resize_filter", "fill")}


def decoded(text, shape):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def pillow(image, spec):
    """Resize with Pillow from all pixels, without the runtime's reductions."""
    (width, height), square = image.size, (spec.side, spec.side)
    box, size = (0, 0, width, height), square
    if spec.resize == "pad":
        scale = spec.side / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
    elif spec.resize == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = left, top, left + side, top + side
    image = image.convert("RGBa")
    if spec.resize_filter == NO_ANTIALIAS:
        small = image.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR).convert("RGBA")
    else:
        # The passes one by one: of tall pictures Pillow 13 takes the other one first.
        resample = Image.Resampling[spec.resize_filter.upper()]
        narrow = image.resize((size[0], height), resample, (box[0], 0, box[2], height))
        small = narrow.resize(size, resample, (0, box[1], size[0], box[3])).convert("RGBA")
    canvas = Image.new("RGBA", square, (*spec.fill, 255))
    canvas.alpha_composite(small, ((spec.side - small.width) // 2, (spec.side - small.height) // 2))
    return np.asarray(canvas.convert("RGB"))


@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opaque", [True, False])
def test_pixels_are_pillows(page, size, side, opaque):
    pixels = noise(*size)
    if opaque:
        pixels[..., 3] = 255
    asked = specs(side)
    answers = page.evaluate(SQUARES, [base64.b64encode(pixels.tobytes()).decode(), size[0], list(map(as_json, asked))])
    for spec, answer in zip(asked, answers, strict=True):
        difference = np.abs(decoded(answer, spec.shape).astype(int) - pillow(Image.fromarray(pixels), spec))
        whole = spec.resize_filter == NO_ANTIALIAS  # where a whole number comes out, or one a hair below it, is cut off
        assert difference.max() <= whole + (not opaque), (spec.resize, spec.resize_filter)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("width", [17, 48])
@pytest.mark.parametrize("size", [(200, 151), (90, 140)])
def test_a_model_that_is_not_square_gets_the_pixels_of_the_runtime(page, size, width, policy):
    spec = ModelSpec(32, ("a", "b"), width=width, resize=policy, fill=FILL)
    stream = io.BytesIO()
    Image.fromarray(photograph(*size, seed=3)).save(stream, "PNG")
    assert distance(page, stream.getvalue(), spec).mean() <= 0.5  # as of square ones


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("policy", POLICIES)
def test_photos_turn_upright_as_in_the_runtime(page, orientation, policy):
    spec = ModelSpec(32, ("a", "b"), resize=policy, fill=FILL)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(photograph(301, 200, seed=1)).save(stream, "JPEG", quality=95, subsampling="4:4:4", exif=exif)
    assert distance(page, stream.getvalue(), spec).mean() <= 0.5  # a wrong turn is 30


@pytest.mark.parametrize(
    ("image_format", "size", "mode"),
    [
        ("JPEG", (820, 640), "RGB"),
        ("JPEG", (640, 481), "L"),
        ("PNG", (1000, 130), "RGB"),
        ("PNG", (640, 481), "RGBA"),
        ("PNG", (250, 400), "P"),
        ("PNG", (250, 400), "L"),
        ("WEBP", (250, 400), "RGB"),
        ("GIF", (250, 400), "P"),
        ("BMP", (250, 400), "RGB"),
    ],
)
def test_files_become_what_the_runtime_makes_of_them(page, image_format, size, mode):
    image = Image.fromarray(photograph(*size, seed=2)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    stream = io.BytesIO()
    image.save(stream, image_format)
    for spec in specs(32):
        difference = distance(page, stream.getvalue(), spec)
        assert difference.mean() <= 0.5, (spec.resize, spec.resize_filter)


def distance(page, content, spec):
    answer = page.evaluate(READ, [base64.b64encode(content).decode(), "photo", as_json(spec)])
    return np.abs(decoded(answer, spec.shape).astype(int) - load_pixels(content, spec))
