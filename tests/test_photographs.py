"""Photographs made into inputs: digits written on paper in these tests, lit, and photographed."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from paper import photographed, written
from PIL import Image, ImageDraw, ImageOps
from scipy import ndimage

from helpers import data, experiments, interpret
from helpers.data import practice
from helpers.data.known import DataError
from helpers.data.photographs import SIDE, Photographs
from helpers.environment import CourseError
from helpers.plots.photographs import show_photograph_readings, show_photograph_steps
from helpers.plots.style import BLUE, GREY, RED

SHEET = (450, 600)  # rows and columns of most photographs here
PLACE = (80, 150, 300, 300)  # where their digit stands


def digit_of(label: int, seed: int = 5) -> np.ndarray:
    """A practice digit of that class, uint8 [28, 28]."""
    images, labels = practice.draw("mnist", 100, seed)
    return images[int((labels == label).nonzero()[0])][0].numpy()


def photo_of(label: int, seed: int = 0, **options) -> Image.Image:
    """A photograph of a practice digit."""
    generator = np.random.default_rng(seed)
    return photographed(written(digit_of(label), SHEET, PLACE), generator, **options)


def sheet_of(draw, seed: int = 0, strength: float = 1.0) -> Image.Image:
    """A photograph of what ``draw`` puts on a sheet with a Pillow pen."""
    sheet = Image.new("L", SHEET[::-1])
    draw(ImageDraw.Draw(sheet))
    return photographed(strength * np.asarray(sheet) / 255, np.random.default_rng(seed))


def as_mnist(digit: np.ndarray) -> np.ndarray:
    """A digit scaled to 20 pixels as the test itself does it, by Pillow, in 28 × 28."""
    image = Image.fromarray(digit)
    box = image.point(lambda value: 255 * (value > 25)).getbbox()
    cut = image.crop(box)
    scale = 20 / max(cut.size)
    size = [max(1, round(side * scale)) for side in cut.size]
    small = np.asarray(cut.resize(size, Image.Resampling.BOX), dtype=float)
    canvas = np.zeros((28, 28))
    top, left = (28 - small.shape[0]) // 2, (28 - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def correlation(found: np.ndarray, digit: np.ndarray) -> float:
    """How alike two digits are, the second one moved to the first one's centre of mass."""
    # MNIST's shift is by whole pixels: a hair's breadth of ink decides between two of them.
    wanted = as_mnist(digit)
    move = np.subtract(ndimage.center_of_mass(found), ndimage.center_of_mass(wanted))
    moved = ndimage.shift(wanted, move, order=1)
    return float(np.corrcoef(found.ravel(), moved.ravel())[0, 1])


def take(folder: Path, digits: list[np.ndarray], names: list[str], seed: int) -> None:
    """Photographs of digits as a careless person takes them, saved as JPEG in a folder."""
    generator = np.random.default_rng(seed)
    for digit, name in zip(digits, names):
        size = [(450, 600), (600, 450), (360, 360), (720, 960)][generator.integers(4)]
        # The digit's 28 × 28 fill a third to nine tenths of the sheet, anywhere on it.
        side = int(min(size) * generator.uniform(0.35, 0.9))
        top = int(generator.integers(0, size[0] - side + 1))
        left = int(generator.integers(0, size[1] - side + 1))
        sheet = written(digit, size, (top, left, side, side))
        pen = [(0.1, 0.1, 0.1), (0.15, 0.2, 0.5), (0.35, 0.33, 0.3)][generator.integers(3)]
        picture = photographed(sheet, generator, pen)
        # Every other one lies on its side, and its EXIF says so.
        exif = Image.Exif()
        if generator.integers(2):
            picture = picture.transpose(Image.Transpose.ROTATE_90)
            exif[0x0112] = 6
        picture.save(folder / name, quality=int(generator.integers(50, 90)), exif=exif)


@pytest.mark.slow
def test_fifty_photographed_digits_are_recovered(tmp_path) -> None:
    images, labels = practice.draw("mnist", 50, seed=7)
    digits = [image[0].numpy() for image in images]
    names = [f"{label}_{number:02}.jpg" for number, label in enumerate(labels.tolist())]
    take(tmp_path, digits, names, seed=1)
    mine = data.from_images([tmp_path / name for name in names])
    assert mine.labels == tuple(labels.tolist()) and mine.names == names

    alike = 0
    for steps, digit in zip(mine.steps, digits):
        alike += correlation(steps.digit.astype(float), digit) >= 0.9
        # The centre of mass lies inside the pixel of row 14 and column 14, as in MNIST.
        centre = np.array(ndimage.center_of_mass(steps.digit))
        assert np.abs(centre - 14).max() <= 0.55
        rows, columns = np.nonzero(steps.digit > 25)
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    assert alike >= 48


