"""Pictures of notebooks get palettes: smaller, of the same size, and alike."""

from __future__ import annotations

import base64
import io

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from helpers.upkeep.palettes import with_palette, with_palettes


def drawing(width: float = 4, height: float = 3) -> bytes:
    figure = Figure(figsize=(width, height), dpi=120)
    ax = figure.subplots()
    for power in (1, 2, 3):
        ax.plot(np.linspace(0, 1, 50) ** power, label=f"power {power}")
    ax.legend()
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def png(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(array).save(written, "PNG")
    return written.getvalue()


def test_a_drawing_is_half_as_large_and_alike():
    before = drawing()
    after = with_palette(before)
    assert len(after) < len(before) / 2
    difference = np.abs(pixels(after) - pixels(before))
    assert difference.shape == (360, 480, 3) and difference.mean() < 0.1
    opened = Image.open(io.BytesIO(after))
    assert opened.mode == "P" and round(opened.info["dpi"][0]) == 120


def test_greys_stay_what_they_are():
    grey = np.arange(240, dtype=np.uint8).repeat(60).reshape(120, 120)
    assert (pixels(with_palette(png(np.stack([grey] * 3, axis=2)))) == grey[..., None]).all()


def test_half_of_the_colours_are_taken_only_where_they_come_near():
    # The lines of a large drawing have few pixels at their edges; noise has all colours there are.
    large = drawing(12, 9)
    noise = png(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    for picture, least, most in ((large, 2, 127), (noise, 128, 255)):
        found = Image.open(io.BytesIO(with_palette(picture)))
        assert found.mode == "P" and least <= len(found.getcolors()) <= most
    error = (pixels(with_palette(large)) - pixels(large)).astype(float)
    assert np.sqrt((error**2).mean(axis=(0, 1))).max() <= 0.6


def test_what_would_not_become_smaller_and_what_can_be_seen_through_is_left():
    tiny = png(np.zeros((1, 1, 3), dtype=np.uint8))
    clear = png(np.full((50, 50, 4), 128, dtype=np.uint8))
    assert with_palette(tiny) == tiny and with_palette(clear) == clear


def test_a_second_time_changes_nothing_to_be_seen():
    once = with_palette(drawing())
    assert (pixels(with_palette(once)) == pixels(once)).all()


@pytest.mark.parametrize("newline", ["", "\n"])
def test_every_picture_of_a_notebook_and_nothing_else(newline):
    text = nbformat.v4.new_output("stream", text="a line")
    encoded = base64.b64encode(drawing()).decode() + newline
    shown = nbformat.v4.new_output("display_data", {"image/png": encoded, "text/plain": "<Figure>"})
    code = nbformat.v4.new_code_cell("1", outputs=[text, shown])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("#"), code])
    with_palettes(notebook)
    data = code.outputs[1].data
    assert base64.b64decode(data["image/png"]) == with_palette(drawing())
    assert data["text/plain"] == "<Figure>" and code.outputs[0] == text
    nbformat.validate(notebook)
