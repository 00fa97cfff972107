"""The page that reads a drawn digit, in a real browser: mouse, fingers, keys, and what it shows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from browser import Browser

from helpers.data import load
from helpers.data.practice import draw
from helpers.experiments import load_model, load_result
from helpers.upkeep import page

pytestmark = pytest.mark.slow

Points = Sequence[tuple[float, float]]

# Lines in points of the paper, which has 280 on each side.
SEVEN: list[Points] = [[(80, 60), (140, 60), (200, 60), (160, 150), (125, 230)]]
ONE: list[Points] = [[(150, 50), (145, 110), (140, 170), (132, 232)]]
FOUR: list[Points] = [[(112, 52), (84, 150), (204, 146)], [(172, 88), (160, 234)]]
SCRIBBLE: list[Points] = [
    [(40, 40), (240, 200), (60, 220), (230, 60), (30, 140), (250, 130), (140, 20), (140, 260)]
]
# Where an element lies in the window.
PLACE = "(({left, top, width, height}) => [left, top, width, height])"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    return page.write_page(folder=folder)[0]


@pytest.fixture(scope="module")
def open_browser(path, tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser"), 1280, 860) as browser:
        yield browser


@pytest.fixture
def browser(open_browser, path) -> Browser:
    """The page as it is when it has just been opened."""
    media("light", open_browser)
    screen(open_browser, 1280, 860)
    open_browser.errors.clear()
    open_browser.requests.clear()
    open_browser.open(path)
    return open_browser


def screen(browser: Browser, width: int, height: int, mobile: bool = False) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.send("Emulation.setDeviceMetricsOverride", **size)


def media(theme: str, browser: Browser) -> None:
    """A light or a dark theme, and nothing that moves by itself."""
    features = [
        {"name": "prefers-color-scheme", "value": theme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.send("Emulation.setEmulatedMedia", features=features)


def text(browser: Browser, name: str) -> str:
    return browser.run(f"document.getElementById('{name}').textContent")


def wait(browser: Browser, condition: str) -> None:
    """Until an expression is true: the page reads with the next picture of the screen."""
    for _ in range(600):
        if browser.run(f"Boolean({condition})"):
            return
        time.sleep(0.05)
    raise AssertionError(f"never true: {condition}; the verdict: {text(browser, 'verdict')}")


def wait_for_sign(browser: Browser, sign: str) -> None:
    wait(browser, f"document.getElementById('big').textContent === '{sign}'")


def on_paper(browser: Browser, points: Points) -> list[tuple[float, float]]:
    """Points of the paper as places in the window."""
    rectangle = "document.getElementById('paper').getBoundingClientRect()"
    left, top, width, height = browser.run(f"{PLACE}({rectangle})")
    return [(left + x * width / 280, top + y * height / 280) for x, y in points]


def draw_with_mouse(browser: Browser, lines: list[Points]) -> None:
    for line in lines:
        places = on_paper(browser, line)
        kinds = ["mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*places, places[-1]]):
            held = {"button": "left", "buttons": 1, "clickCount": 1}
            browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)


def draw_with_finger(browser: Browser, lines: list[Points]) -> None:
    for line in lines:
        places = on_paper(browser, line)
        for number, (x, y) in enumerate(places):
            kind = "touchMove" if number else "touchStart"
            browser.send("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def press(browser: Browser, *keys: str) -> None:
    """Keys one after the other; a key is named as in ``KeyboardEvent.key``."""
    codes = {"Tab": 9, "Enter": 13, " ": 32}
    for key in keys:
        settings = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        kind = "rawKeyDown"
        if len(key) == 1:
            kind, settings["text"] = "keyDown", key
        browser.send("Input.dispatchKeyEvent", type=kind, **settings)
        browser.send("Input.dispatchKeyEvent", type="keyUp", key=key)


def hover(browser: Browser, stage: int, x: float, y: float) -> None:
    """Point at a place of a stage's canvas, in pixels from its upper left corner."""
    canvas = f"document.querySelectorAll('.stage canvas')[{stage}]"
    browser.run(f"{canvas}.scrollIntoView({{block: 'center'}})")
    left, top, *_ = browser.run(f"{PLACE}({canvas}.getBoundingClientRect())")
    browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=left + x, y=top + y)