@pytest.mark.slow
def test_a_recorded_net_reads_photographed_test_digits(tmp_path, real_data_root) -> None:
    test = data.load("mnist", real_data_root, validation=0).test.subset(range(0, 10_000, 100))
    digits = [image[0].numpy() for image in test.images]
    names = [f"{label}_{number:02}.jpg" for number, label in enumerate(test.labels.tolist())]
    take(tmp_path, digits, names, seed=2)
    try:
        model = experiments.load_model("ladder-fewer")
    except CourseError as problem:
        pytest.skip(f"no recorded net to read them: {problem}")

    # A digit that falls into two pieces may be taken for two: it counts as misread.
    right = 0
    for name in names:
        with_one = [tmp_path / name]
        try:
            mine = data.from_images(with_one)
        except DataError:
            continue
        right += interpret.predict(model, mine.split).mistakes == 0
    assert right >= 90


# The file: kinds, sizes, rotation.


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_turn_that_a_camera_notes_is_undone(tmp_path, orientation) -> None:
    upright = photo_of(5)
    # What the camera would have stored: the inverse of what Pillow does with the note.
    stored = upright
    if orientation > 1:
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
        stored = upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    upright.save(tmp_path / "b.png")
    found = data.from_images([tmp_path / "a.png", tmp_path / "b.png"]).images
    assert torch.equal(found[0], found[1])
    # The other way round it would be another picture.
    assert not torch.equal(found[0], found[0].flip(-1))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1"])
def test_every_kind_of_picture_is_read(tmp_path, mode) -> None:
    digit = digit_of(3)
    ink = (255 * written(digit, SHEET, PLACE)).clip(0, 255).astype(np.uint8)
    clean = ImageOps.invert(Image.fromarray(ink))
    kind = ".tif" if mode == "CMYK" else ".png"
    clean.convert("RGB").convert(mode).save(tmp_path / f"3{kind}")
    [steps] = data.from_images(tmp_path).steps
    assert correlation(steps.digit.astype(float), digit) > 0.9


def test_what_is_transparent_is_paper(tmp_path) -> None:
    digit = digit_of(6)
    pixels = np.zeros((*SHEET, 4), dtype=np.uint8)  # black everywhere, and seen where there is ink
    pixels[..., 3] = (255 * written(digit, SHEET, PLACE)).clip(0, 255)
    Image.fromarray(pixels).save(tmp_path / "6.png")
    [steps] = data.from_images(tmp_path).steps
    assert correlation(steps.digit.astype(float), digit) > 0.95


def test_sixteen_bits_are_scaled(tmp_path) -> None:
    wide = np.asarray(photo_of(8).convert("L")).astype(np.uint16) * 257
    Image.fromarray(wide).save(tmp_path / "8.png")
    [steps] = data.from_images(tmp_path).steps
    assert correlation(steps.digit.astype(float), digit_of(8)) > 0.9


def test_light_ink_needs_to_be_asked_for(tmp_path) -> None:
    digit = digit_of(4)
    Image.fromarray(digit).save(tmp_path / "4.png")  # 28 × 28, white on black, as MNIST has it
    with pytest.raises(DataError, match=r"4\.png .*invert=True"):
        data.from_images(tmp_path)
    [steps] = data.from_images(tmp_path, invert=True).steps
    assert correlation(steps.digit.astype(float), digit) > 0.9
    # A board is not black, and its chalk not white.
    board = 40 + 150 * written(digit, SHEET, PLACE)
    board += np.random.default_rng(0).normal(0, 4, SHEET)
    Image.fromarray(board.clip(0, 255).astype(np.uint8)).save(tmp_path / "4.png")
    with pytest.raises(DataError, match=r"^4\.png "):
        data.from_images(tmp_path)
    [steps] = data.from_images(tmp_path, invert=True).steps
    assert correlation(steps.digit.astype(float), digit) > 0.9


