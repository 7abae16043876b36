"""Text in pictures: black on white, in matplotlib's font, so that pictures and plots look alike."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from cracklab.pictures.compose import Image


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    found = find_spec("matplotlib")  # importing it takes a second
    assert found is not None
    assert found.origin is not None
    return ImageFont.truetype(Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf", size)


def text_image(words: str, size: int, margin: int = 0) -> Image:
    """Return a line of text, (H, W, 3); the height depends on size and margin alone.

    Args:
        words: one line.
        size: of the font, px.
        margin: white space on all four sides, px.

    Example:
        >>> one, two = text_image("≥ 2 mm", 20), text_image("width", 20, margin=3)
        >>> two.shape[0] - one.shape[0], int(one.min()) < 64
        (6, True)
    """
    font = _font(size)
    height = sum(font.getmetrics()) + 2 * margin
    canvas = Pillow.new("L", (int(np.ceil(font.getlength(words))) + 2 * margin, height), 255)
    ImageDraw.Draw(canvas).text((margin, margin), words, fill=0, font=font)
    return np.asarray(canvas)[..., None].repeat(3, axis=2)
