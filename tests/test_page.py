"""The page that reads a drawn digit: what it is made of, and its own script run by node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers.data import load
from helpers.data.centring import centred
from helpers.data.practice import draw
from helpers.environment import NOTEBOOKS, ROOT, CourseError
from helpers.experiments import load_model, load_result
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.records import evidence_root
from helpers.models import small
from helpers.models.residual import ResidualNet
from helpers.upkeep import page
from helpers.upkeep.page_layers import export

MEAN, DEVIATION = 0.1307, 0.3081
PERCENTILES = [float(percent) for percent in range(101)]
STYLE = page.part("style.css")


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return load_model(page.SHOWN)


@pytest.fixture(scope="module")
def text(net) -> str:
    return page.page_of(net, load_result(page.SHOWN))


def script_of(text: str) -> str:
    """The page's script that runs without a page."""
    return re.search(r'<script id="net">\n(.*?)</script>', text, re.DOTALL)[1]


def run_in_node(script: str, expression: str, data: Any = None) -> Any:
    """What an expression over ``data`` and the script's ``Net`` gives under node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: it runs the page's script without a browser")
    lines = [script, f"const data = {json.dumps(data)};"]
    lines.append(f"console.log(JSON.stringify({expression}));")
    command = [node, "--input-type=commonjs", "-"]
    done = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def as_lists(images: torch.Tensor) -> list[list[float]]:
    """Images uint8 [N, 1, 28, 28] as the page's script gets them, from 0 to 1."""
    return images.flatten(1).div(255).tolist()