def test_a_digit_that_is_cut_out_closely_is_read(tmp_path) -> None:
    digit = digit_of(2)
    rows, columns = np.nonzero(digit > 25)
    cut = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    Image.fromarray(255 - cut).save(tmp_path / "2.png")
    [steps] = data.from_images(tmp_path).steps
    assert correlation(steps.digit.astype(float), digit) > 0.9


@pytest.mark.slow
def test_a_large_picture_is_made_smaller_first(tmp_path, monkeypatch) -> None:
    large = photo_of(7).resize((6000, 4500))
    large.save(tmp_path / "7.jpg", quality=70)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000_000)  # of which Pillow would warn
        [steps] = data.from_images(tmp_path).steps
    assert steps.grey.shape == (450, SIDE)
    assert correlation(steps.digit.astype(float), digit_of(7)) > 0.9
    # Twice that number is more than Pillow opens.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000_000)
    with pytest.raises(DataError, match=r"7\.jpg is too large a picture"):
        data.from_images(tmp_path)


# The sheet: pens, lines, tables.


@pytest.mark.parametrize("pen", [3, 10, 40])
def test_the_breadth_of_the_pen_hardly_matters(tmp_path, pen) -> None:
    corners = [(200, 90), (380, 90), (260, 370)]
    sheet_of(lambda draw: draw.line(corners, 255, pen)).save(tmp_path / "7.jpg")
    [steps] = data.from_images(tmp_path).steps
    # A line of 3 pixels would be a fifth of a pixel wide, and as pale.
    stroke = steps.digit[14]
    assert stroke.max() > 200 and 300 < stroke.sum() < 1500


def test_pale_lines_a_frame_and_a_table_are_no_ink(tmp_path) -> None:
    digit = digit_of(5)
    ink = written(digit, SHEET, PLACE)
    lines = np.zeros(SHEET)
    lines[10::30] = 0.25
    generator = np.random.default_rng(4)
    photographed(np.maximum(ink, lines), generator).save(tmp_path / "5_ruled.jpg")
    frame = np.zeros(SHEET)
    frame[60:400, 130:470] = 1
    frame[66:394, 136:464] = 0
    photographed(np.maximum(ink, frame), generator).save(tmp_path / "5_framed.jpg")
    # The sheet lies on a dark table, a little turned, and fills less than half of the picture.
    table = Image.new("L", SHEET[::-1])
    ImageDraw.Draw(table).rectangle((130, 60, 480, 400), fill=255)
    sheet = np.asarray(table.rotate(7, Image.Resampling.BICUBIC)) / 255
    seen = np.asarray(photographed(ink, generator).convert("L"))
    seen = seen * sheet + (1 - sheet) * (50 + 10 * np.sin(np.arange(600) / 9))
    Image.fromarray(seen.astype(np.uint8)).save(tmp_path / "5_table.jpg")
    for steps in data.from_images(tmp_path).steps:
        assert correlation(steps.digit.astype(float), digit) > 0.9, steps.name


def test_the_parts_of_a_digit_stay_together(tmp_path) -> None:
    def five(draw) -> None:
        draw.line([(250, 110), (240, 200), (320, 210), (340, 300), (230, 350)], 255, 16, "curve")
        draw.line([(275, 100), (350, 96)], 255, 16)  # the bar, lifted off
        draw.ellipse((60, 60, 64, 64), 255)  # a speck of dirt

    sheet_of(five).save(tmp_path / "5.jpg")
    [steps] = data.from_images(tmp_path).steps
    assert steps.box.left > 200 and steps.box.top < 100
    # The bar is there, and stands apart.
    assert ndimage.label(steps.ink > 128)[1] == 2


# What is said of bad pictures.


def two_digits(draw) -> None:
    draw.line([(150, 100), (150, 350)], 255, 20)
    draw.ellipse((300, 100, 450, 350), outline=255, width=20)


def two_above(draw) -> None:
    draw.line([(300, 40), (300, 180)], 255, 20)
    draw.line([(300, 280), (300, 410)], 255, 20)


def a_dash(draw) -> None:
    draw.line([(100, 220), (500, 230)], 255, 20)


def nothing(draw) -> None:
    pass


