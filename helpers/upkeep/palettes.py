"""A notebook's pictures with palettes: a third of the size, and alike to the eye."""

import base64
import io
from typing import Any

# A PNG with a palette has one byte for each pixel, and so at most 256 colours. Half of them are
# enough where they come near to what was drawn: so far off on average, of 255 (root mean square).
COLOURS = (127, 255)
ALIKE = 0.8


def with_palettes(notebook: Any) -> None:
    """Give every PNG among a notebook's outputs a palette, in place, where that makes it smaller.

    A drawing has few colours and many shades between them at its edges: the palette is chosen by
    median cut (Heckbert, "Color image quantization for frame buffer display", 1982), as Pillow does
    it. A picture that is not opaque, or has a palette, is left as it is.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            bundle = output.get("data", {})
            if "image/png" in bundle:
                picture = base64.b64decode(bundle["image/png"])
                smaller = with_palette(picture)
                bundle["image/png"] = base64.b64encode(smaller).decode("ascii")


def with_palette(picture: bytes) -> bytes:
    """A PNG with a palette of its own colours; the same bytes where that would not be smaller."""
    # Imported here, because most commands need no pictures.
    from PIL import Image, ImageChops, ImageStat

    with Image.open(io.BytesIO(picture)) as opened:
        if opened.mode == "P":
            return picture  # it has one already
        kept = dict(opened.info)
        image = opened.convert("RGBA")
    # A palette has no half-transparent colours.
    if image.getchannel("A").getextrema() != (255, 255):
        return picture

    image = image.convert("RGB")
    for colours in COLOURS:
        found = image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        off = ImageStat.Stat(ImageChops.difference(found.convert("RGB"), image)).rms
        if max(off) <= ALIKE:
            break
    written = io.BytesIO()
    # The resolution is kept: a notebook shows a picture at its size in inches.
    found.save(written, "PNG", optimize=True, dpi=kept.get("dpi", (72, 72)))
    if written.tell() < len(picture):
        return written.getvalue()
    return picture