def is_orange(browser: Browser, canvas: str, x: float, y: float) -> bool:
    """Whether a point of a canvas, in shares of its sides, has the colour of a frame."""
    red, green, blue = browser.run(f"""(() => {{
      const canvas = document.getElementById('{canvas}');
      const [x, y] = [Math.round({x} * canvas.width), Math.round({y} * canvas.height)];
      return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
    }})()""")
    return red > 150 and red - blue > 80 and red > green > blue


def test_it_opens_without_an_error_and_asks_for_nothing(browser):
    assert browser.errors == [] and browser.from_the_network == []
    assert text(browser, "verdict").startswith("Nothing is drawn yet")
    assert text(browser, "bars").count("–") == 10


@pytest.mark.parametrize("pen", [draw_with_mouse, draw_with_finger])
def test_a_drawn_digit_is_read(browser, pen: Callable[[Browser, list[Points]], None]):
    pen(browser, SEVEN)
    wait_for_sign(browser, "7")
    assert text(browser, "verdict") == "This is a 7."
    assert browser.run("document.querySelector('#bars .best th').textContent") == "7"

    # What is read is what the net gives for the centred drawing.
    pictures = browser.run("[...Drawing.centred().picture]")
    image = (torch.tensor(pictures).view(1, 1, 28, 28) - 0.1307) / 0.3081
    with torch.no_grad():
        probability = load_model(page.SHOWN)(image).softmax(1)[0, 7]
    width = browser.run("document.querySelector('#bars .best .fill').style.width")
    assert float(width.rstrip("%")) == pytest.approx(100 * float(probability), abs=0.1)

    # Two lines are undone one by one.
    pen(browser, ONE)
    browser.run("document.getElementById('undo').click()")
    wait_for_sign(browser, "7")
    browser.run("document.getElementById('undo').click()")
    wait_for_sign(browser, "?")
    pen(browser, FOUR)
    wait_for_sign(browser, "4")
    browser.run("document.getElementById('clear').click()")
    wait_for_sign(browser, "?")
    assert browser.errors == []


def test_it_reads_while_the_line_is_drawn(browser):
    places = on_paper(browser, SEVEN[0])
    signs = []
    for number, (x, y) in enumerate(places):
        kind = "mouseMoved" if number else "mousePressed"
        held = {"button": "left", "buttons": 1, "clickCount": 1}
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)
        time.sleep(0.2)
        signs.append(text(browser, "bars"))
    wait_for_sign(browser, "7")
    assert len(set(signs)) >= 3


def test_a_line_that_leaves_the_paper_ends_where_the_button_is_let_go(browser):
    inside, outside, later = on_paper(browser, [(200, 60), (360, 160), (60, 200)])
    held = {"button": "left", "buttons": 1, "clickCount": 1}
    for kind, (x, y) in (
        ("mousePressed", inside),
        ("mouseMoved", outside),
        ("mouseReleased", outside),
    ):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)
    ink = "[...Drawing.centred().picture].join()"
    drawn = browser.run(ink)
    # The line goes on to the edge of the paper; without a button nothing is drawn.
    assert browser.run("Drawing.centred().paper.left") > 150
    for x, y in (inside, later):
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.run(ink) == drawn


def test_a_finger_on_the_paper_does_not_move_the_page(browser):
    screen(browser, 390, 844, mobile=True)
    draw_with_finger(browser, SEVEN)
    wait_for_sign(browser, "7")
    assert browser.run("scrollY") == 0
    # Nothing is wider than the screen of a telephone.
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_a_digit_can_be_drawn_undone_and_cleared_with_keys_alone(browser):
    press(browser, "Tab")
    assert browser.run("document.activeElement.id") == "paper"
    assert "arrow keys move the pen" in text(browser, "pen-state")
    # From the middle to the upper left; nothing is drawn on the way.
    press(browser, *["ArrowUp"] * 8, *["ArrowLeft"] * 5)
    assert text(browser, "big") == "?"
    press(browser, " ")
    assert "The pen is down" in text(browser, "said")
    press(browser, *["ArrowRight"] * 11)
    for _ in range(5):
        press(browser, "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft")
    press(browser, " ")
    assert "The pen is lifted" in text(browser, "said")
    wait_for_sign(browser, "7")
    # The reading is said when the hand rests.
    wait(browser, "document.getElementById('said').textContent.startsWith('This is a 7.')")
    assert browser.run("scrollY") == 0

    press(browser, "z")
    wait_for_sign(browser, "?")
    assert text(browser, "pen-state") == "The last line is undone."
    press(browser, " ", "ArrowDown", "ArrowDown", "c")
    wait_for_sign(browser, "?")
    assert text(browser, "said") == "The paper is empty."
    # The pen is up again.
    press(browser, "ArrowDown", "ArrowDown")
    time.sleep(0.2)
    assert text(browser, "big") == "?" and browser.errors == []