def torch_logits(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net((images / 255 - MEAN) / DEVIATION)


# The net


@pytest.mark.slow
def test_the_script_gives_torchs_logits_of_200_practice_digits(net, text):
    images = draw("mnist", 200, seed=3)[0]
    found = run_in_node(script_of(text), "data.map(Net.logits)", as_lists(images))
    assert np.abs(np.array(found) - torch_logits(net, images).numpy()).max() < 1e-3


@pytest.mark.slow
def test_the_script_gives_torchs_logits_of_200_test_digits(net, text, real_data_root):
    split = load("mnist", real_data_root, validation=0).test.subset(slice(200))
    found = np.array(run_in_node(script_of(text), "data.map(Net.logits)", as_lists(split.images)))
    assert np.abs(found - torch_logits(net, split.images).numpy()).max() < 1e-3
    # Float16 is how the record keeps the logits of the same images.
    recorded = load_result(page.SHOWN).arrays["logits"][0][:200].astype(float)
    assert np.abs(found - recorded).max() < 0.05
    assert (found.argmax(1) == split.labels.numpy()).mean() > 0.97


NETS: dict[str, Callable[[], nn.Module]] = {
    "padding, a mean and a linear layer": lambda: small.field_net((1, 3)),
    "biases, pooling after padding": small.budget_net,
    "a mean with a stride": lambda: small.budget_net(batch_norm=False),
    "no normalisation": small.first_net,
    "stride, dilation and groups": lambda: nn.Sequential(
        nn.Conv2d(1, 4, (5, 3), stride=(2, 1), padding=(2, 0), dilation=(1, 2)),
        nn.Conv2d(4, 8, 3, groups=2, padding="same"),
        nn.Sequential(nn.BatchNorm2d(8, affine=False), nn.Identity(), nn.ReLU()),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(8, 8, 3, groups=8, padding="valid"),
        nn.AvgPool2d((2, 3), (1, 2)),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Conv2d(8, 10, 1),
        nn.Flatten(),
    ),
    "a linear layer that sees maps": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 5, stride=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(108, 12),
        nn.ReLU(),
        nn.Linear(12, 10),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_every_layer_that_it_knows_is_torchs(name):
    torch.manual_seed(len(name))
    net = NETS[name]().eval()
    for layer in net.modules():
        # Fresh statistics are zeros and ones, which hide what is done with them.
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.1, 3)
            if layer.affine:
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
    images = draw("mnist", 10, seed=4)[0]
    script = page.net_script(net, PERCENTILES)
    found = run_in_node(script, "data.map(Net.logits)", as_lists(images))
    expected = torch_logits(net, images)
    assert np.abs(np.array(found) - expected.numpy()).max() < 1e-3
    assert expected.std() > 1e-2


def test_its_maps_are_those_of_every_layer(net, text):
    images = draw("mnist", 1, seed=8)[0]
    maps = (images / 255 - MEAN) / DEVIATION
    expected = []
    with torch.no_grad():
        for layer in net:
            maps = layer(maps)
            if not isinstance(layer, nn.Dropout | nn.Flatten):
                expected.append(maps)
    shapes = "Net.forward(data[0]).map((m) => [m.channels, m.rows, m.columns, [...m.values]])"
    found = run_in_node(script_of(text), shapes, as_lists(images))
    assert len(found) == len(expected)
    for (channels, rows, columns, values), maps in zip(found, expected):
        assert maps.shape == (1, channels, rows, columns)
        assert np.allclose(values, maps.flatten().numpy(), atol=1e-3)


def test_one_digit_takes_less_than_20_milliseconds(text):
    # The best of several: what else the machine does at the time is not the page's.
    code = """(() => {
      const times = data.map((image) => {
        const begin = performance.now();
        Net.logits(image);
        return performance.now() - begin;
      });
      return Math.min(...times);
    })()"""
    images = as_lists(draw("mnist", 30, seed=1)[0])
    assert run_in_node(script_of(text), code, images) < 20


def test_softmax_and_the_share_of_weaker_digits(net):
    script = page.net_script(net, PERCENTILES)
    logits = [[3.0, -2.0, 900.0, 899.0], [0.0] * 10, [-1e4, 0.0]]
    found = run_in_node(script, "data.map(Net.softmax)", logits)
    for mine, row in zip(found, logits):
        assert np.allclose(mine, torch.tensor(row).softmax(0), atol=1e-6)
    levels = [-5, 0, 0.5, 1, 1.5, 50.5, 100, 101]
    assert run_in_node(script, "data.map(Net.fewerOf100)", levels) == [0, 0, 0, 0, 1, 50, 99, 100]


def test_the_strongest_logits_are_those_of_the_record():
    result = load_result(page.SHOWN)
    strongest = np.sort(result.arrays["logits"][0].astype(float).max(axis=1))
    found = page.strongest_logits(result)
    assert len(found) == 101 and found == sorted(found)
    assert found[0] == pytest.approx(strongest[0], abs=0.01)
    assert found[100] == pytest.approx(strongest[-1], abs=0.01)
    for percent in (1, 5, 50, 95):
        weaker = np.mean(strongest < found[percent])
        assert weaker == pytest.approx(percent / 100, abs=0.005)


# Receptive fields


@pytest.mark.slow
def test_fields_are_where_the_gradient_is(net, text):
    """Without ReLU and largest values, and with weights of one, every path has a gradient."""
    plain = []
    for layer in load_model(page.SHOWN):
        if isinstance(layer, nn.MaxPool2d):
            layer = nn.AvgPool2d(layer.kernel_size, layer.stride)
        elif isinstance(layer, nn.ReLU | nn.BatchNorm2d):
            layer = nn.Identity()
        elif isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
        plain.append(layer)

    # Each stage ends before the next layer with a window.
    ends = []
    for place, layer in enumerate(plain):
        if isinstance(layer, nn.Conv2d | nn.AvgPool2d):
            ends.append(place + 1)
    stages = export(net).stages
    assert len(stages) == len(ends)
    for number, (stage, end) in enumerate(zip(stages, ends)):
        _, rows, columns = stage["size"]
        for row, column in ((0, 0), (rows - 1, columns // 2)):
            image = torch.zeros(1, 1, 28, 28, requires_grad=True)
            maps = nn.Sequential(*plain[:end])(image)
            assert maps.shape[2:] == (rows, columns)
            maps[0, 0, row, column].backward()
            seen = image.grad[0, 0].nonzero()
            (top, left), (bottom, right) = seen.min(0).values, seen.max(0).values
            place = f"Net.fieldOf(Net.stages[{number}], {row}, {column})"
            field = run_in_node(script_of(text), place)
            expected = [int(top), int(left), int(bottom - top) + 1, int(right - left) + 1]
            assert list(field.values()) == expected, (stage["title"], row, column)


# Centring, and ink


@pytest.mark.slow
def test_50_shifted_and_scaled_digits_are_centred_as_python_does_it(text):
    random = np.random.default_rng(0)
    digits = draw("mnist", 50, seed=2)[0][:, 0]
    papers = []
    for digit in digits:
        # Each as large as the paper allows, or smaller, anywhere on it, stretched at will.
        height, width = random.integers(20, 170, size=2)
        rows = torch.arange(height) * 28 // height
        columns = torch.arange(width) * 28 // width
        paper = torch.zeros(180, 200)
        top = random.integers(0, 180 - height + 1)
        left = random.integers(0, 200 - width + 1)
        paper[top : top + height, left : left + width] = digit[rows][:, columns] / 255
        papers.append(paper)

    # What JSON writes of a float32 is that float32 again.
    data = [paper.flatten().tolist() for paper in papers]
    code = "data.map((ink) => [...Net.centred(Float32Array.from(ink), 180, 200).picture])"
    found = torch.tensor(run_in_node(script_of(text), code, data)).view(-1, 28, 28)
    for paper, picture in zip(papers, found):
        assert torch.allclose(picture, centred(paper), atol=1e-5)


def test_what_the_page_shows_of_the_centring_is_true(text):
    ink = np.zeros((280, 280))
    ink[40:240, 100:140] = 1
    ink[40:80, 100:200] = 1
    code = "Net.centred(Float32Array.from(data), 280, 280)"
    found = run_in_node(script_of(text), code, ink.flatten().tolist())
    picture = np.array(list(found["picture"].values())).reshape(28, 28)
    rows, columns = np.nonzero(picture.any(1))[0], np.nonzero(picture.any(0))[0]
    assert found["box"] == {
        "row": rows[0],
        "column": columns[0],
        "rows": len(rows),
        "columns": len(columns),
    }
    assert found["ink"] == pytest.approx(picture.sum(), abs=1e-3)
    places = np.arange(28) + 0.5
    assert found["centre"]["row"] == pytest.approx(picture.sum(1) @ places / picture.sum())
    assert found["centre"]["column"] == pytest.approx(picture.sum(0) @ places / picture.sum())
    # The first row of the box lies where the ink begins on the paper.
    paper = found["paper"]
    assert paper["top"] + rows[0] * paper["scale"] == pytest.approx(40)
    assert paper["left"] + columns[0] * paper["scale"] == pytest.approx(100)


def test_without_ink_there_is_nothing_to_read(text):
    assert run_in_node(script_of(text), "Net.centred(Net.emptyPaper(), 280, 280)") is None


def test_the_pen_leaves_as_much_ink_as_its_line_is_large(text):
    code = """data.map(([x, y, toX, toY, radius]) => {
      const paper = Net.emptyPaper();
      Net.drawLine(paper, { x, y }, { x: toX, y: toY }, radius);
      return paper.reduce((sum, ink) => sum + ink, 0);
    })"""
    lines = [(60, 60, 60, 60, 11), (50, 70, 210, 70, 11), (40, 50, 220, 200, 8), (0, 0, 0, 99, 10)]
    areas = run_in_node(script_of(text), code, lines)
    for (x, y, to_x, to_y, radius), area in zip(lines[:3], areas):
        length = np.hypot(to_x - x, to_y - y)
        assert area == pytest.approx(2 * radius * length + np.pi * radius**2, rel=0.01)
    # Half of this line lies beyond the left edge, and one end beyond the upper one.
    assert areas[3] == pytest.approx(10 * 99 + np.pi * 100 / 4, rel=0.02)


# The file


def test_the_committed_page_is_what_the_command_writes(text):
    path = NOTEBOOKS / page.PAGE
    assert path.read_bytes() == text.encode(), "python -m helpers page"


@pytest.mark.slow
def test_the_same_record_gives_the_same_bytes(text, tmp_path):
    code = (
        "import sys; from pathlib import Path; from helpers.upkeep.page import write_page\n"
        "print(len(write_page(folder=Path(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    for written in ("1", "0"):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == written
        assert (tmp_path / page.PAGE).read_bytes() == text.encode()
    assert [path.name for path in tmp_path.iterdir()] == [page.PAGE]


def test_it_is_one_small_file_that_asks_nobody_for_anything(text):
    assert len(text.encode()) <= 150_000
    assert not re.findall(r"https?:|\bwss?:|@import|url\(|fetch\(|XMLHttp|import\(", text)
    # Nothing is linked but an icon that is empty, and no name is in a text for nothing.
    assert re.findall(r'(?:src|href)\s*=\s*["\']?([^"\'>]*)', text) == ["data:,"]
    assert "{{" not in text and "}}" not in text and "NUMBERS_OF_THE_NET" not in text
    assert "default-src 'none'" in text


def test_it_states_the_numbers_of_its_record(text):
    result = load_result(page.SHOWN)
    correct = round(result.accuracies[result.record["runs"][0]["seed"]] * 100)
    assert f"A net of {result.record['parameters']:,} parameters" in text
    assert f"It reads {correct:,} of MNIST's 10,000 test digits right." in text
    assert result.accuracy in text and result.command in text


def test_a_text_of_the_record_ends_no_script():
    assert page.as_script({"title": "</script>"}) == '{"title":"<\\/script>"}'
    assert page.filled("a {{x}} b {{y}}", {"x": "{{y}}", "y": "1"}) == "a {{y}} b 1"


def test_scripts_find_all_that_they_look_for(text):
    looked_for = set(re.findall(r'getElementById\("([\w-]+)"\)', text))
    named = re.findall(r'id="([\w-]+)"', text)
    assert looked_for and looked_for <= set(named) and len(named) == len(set(named))
    described = set(re.findall(r'aria-(?:labelledby|describedby)="([\w-]+)"', text))
    assert described <= set(named)


# Contrast, as WCAG 2.2 calculates it


def colours(dark: bool) -> dict[str, str]:
    """The colours of a theme by name; the dark one stands second in the style."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[dark]))
    assert len(found) == 14
    return found


def contrast(one: str, other: str) -> float:
    lights = []
    for colour in (one, other):
        channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(lights) / min(lights)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_and_lines_can_be_told_from_what_is_behind_them(dark):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    theme = colours(dark)
    for name in ("text", "soft", "accent", "frame"):
        for ground in ("page", "card", "paper"):
            assert contrast(theme[name], theme[ground]) >= 4.5, (name, ground)
    assert contrast(theme["accent-text"], theme["accent"]) >= 4.5
    # Lines and areas that carry a meaning need 3 : 1.
    assert contrast(theme["ink"], theme["paper"]) >= 3
    assert contrast(theme["plus"], theme["zero"]) >= 3
    assert contrast(theme["minus"], theme["zero"]) >= 3
    assert contrast(theme["bar"], theme["card"]) >= 3


# What it cannot run


def chain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


# What torch says of an even window.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(
    "net, words",
    [
        (ResidualNet(), "cannot run the layer that is the net"),
        (chain(nn.Conv2d(1, 10, 3), nn.GELU()), "layer 1, GELU"),
        (chain(nn.Conv2d(1, 10, 3, padding=1, padding_mode="reflect")), "padding_mode=reflect"),
        (chain(nn.Conv2d(1, 10, 4, padding="same")), "pads both sides"),
        (chain(nn.Conv2d(1, 10, 3), nn.MaxPool2d(3, ceil_mode=True)), "ceil_mode=True"),
        (chain(nn.Conv2d(1, 10, 3), nn.AvgPool2d(3, padding=1)), "AvgPool2d"),
        (chain(nn.Conv2d(1, 10, 3), nn.MaxPool2d(2, dilation=2)), "MaxPool2d"),
        (chain(nn.Conv2d(1, 10, 3), nn.AvgPool2d(2, divisor_override=3)), "AvgPool2d"),
        (chain(nn.Conv2d(1, 10, 3), nn.BatchNorm2d(10, track_running_stats=False)), "BatchNorm2d"),
        (nn.Sequential(nn.Conv2d(1, 10, 3), nn.AdaptiveAvgPool2d(2)), "AdaptiveAvgPool2d"),
        (chain(nn.Conv2d(1, 11, 3)), "gives 11 numbers"),
        (nn.Sequential(nn.Conv2d(1, 10, 3), nn.Flatten()), "gives 6760 numbers"),
        (chain(nn.ReLU(), nn.Conv2d(1, 10, 3)), "does not begin with a window"),
        (chain(nn.Conv2d(3, 10, 3)), "does not"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_net_that_it_cannot_run_is_one_line(net, words):
    with pytest.raises(CourseError, match=re.escape(words)) as caught:
        export(net.eval())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def recorded_without_weights() -> str:
    """A record of a net that is no headline."""
    for path in sorted(evidence_root().glob("*.json")):
        if not EXPERIMENTS[path.stem].headline:
            return path.stem
    raise AssertionError("every record is a headline's")


@pytest.mark.parametrize(
    "name, words",
    [(recorded_without_weights(), "holds no weights"), ("no-such", "unknown record")],
)
def test_without_weights_no_page_is_written(name, words, tmp_path):
    with pytest.raises(CourseError, match=words) as caught:
        page.write_page(name, tmp_path)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_net_that_is_too_large_for_a_page_is_one_line():
    net = nn.Sequential(nn.Conv2d(1, 60, 28), nn.Conv2d(60, 10, 1), nn.Flatten())
    with pytest.raises(CourseError, match="more than 150,000: take a net with fewer parameters"):
        page.page_of(net.eval(), load_result(page.SHOWN))