@pytest.mark.parametrize(
    "draw, said",
    [
        (nothing, "has no ink"),
        (two_digits, "holds two digits or more"),
        (two_above, "holds two digits or more"),
        (a_dash, "far wider than a digit"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sheet_that_shows_no_single_digit_is_one_line(tmp_path, draw, said, seed) -> None:
    sheet_of(draw, seed).save(tmp_path / "sheet.jpg")
    with pytest.raises(DataError, match=rf"^sheet\.jpg .*{said}") as problem:
        data.from_images(tmp_path)
    assert "\n" not in str(problem.value)


def png_bytes() -> bytes:
    buffer = io.BytesIO()
    photo_of(1).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("7.jpg", b"this is a text", "is no picture"),
        ("7.jpg", b"", "is no picture"),
        ("7.heic", b"\x00\x00\x00\x18ftypheic", "is no picture"),
        ("7.svg", b"<svg/>", "is no picture"),
        ("7.png", png_bytes()[:3000], "cannot be"),
    ],
)
def test_a_file_that_is_no_picture_is_one_line(tmp_path, name, content, said) -> None:
    (tmp_path / name).write_bytes(content)
    for files in (tmp_path, tmp_path / name, [str(tmp_path / name)]):
        with pytest.raises(DataError, match=said) as problem:
            data.from_images(files)
        assert name in str(problem.value) and "\n" not in str(problem.value)


def test_a_film_and_a_strip_are_one_line(tmp_path) -> None:
    film = tmp_path / "7.gif"
    photo_of(7).save(film, save_all=True, append_images=[photo_of(8)])
    with pytest.raises(DataError, match=r"7\.gif holds 2 pictures"):
        data.from_images(film)
    strip = tmp_path / "1.png"
    Image.new("L", (900, 9), 255).save(strip)
    with pytest.raises(DataError, match="900 × 9 pixels"):
        data.from_images(strip)


def test_places_without_pictures_are_one_line(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="holds no pictures"):
        data.from_images(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        data.from_images(tmp_path / "missing")
    with pytest.raises(DataError, match="is not there"):
        data.from_images([tmp_path / "missing.jpg"])
    with pytest.raises(DataError, match="is empty"):
        data.from_images([])
    with pytest.raises(DataError, match="3 is no picture"):
        data.from_images(3)
    (tmp_path / "inner").mkdir()
    photo_of(1).save(tmp_path / "inner" / "1.jpg")
    with pytest.raises(DataError, match="inner is a folder of pictures"):
        data.from_images(tmp_path)


# Labels.


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three photographs: two that say what they show, and one that does not."""
    place = tmp_path_factory.mktemp("photographs")
    for name, label in (("3.jpg", 3), ("7 (2).jpg", 7), ("IMG_2041.jpg", 1)):
        photo_of(label, seed=label).save(place / name)
    return place


def test_names_and_a_dictionary_say_what_is_shown(folder) -> None:
    mine = data.from_images(str(folder))
    assert isinstance(mine, Photographs) and len(mine) == 3
    assert mine.names == ["3.jpg", "7 (2).jpg", "IMG_2041.jpg"]
    assert mine.labels == (3, 7, None)
    told = data.from_images(folder, labels={"IMG_2041.jpg": 1, "3.jpg": 8})
    assert told.labels == (8, 7, 1)
    assert torch.equal(told.images, mine.images)


def test_an_unknown_label_is_never_guessed(folder) -> None:
    mine = data.from_images(folder)
    with pytest.raises(DataError, match=r"which digit IMG_2041\.jpg shows") as problem:
        _ = mine.split
    assert "\n" not in str(problem.value)
    # A net reads it all the same.
    model = experiments.load_model("ladder-fewer")
    with torch.no_grad():
        assert model(mine.inputs).shape == (3, 10)
    assert mine.inputs.dtype == torch.float32 and mine.inputs.shape == (3, 1, 28, 28)


def test_the_inputs_are_what_batches_make_of_the_split(folder) -> None:
    mine = data.from_images(folder, labels={"IMG_2041.jpg": 1})
    [(images, labels)] = data.Batches(mine.split, 10)
    torch.testing.assert_close(images, mine.inputs)
    assert labels.tolist() == [3, 7, 1] and mine.split.note
    assert len(interpret.predict(experiments.load_model("ladder-fewer"), mine.split)) == 3


@pytest.mark.parametrize(
    "names, labels",
    [
        (["7.jpg", "7-b.png", "7_c.jpg", "7 d.jpg"], [7, 7, 7, 7]),
        (["2024-05-01.jpg", "7th.jpg", "a7.jpg", "12_b.jpg"], [None, None, None, None]),
        # Numbers that count pictures say nothing of what these show.
        (["1.jpg", "2.jpg", "10.jpg", "3_b.jpg"], [None, None, None, 3]),
    ],
)
def test_which_names_are_labels(names, labels) -> None:
    from helpers.data.photographs import labels_of

    assert labels_of(names, None) == labels


def test_files_of_one_name_in_two_folders_share_its_label() -> None:
    from helpers.data.photographs import labels_of

    assert labels_of(["7.jpg", "7.jpg"], {"7.jpg": 3}) == [3, 3]
    assert labels_of(["7.jpg", "7.jpg"], {}) == [7, 7]


@pytest.mark.parametrize(
    "labels, said",
    [
        ([7, 3], r"labels are a list: give a dictionary .* labels={'.*\.jpg': 7}$"),
        (7, "labels are a int: give a dictionary from file names to digits"),
        ("7", "labels are a str: give a dictionary"),
        ({"4.jpg": 4}, "'4.jpg', which is none of the pictures"),
        ({"3.jpg": 10}, "the label 10 of 3.jpg is no digit"),
        ({"3.jpg": "three"}, "the label 'three' of 3.jpg is no digit"),
        ({"3.jpg": True}, "the label True"),
    ],
)
def test_wrong_labels_are_one_line(folder, labels, said) -> None:
    with pytest.raises(DataError, match=said):
        data.from_images(folder, labels=labels)


# Figures.


def test_the_steps_are_drawn_in_a_row(folder) -> None:
    mine = data.from_images(folder)
    grid = show_photograph_steps(mine)
    assert grid.shape == (3, 5)
    for row, steps in zip(grid, mine.steps):
        shown = [ax.images[0].get_array() for ax in row]
        wanted = (steps.grey, steps.light, steps.even, steps.ink, steps.digit)
        assert all(np.array_equal(one, other) for one, other in zip(shown, wanted))
        # The box, as it was found, and the cross at the centre of mass.
        [frame] = row[3].patches
        assert (frame.get_width(), frame.get_height()) == (steps.box.width, steps.box.height)
        [cross] = row[4].lines
        down, across = ndimage.center_of_mass(steps.digit)
        np.testing.assert_allclose((cross.get_xdata()[0], cross.get_ydata()[0]), (across, down))
    assert grid[1, 0].get_ylabel() == "7 (2).jpg\nlabel 7"
    assert grid[2, 0].get_ylabel() == "IMG_2041.jpg"
    assert show_photograph_steps(mine, indices=[2]).shape == (1, 5)
    with pytest.raises(CourseError, match="no photograph was chosen"):
        show_photograph_steps(mine, indices=[])


def test_the_readings_are_drawn(folder) -> None:
    mine = data.from_images(folder)
    chances = torch.full((3, 10), 0.01)
    chances[0, 3] = chances[1, 1] = chances[2, 1] = 0.91
    grid = show_photograph_readings(mine, chances)
    assert grid.shape == (3, 3)
    heights = [bar.get_height() for bar in grid[0, 2].patches]
    np.testing.assert_allclose(heights, 100 * chances[0])
    assert [row[2].get_ylabel() for row in grid] == ["probability (%)"] * 3
    assert [row[2].get_xlabel() for row in grid] == ["", "", "digit"]
    titles = [row[2].get_title() for row in grid]
    assert titles == ["read as 3, 91.0 %", "read as 1, 91.0 %, and is 7", "read as 1, 91.0 %"]
    assert [ax.get_title() for ax in grid[0, :2]] == ["photograph", "the net's input"]
    # Blue is the label, red a wrong reading; where nobody has said the label all are grey.
    colors = []
    for row in grid:
        colors.append([to_hex(bar.get_facecolor()).upper() for bar in row[2].patches])
    assert colors[0] == [GREY] * 3 + [BLUE] + [GREY] * 6
    assert colors[1] == [GREY, RED] + [GREY] * 5 + [BLUE] + [GREY] * 2
    assert colors[2] == [GREY] * 10
    with pytest.raises(CourseError, match="do not fit 3 photographs"):
        show_photograph_readings(mine, chances[:2])
    with pytest.raises(CourseError, match="add up to 1"):
        show_photograph_readings(mine, 5 * chances)