def test_its_own_digits_are_read(browser):
    for digit in (3, 0, 7, 4, 1, 8, 5, 2, 9, 6):
        browser.run("document.getElementById('example').click()")
        assert text(browser, "pen-state") == f"The page draws a {digit}."
        wait_for_sign(browser, str(digit))


def test_a_scribble_is_read_with_doubt_and_the_page_says_why(browser):
    draw_with_mouse(browser, SCRIBBLE)
    wait(browser, "document.getElementById('big').className === 'doubt'")
    wait(browser, "document.getElementById('big').textContent.endsWith('?')")
    assert "may be no digit at all" in text(browser, "verdict")
    assert "sum to one" in text(browser, "reason") and "test digits" in text(browser, "reason")


def test_a_blot_is_called_one(browser):
    draw_with_mouse(browser, [[(140, 140), (141, 141)]])
    wait(browser, "document.getElementById('verdict').textContent.startsWith('Is this a blot?')")
    assert "always sum to one" in text(browser, "reason")


@pytest.mark.parametrize("kind", ["practice", "real"])
def test_200_digits_have_torchs_logits(browser, kind, request):
    images = draw("mnist", 200, seed=6)[0]
    if kind == "real":
        root = request.getfixturevalue("real_data_root")
        images = load("mnist", root, validation=0).test.images[:200]
    data = json.dumps(images.flatten(1).div(255).tolist())
    found = np.array(browser.run(f"{data}.map(Net.logits)"))
    with torch.no_grad():
        expected = load_model(page.SHOWN)((images / 255 - 0.1307) / 0.3081)
    assert np.abs(found - expected.numpy()).max() < 1e-3
    if kind == "real":
        recorded = load_result(page.SHOWN).arrays["predictions"][0][:200]
        assert (found.argmax(1) == recorded).all()


