"""The picture of the page that reads a drawn digit: python tests/page_screenshot.py

Writes images/draw_a_digit.png, at double density, with the browser that the tests use: the page
draws a digit, and the cursor points at a pixel of a map.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from browser import NO_BROWSER, Browser, find
from PIL import Image

from helpers.environment import NOTEBOOKS, ROOT
from helpers.upkeep.page import PAGE
from helpers.writing import replacing

PICTURE = ROOT / "images" / "draw_a_digit.png"
WIDTH, HEIGHT = 1120, 880  # pixels of the page; the picture has twice as many
COLOURS = 128  # the page has few, and its greys come from smooth edges
LARGEST = 120_000  # bytes
STAGE, MAP, ROW, COLUMN = 1, 1, 9, 13  # what the cursor points at
PIXEL = """(() => {
  const canvas = document.querySelectorAll('.stage canvas')[%d];
  const { left, top, width } = canvas.getBoundingClientRect();
  const [, rows, columns] = Net.stages[%d].size;
  const zoom = Math.floor(74 / columns);
  const x = %d * (columns * zoom + 6) + (%d + 0.5) * zoom;
  return [left + x, top + (%d + 0.5) * zoom];
})()"""


def take(path: Path) -> None:
    """Write what the page shows."""
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder), WIDTH, HEIGHT) as browser:
        still = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        browser.send("Emulation.setEmulatedMedia", features=still)
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 2, "mobile": False}
        browser.send("Emulation.setDeviceMetricsOverride", **size)
        browser.open(NOTEBOOKS / PAGE)
        browser.run("document.getElementById('example').click()")
        time.sleep(1)  # for the reading, which comes with the next picture of the screen
        browser.run("document.getElementById('pen-state').textContent = '\\u00a0'")
        x, y = browser.run(PIXEL % (STAGE, STAGE, MAP, COLUMN, ROW))
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        time.sleep(1)
        browser.screenshot(path)


def main() -> int:
    if find() is None:
        print(f"error: {NO_BROWSER}", file=sys.stderr)
        return 2
    with replacing(PICTURE) as temporary:
        take(temporary)
        picture = Image.open(temporary).convert("RGB")
        picture = picture.quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
        picture.save(temporary, format="png", optimize=True)
    print(f"written: {PICTURE.name}, {picture.width} × {picture.height}")
    if PICTURE.stat().st_size > LARGEST:
        print(f"error: it has more than {LARGEST:,} bytes", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
