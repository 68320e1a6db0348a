"""One small picture in every format and mode that Pillow writes; the fuzzer mutates them."""

import io
import warnings
from functools import cache
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

WIDTH, HEIGHT = 45, 37


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A smooth picture with an edge and a little noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.stack([rows * 5, columns * 5, (rows + columns > 40) * 200], axis=2) + generator.integers(
        0, 20, (HEIGHT, WIDTH, 3)
    )
    rgb = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
    if mode in ("RGBA", "LA", "PA"):
        rgb = rgb.convert(mode.replace("P", "L"))
        rgb.putalpha(Image.fromarray((columns * 5).astype(np.uint8)))
        return rgb
    if mode == "I;16":
        return Image.fromarray((rows * 1700).astype(np.uint16))
    return rgb.convert(mode)


def _orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def _icc_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _frames(mode: str) -> dict[str, Any]:
    return {"save_all": True, "append_images": [picture(mode, seed) for seed in (1, 2)], "duration": 50}


RECIPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {"quality": 90}),
    "jpeg_444": ("JPEG", "RGB", {"subsampling": "4:4:4", "restart_marker_blocks": 2}),
    "jpeg_progressive": ("JPEG", "RGB", {"progressive": True}),
    "jpeg_gray": ("JPEG", "L", {}),
    "jpeg_cmyk": ("JPEG", "CMYK", {}),
    "jpeg_exif": ("JPEG", "RGB", {"exif": _orientation(6)}),
    "jpeg_comment": ("JPEG", "RGB", {"comment": b"x" * 300, "optimize": True}),
    "mpo": ("MPO", "RGB", {"save_all": True, "append_images": [picture(seed=1)]}),
    "png": ("PNG", "RGB", {"exif": _orientation(5)}),
    "png_gray": ("PNG", "L", {}),
    "png_1bit": ("PNG", "1", {}),
    "png_palette": ("PNG", "P", {}),
    "png_palette_transparent": ("PNG", "P", {"transparency": 3}),
    "png_alpha": ("PNG", "RGBA", {}),
    "png_gray_alpha": ("PNG", "LA", {}),
    "png_16bit": ("PNG", "I;16", {}),
    "apng": ("PNG", "RGB", _frames("RGB")),
    "gif": ("GIF", "P", {}),
    "gif_transparent": ("GIF", "P", {"transparency": 1}),
    "gif_animated": ("GIF", "P", _frames("P")),
    "webp": ("WEBP", "RGB", {}),
    "webp_lossless": ("WEBP", "RGB", {"lossless": True}),
    "webp_alpha": ("WEBP", "RGBA", {"exif": _orientation(3)}),
    "webp_animated": ("WEBP", "RGB", _frames("RGB")),
    "tiff": ("TIFF", "RGB", {}),
    "tiff_lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff_deflate": ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}),
    "tiff_packbits": ("TIFF", "L", {"compression": "packbits"}),
    "tiff_jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
    "tiff_fax": ("TIFF", "1", {"compression": "group4"}),
    "tiff_16bit": ("TIFF", "I;16", {}),
    "tiff_float": ("TIFF", "F", {}),
    "tiff_cmyk": ("TIFF", "CMYK", {}),
    "tiff_palette": ("TIFF", "P", {}),
    "tiff_lab": ("TIFF", "LAB", {}),
    "tiff_big": ("TIFF", "RGB", {"big_tiff": True}),
    "tiff_pages": ("TIFF", "RGB", {"save_all": True, "append_images": [picture(seed=1)]}),
    "bmp": ("BMP", "RGB", {}),
    "bmp_palette": ("BMP", "P", {}),
    "bmp_1bit": ("BMP", "1", {}),
    "bmp_alpha": ("BMP", "RGBA", {}),
    "dib": ("DIB", "RGB", {}),
    "ico": ("ICO", "RGBA", {"sizes": [(16, 16), (32, 32)]}),
    "ico_bmp": ("ICO", "RGBA", {"sizes": [(16, 16)], "bitmap_format": "bmp"}),
    "ppm": ("PPM", "RGB", {}),
    "pgm": ("PPM", "L", {}),
    "pbm": ("PPM", "1", {}),
    "pgm_16bit": ("PPM", "I;16", {}),
    "pfm": ("PPM", "F", {}),
    "avif": ("AVIF", "RGB", {}),
    "avif_alpha": ("AVIF", "RGBA", {}),
    "jpeg2000": ("JPEG2000", "RGB", {}),
    "tga": ("TGA", "RGB", {"compression": "tga_rle"}),
    "pcx": ("PCX", "RGB", {}),
    "sgi": ("SGI", "RGB", {}),
    "qoi": ("QOI", "RGBA", {}),
    "dds": ("DDS", "RGBA", {}),
    "blp": ("BLP", "P", {"blp_version": "BLP2"}),
    "im": ("IM", "RGB", {}),
    "msp": ("MSP", "1", {}),
    "xbm": ("XBM", "1", {}),
    "icns": ("ICNS", "RGBA", {}),
    "spider": ("SPIDER", "F", {}),
    "eps": ("EPS", "RGB", {}),
    "pdf": ("PDF", "RGB", {}),
}
"""Name: Pillow's format, mode, options of ``save``."""

PROFILED = ("jpeg_icc", "png_icc")
"""The seeds with a color profile."""

FOREIGN = {
    "text": b"This is a text, not an image.\n" * 20,
    "html": b"<!DOCTYPE html><html><body><img src='photo.jpg'></body></html>",
    "json": b'{"error": "camera is asleep"}',
    "zip": b"PK\x03\x04" + bytes(60),
    "psd": b"8BPS\x00\x01" + bytes(6) + b"\x00\x03\x00\x00\x00\x25\x00\x00\x00\x2d\x00\x08\x00\x03" + bytes(3000),
    "fli": bytes(4) + b"\x11\xaf\x01\x00\x2d\x00\x25\x00\x08\x00\x03\x00" + bytes(400),
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(200),
    "xpm": b'/* XPM */\nstatic char *x[] = {\n"2 2 1 1",\n"a c #ff0000",\n"aa",\n"aa"};\n',
    "heic": b"\x00\x00\x00\x18ftypheic" + bytes(200),
    "gbr": b"\x00\x00\x00\x1c\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x04\x00\x00\x00\x04GIMP" + bytes(80),
}
"""What is not a photo, or of a format that Pillow reads but does not write."""


def pillow_has(feature: str) -> bool:
    """Whether this Pillow was built with a library; older versions warn about unknown names."""
    return feature in {*features.modules, *features.codecs, *features.features} and bool(features.check(feature))


@cache
def image_seeds() -> dict[str, bytes]:
    """Every recipe that this Pillow can save, and the external files."""
    recipes = dict(RECIPES)
    if pillow_has("littlecms2"):
        recipes |= {name: (name[:-4].upper(), "RGB", {"icc_profile": _icc_profile()}) for name in PROFILED}
    seeds = {}
    for name, (format_name, mode, options) in recipes.items():
        if format_name == "AVIF" and not pillow_has("avif"):
            continue
        if format_name == "JPEG2000" and not pillow_has("jpg_2000"):
            continue
        stream = io.BytesIO()
        try:
            with warnings.catch_warnings(action="ignore"):
                picture(mode).save(stream, format_name, **options)
        except (OSError, KeyError, ValueError):
            if int(PIL.__version__.partition(".")[0]) >= 12:
                raise
            continue  # an older one writes fewer modes
        seeds[name] = stream.getvalue()
    return seeds | FOREIGN