def test_the_pixel_under_the_cursor_shows_what_it_sees(browser):
    draw_with_mouse(browser, SEVEN)
    wait_for_sign(browser, "7")
    # Row 2, column 3 of the first map behind the second convolution, which sees 5 × 5 pixels.
    stages = browser.run("Net.stages.map((stage) => stage.size)")
    zoom = max(2, 74 // stages[1][2])
    hover(browser, 1, 2.5 * zoom, 1.5 * zoom)
    wait(browser, "document.getElementById('spot').textContent.startsWith('Map 1 of')")
    said = text(browser, "spot")
    assert f"Map 1 of {stages[1][0]}, row 2, column 3: " in said
    assert "It sees rows 2 to 6 and columns 3 to 7 of the 28." in said
    # Its value is that of the maps after the step that is shown.
    step = "Net.stages[1].steps.at(-1).layer"
    value = browser.run(
        f"Net.forward(Drawing.centred().picture)[{step}].values[{stages[1][2]} + 2]"
    )
    assert f": {value:.2f}.".replace("-", "−") in said

    # The frame's left side lies within the third pixel of the image, its upper one in the second.
    assert is_orange(browser, "seen", 2.2 / 28, 3.5 / 28)
    assert is_orange(browser, "seen", 4.5 / 28, 1.2 / 28)
    assert not is_orange(browser, "seen", 10.5 / 28, 1.2 / 28)

    # Between two maps there is nothing to see.
    hover(browser, 1, stages[1][2] * zoom + 3, 5)
    wait(browser, "document.getElementById('spot').textContent.startsWith('Dashed')")
    assert not is_orange(browser, "seen", 2.2 / 28, 3.5 / 28)


def test_the_frame_lies_on_the_drawing_too(browser):
    draw_with_mouse(browser, SEVEN)
    wait_for_sign(browser, "7")
    last = browser.run("Net.stages.length") - 1
    hover(browser, last, 10, 10)
    wait(browser, "document.getElementById('spot').textContent.startsWith('The logit of the 0')")
    # The last layer sees the whole image, which reaches beyond the paper: the frame does not.
    paper = browser.run("Drawing.centred().paper")
    assert paper["top"] < 0
    assert is_orange(browser, "paper", 0.5, 1 / 280)

    # A pixel of the third map sees 6 × 6 pixels.
    zoom = 74 // browser.run("Net.stages[2].size[2]")
    hover(browser, 2, 4.5 * zoom, 3.5 * zoom)
    wait(browser, "document.getElementById('spot').textContent.includes('row 4, column 5:')")
    assert "rows 7 to 12 and columns 9 to 14" in text(browser, "spot")
    for row, column in ((6, 10), (12, 10), (8, 8), (8, 14)):
        y = paper["top"] + row * paper["scale"]
        x = paper["left"] + column * paper["scale"]
        assert is_orange(browser, "paper", x / 280, y / 280)
    assert not is_orange(browser, "paper", 0.5, 1 / 280)


def test_maps_are_walked_over_with_keys(browser):
    browser.run("document.querySelectorAll('.stage canvas')[2].focus()")
    press(browser, "ArrowRight")
    rows, columns = browser.run("Net.stages[2].size.slice(1)")
    place = f"row {rows // 2 + 1}, column {columns // 2 + 1}: nothing is drawn."
    assert place in text(browser, "said")
    press(browser, *["ArrowLeft"] * (columns // 2), "ArrowDown")
    assert f"Map 1 of 10, row {rows // 2 + 2}, column 1:" in text(browser, "said")
    # Beyond the edge lies the next map.
    press(browser, *["ArrowRight"] * columns)
    assert f"Map 2 of 10, row {rows // 2 + 2}, column 1:" in text(browser, "said")
    press(browser, *["ArrowDown"] * rows)
    below = re.search(r"Map (\d+) of 10, row (\d+), column 1:", text(browser, "said"))
    assert int(below[1]) > 3 and int(below[2]) == rows // 2 + 2
    # Below the last map there is none.
    press(browser, *["ArrowDown"] * 5 * rows)
    assert f"row {rows}, column 1:" in text(browser, "said")
    press(browser, "Escape")
    assert text(browser, "spot").startswith("Dashed")


def test_maps_are_shown_after_each_step(browser):
    draw_with_mouse(browser, SEVEN)
    wait_for_sign(browser, "7")
    pixels = """(() => {
      const canvas = document.querySelector('.stage canvas');
      return [...canvas.getContext('2d').getImageData(0, 0, 60, 60).data].join();
    })()"""
    seen = set()
    count = browser.run("Net.stages[0].steps.length")
    for step in range(count):
        button = f"document.querySelectorAll('.steps')[0].children[{step}]"
        browser.run(f"{button}.click()")
        assert browser.run(f"{button}.getAttribute('aria-pressed')") == "true"
        seen.add(browser.run(pixels))
    assert len(seen) == count == 3
    pressed = (
        "document.querySelectorAll('.steps')[0].querySelectorAll('[aria-pressed=true]').length"
    )
    assert browser.run(pressed) == 1


def test_a_screen_reader_is_told_what_everything_is(browser):
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    unnamed = []
    roles = set()
    for node in nodes:
        role = node.get("role", {}).get("value")
        roles.add(role)
        wanted = ("application", "button", "image", "heading", "table", "rowheader")
        if role in wanted and not node.get("ignored") and not node["name"].get("value"):
            unnamed.append(node)
    assert unnamed == [] and {"application", "button", "table", "status"} <= roles


def test_it_has_a_light_and_a_dark_theme(browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    media("dark", browser)
    wait(browser, f"{ground} !== '{light}'")
    draw_with_mouse(browser, SEVEN)
    wait_for_sign(browser, "7")
    # Ink is light on dark paper.
    ink = browser.run("""(() => {
      const canvas = document.getElementById('paper');
      const [x, y] = [0.5 * canvas.width, 60 / 280 * canvas.height].map(Math.round);
      return canvas.getContext('2d').getImageData(x, y, 1, 1).data[0];
    })()""")
    assert ink > 200 and browser.errors == []
