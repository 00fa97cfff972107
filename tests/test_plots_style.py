"""What all figures share: contrast, notes, who keeps a figure, wrong inputs, the room's imports."""

from __future__ import annotations

import ast
import base64
import gc
import math
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from plot_inputs import make_predictions, make_rows, make_split
from torch import nn

from helpers import plots
from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret import Predictions
from helpers.lr_finder import LRRangeTest
from helpers.models.residual import ResidualNet
from helpers.models.small import first_net
from helpers.plots import charts, style
from helpers.plots.charts import plot_by_depth, plot_history, plot_losses
from helpers.plots.classes import plot_confusion, plot_per_class
from helpers.plots.fields import plot_field_growth, plot_receptive_field
from helpers.plots.filters import show_convolution, show_filters, show_maps
from helpers.plots.images import show_images, show_misclassified, show_predictions
from helpers.plots.nets import draw_network, plot_parameters
from helpers.plots.rates import plot_lr_range_test, plot_schedule
from helpers.plots.residual import draw_residual_net
from helpers.plots.seeds import plot_accuracy, plot_seeds
from helpers.receptive_field.table import ReceptiveFieldTable, receptive_field_table
from helpers.training import History

matplotlib.use("Agg")
INLINE = "module://matplotlib_inline.backend_inline"


@pytest.fixture
def notebook() -> Iterator[None]:
    """Matplotlib as a notebook sets it up, where pyplot's figures are shown when a cell ends."""
    matplotlib.use(INLINE)
    plt.ion()
    yield
    plt.close("all")
    plt.ioff()
    matplotlib.use("Agg")


def range_test(losses: np.ndarray, orders: int = 2) -> LRRangeTest:
    return LRRangeTest(np.geomspace(1e-4, 1, len(losses)), [np.stack([losses, losses])] * orders)


FALL = np.interp(range(40), [0, 15, 30, 39], [2, 2, 1, 9])
EVERY = {
    "images": lambda: show_images(make_split(), count=3),
    "predictions": lambda: show_predictions(make_predictions(), count=3),
    "misclassified": lambda: show_misclassified(make_predictions(), count=3),
    "history": lambda: plot_history([History(make_rows(3)), History(make_rows(3, 0.1))]),
    "schedule": lambda: plot_schedule([0.1, 0.2, 0.1]),
    "depth": lambda: plot_by_depth({name: [1.0, 2.0] for name in "abcdef"}, "size"),
    "range test": lambda: plot_lr_range_test(range_test(FALL)),
    "per class": lambda: plot_per_class(make_predictions()),
    "confusion": lambda: plot_confusion(make_predictions()),
    "accuracy": lambda: plot_accuracy({"a": (1, [99.0])}, "x", 99.4, {"b": [(1, 99.1)]}),
    "parameters": lambda: plot_parameters(first_net()),
    "residual net": lambda: draw_residual_net(ResidualNet()),
    "network": lambda: draw_network(first_net(), (1, 28, 28)),
    "convolution": lambda: show_convolution(torch.rand(9, 9), torch.randn(3, 3), 2, 3, 0.5),
    "maps": lambda: show_maps(torch.rand(3, 9, 9), title="maps"),
    "filters": lambda: show_filters(torch.randn(3, 1, 3, 3), title="filters"),
    "losses": lambda: plot_losses([2.0, 1.0] * 50, steps_per_epoch=50, chance=2.3),
    "seeds": lambda: plot_seeds({"a": [99.0, 99.1]}, 99.4, {"b": 99.2}),
    "field": lambda: plot_receptive_field(
        receptive_field_table(nn.Sequential(nn.Conv2d(1, 1, 3)), (1, 8, 8)), make_split()
    ),
}
DRAWN = pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)


def panels(result: Axes | np.ndarray) -> list[Axes]:
    return list(np.ravel(np.asarray(result, dtype=object)))


def contrast(one: object, other: object = "white") -> float:
    """WCAG 2.2: (L + 0.05) / (l + 0.05) of the relative luminances, the lighter colour's above."""
    lights = []
    for color in (one, other):
        linear = [
            channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
            for channel in to_rgb(color)
        ]
        lights.append(float(np.dot(linear, [0.2126, 0.7152, 0.0722])))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def on_white(color: object, alpha: float | None) -> np.ndarray:
    *color, opacity = to_rgba(color, alpha)
    return opacity * np.array(color) + (1 - opacity)


def test_contrast_is_that_of_the_published_examples() -> None:
    assert contrast("black") == pytest.approx(21)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.005)
    assert contrast("#E69F00") == pytest.approx(2.25, abs=0.005)  # the orange that was too light


def test_lines_and_texts_stand_out_from_a_white_page_and_from_a_black_image() -> None:
    for color in style.COLORS:
        assert contrast(color) >= 3 and contrast(color, "black") >= 3
    for color in (style.RED, style.GREY, style.BLUE):
        assert contrast(color) >= 4.5
    assert len(set(style.COLORS)) == len(style.COLORS) == 6


# Machado, Oliveira and Fernandes (2009): how linear RGB looks without one kind of cone.
CONES = {
    "all": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB (D65), in which equal distances look about equally far apart."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ linear / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("cones", CONES.values(), ids=CONES)
def test_any_colour_vision_tells_the_colours_apart(cones: np.ndarray) -> None:
    seen = []
    for color in (style.BLUE, style.ORANGE, style.RED, style.GREEN, style.PURPLE):
        channels = np.array(to_rgb(color))
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        seen.append(lab(np.clip(cones @ linear, 1e-6, 1)))
    apart = [np.linalg.norm(one - two) for at, one in enumerate(seen) for two in seen[:at]]
    assert min(apart) > 15  # Okabe and Ito's own colours: 17


@DRAWN
def test_whatever_is_drawn_has_the_contrast_that_it_needs(draw: Callable) -> None:
    for ax in panels(draw()):
        for line in ax.lines:
            assert contrast(on_white(line.get_color(), line.get_alpha())) >= 3, line.get_label()
        texts = [*ax.figure.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
        if not ax.images:
            texts += ax.texts
        for text in texts:
            assert contrast(text.get_color()) >= 4.5


def test_numbers_in_a_confusion_matrix_stand_out_from_their_cells() -> None:
    counts = torch.tensor([[50, 1, 2, 3], [4, 50, 5, 6], [7, 8, 50, 9], [10, 11, 12, 50]])
    pairs = torch.cat([torch.tensor(divmod(cell, 4)).repeat(int(n), 1)
                       for cell, n in enumerate(counts.flatten())])  # fmt: skip
    split = ImageSplit(
        torch.zeros(len(pairs), 1, 2, 2, dtype=torch.uint8), pairs[:, 0], tuple("abcd"), (0,), (1,)
    )
    ax = plot_confusion(Predictions(split, None, pairs[:, 1]))
    image, colors = ax.get_images()[0], set()
    for text in ax.texts:
        column, row = text.get_position()
        cell = "#E8E8E8"  # the grey of the diagonal
        if row != column:
            cell = np.ravel(image.to_rgba(image.get_array()[round(row), round(column)]))[:3]
        assert contrast(text.get_color(), cell) >= 4.5, text.get_text()
        colors.add(text.get_color())
    assert len(ax.texts) == 16 and colors == {"white", "black"}


@DRAWN
def test_outside_a_notebook_no_list_of_figures_grows(draw: Callable) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            result = draw()
            assert plt.get_fignums() == []
    figure = weakref.ref(panels(result)[0].figure)
    assert isinstance(figure(), Figure)
    del result
    gc.collect()
    assert figure() is None, "something keeps the figure"


def test_thirty_figures_raise_no_warning_and_can_be_written(tmp_path: Path) -> None:
    predictions = make_predictions()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(30):
            axes = show_predictions(predictions, count=1)
        axes[0].figure.savefig(tmp_path / "figure.png")
    assert plt.get_fignums() == []
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_in_a_notebook_figures_are_shown_when_the_cell_ends(
    notebook: None, capsys: pytest.CaptureFixture
) -> None:
    from matplotlib_inline.backend_inline import flush_figures

    predictions = make_predictions()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(30):
            show_predictions(predictions, count=1)
    assert len(plt.get_fignums()) == 30
    flush_figures()  # what IPython calls after each cell; without a notebook it prints their names
    assert capsys.readouterr().out.count("Figure(1215x") == 30
    assert plt.get_fignums() == []


@pytest.mark.slow
def test_a_real_notebook_shows_each_figure_once() -> None:
    import nbformat
    from nbclient import NotebookClient

    tests = Path(__file__).parent
    cells = [
        f"import sys; sys.path[:0] = [{str(tests)!r}, {str(tests.parent)!r}]\n"
        "from plot_inputs import make_predictions\n"
        "from helpers.plots.images import show_predictions",
        "for _ in range(2):\n    show_predictions(make_predictions(), count=1);",
        "import matplotlib.pyplot as plt\nprint(plt.get_fignums())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [output for output in notebook.cells[1].outputs if output.output_type == "display_data"]
    assert len(shown) == len(notebook.cells[1].outputs) == 2
    assert all(base64.b64decode(one.data["image/png"])[1:4] == b"PNG" for one in shown)
    assert notebook.cells[2].outputs[0].text == "[]\n"


def test_given_axes_are_used_and_no_figure_is_made(notebook: None) -> None:
    predictions, table = make_predictions(), receptive_field_table(nn.Conv2d(1, 1, 3), (1, 8, 8))
    for plot in (
        lambda ax: plot_schedule([1.0], ax=ax),
        lambda ax: plot_by_depth({"a": [1.0]}, "size", ax=ax),
        lambda ax: plot_lr_range_test(range_test(FALL), ax=ax),
        lambda ax: plot_per_class(predictions, ax=ax),
        lambda ax: plot_confusion(predictions, ax=ax),
        lambda ax: plot_accuracy({"a": (1, [99.0])}, "x", ax=ax),
        lambda ax: plot_parameters(first_net(), ax=ax),
        lambda ax: draw_network(first_net(), (1, 28, 28), ax=ax),
        lambda ax: plot_losses([1.0], ax=ax),
        lambda ax: plot_seeds({"a": [99.0, 99.1]}, ax=ax),
        lambda ax: plot_receptive_field(table, predictions.split, axes=ax)[0],
    ):
        given = Figure().subplots()
        assert plot(given) is given and plt.get_fignums() == []
        # An array of one Axes is that one; of several, which of them is meant is not known.
        given = Figure().subplots(1, 1, squeeze=False)
        assert plot(given) is given[0, 0]


@pytest.mark.parametrize(
    ("ax", "message"),
    [
        (Figure().subplots(1, 2), r"one Axes is needed, not 2: give one of them, as axes\[0\]"),
        (Figure(), "Axes are needed to draw in, not Figure"),
        ([], "1 panels need 1 Axes, not 0"),
        ("left", "not str"),
    ],
)
def test_what_is_not_one_axes_is_an_error_of_one_line(ax: object, message: str) -> None:
    for plot in (
        lambda: plot_schedule([1.0], ax=ax),
        lambda: plot_by_depth({"a": [1.0]}, "size", ax=ax),
        lambda: plot_lr_range_test(range_test(FALL), ax=ax),
        lambda: plot_per_class(PREDICTIONS, ax=ax),
        lambda: plot_confusion(PREDICTIONS, ax=ax),
        lambda: plot_accuracy({"a": (1, [99.0])}, "x", ax=ax),
        lambda: plot_parameters(first_net(), ax=ax),
    ):
        with pytest.raises(CourseError, match=message) as caught:
            plot()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "show",
    [
        lambda predictions: show_images(predictions.split, count=2)[0].figure.get_suptitle(),
        lambda predictions: show_images(predictions.split.subset([1]))[0].figure.get_suptitle(),
        lambda predictions: show_predictions(predictions, count=2)[0].figure.get_suptitle(),
        lambda predictions: show_misclassified(predictions, count=2)[0].figure.get_suptitle(),
        lambda predictions: plot_per_class(predictions).get_title(),
        lambda predictions: plot_confusion(predictions).get_title(),
        lambda predictions: plot_history(History(make_rows(2)), note=predictions.split.note)[
            0
        ].figure.get_suptitle(),
    ],
)
def test_every_picture_carries_the_note_of_its_data(show: Callable) -> None:
    assert show(make_predictions(note="practice data")).endswith("practice data")
    assert "practice" not in show(make_predictions()) and "·" not in show(make_predictions())


SPLIT, PREDICTIONS = make_split(), make_predictions()
EMPTY = Predictions(SPLIT.subset([]), torch.zeros(0, 4))
TABLE = receptive_field_table(nn.Conv2d(1, 1, 3), (1, 8, 8))
RUN = History(make_rows(2))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: show_images(PREDICTIONS), "ImageSplit, not Predictions"),
        (lambda: show_images(SPLIT, count=-1), "count=-1"),
        (lambda: show_images(SPLIT, count=2.5), "count=2.5"),
        (lambda: show_images(SPLIT, columns=0), "columns=0"),
        (lambda: show_predictions(SPLIT), "Predictions, not ImageSplit"),
        (lambda: show_predictions(PREDICTIONS, seed="x"), "seed='x'"),
        (lambda: show_misclassified(PREDICTIONS, -1), "count=-1"),
        (lambda: plot_per_class(EMPTY), "no image to judge"),
        (lambda: plot_per_class(SPLIT), "Predictions, not ImageSplit"),
        (lambda: plot_confusion(SPLIT), "Predictions, not ImageSplit"),
        (lambda: plot_history(SPLIT), "a History, not ImageSplit"),
        (lambda: plot_history(5), "a History, not int"),
        (lambda: plot_history([]), "no epoch to plot"),
        (lambda: plot_history(History([{"epoch": 1, "train_loss": 1.0}])), "has no test_loss"),
        (lambda: plot_history(RUN, Figure().subplots()), "2 panels need 2 Axes, not 1"),
        (lambda: plot_schedule(["a"]), "not list"),
        (lambda: plot_schedule(0.1), "no learning rate to plot"),
        (lambda: plot_schedule([0.1, math.nan]), "of step 2 is nan"),
        (lambda: plot_schedule([0.1], 0), "steps_per_epoch=0"),
        (lambda: plot_schedule([0.1], 2.5), "steps_per_epoch=2.5"),
        (lambda: plot_by_depth([1.0], "size"), "not list"),
        (lambda: plot_by_depth({"a": [0.0, 0.0]}, "size"), "a: no value above 0"),
        (lambda: plot_by_depth({"a": [1.0, math.nan]}, "size"), "a: the value of layer 2 is nan"),
        (lambda: plot_by_depth({"a": [math.inf, 1.0]}, "size"), "a: the value of layer 1 is inf"),
        (lambda: plot_by_depth({"a": [1.0, -2.0]}, "size"), "a: the value of layer 2 is -2"),
        (lambda: plot_by_depth({"a": ["b"]}, "size"), "the values of a are numbers, not list"),
        (lambda: plot_accuracy({}, "x"), "no net to plot"),
        (lambda: plot_accuracy({}, "x", target=99.0), "no net to plot"),
        (lambda: plot_accuracy([(1, [99.0])], "x"), "Mapping, not list"),
        (lambda: plot_accuracy({"a": [99.0, 98.0]}, "x"), r"a: give \(number, accuracies\)"),
        (lambda: plot_accuracy({"a": [99.0, 98.0, 97.0]}, "x"), r"a: give \(number, accuracies"),
        (lambda: plot_accuracy({"a": 99.0}, "x"), r"a: give \(number, accuracies\)"),
        (lambda: plot_accuracy({"a": ([1], [99.0])}, "x"), r"a: give \(number, accuracies\)"),
        (lambda: plot_accuracy({"a": (1, {"b": {}})}, "x"), "accuracies of a are numbers"),
        (lambda: plot_accuracy({"a": (1, {})}, "x"), r"a has the accuracies \[\]"),
        (
            lambda: plot_accuracy({"a": (math.nan, [99.0])}, "x"),
            "the number of a: give finite numbers, not nan",
        ),
        (
            lambda: plot_accuracy({"a": (1, [99.0])}, "x", math.nan),
            "the target: give finite numbers, not nan",
        ),
        (
            lambda: plot_accuracy({}, "x", others={"b": [(1, math.inf)]}),
            r"the results of b: .* not \[\[1.0, inf\]\]",
        ),
        (lambda: plot_accuracy({}, "x", others={"b": [99.0]}), "b: give pairs"),
        (lambda: plot_accuracy({}, "x", others={"b": [(1, 2), (3,)]}), "results of b are numbers"),
        (lambda: plot_accuracy({"a": (1, [])}, "x"), r"a has the accuracies \[\]"),
        (lambda: plot_accuracy({"a": (1, [math.nan])}, "x"), r"accuracies \[nan\]"),
        (lambda: plot_lr_range_test(SPLIT), "LRRangeTest, not ImageSplit"),
        (lambda: plot_lr_range_test(range_test(np.full(9, math.nan))), "of step 0 is nan"),
        (lambda: plot_parameters(nn.ReLU()), "ReLU has no parameters"),
        (lambda: plot_parameters(SPLIT), "Module, not ImageSplit"),
        (lambda: plot_receptive_field(TABLE), "give the split"),
        (lambda: plot_receptive_field(TABLE, make_split(channels=2)), "images of 2 channels"),
        (lambda: plot_receptive_field(TABLE, make_split(channels=4)), "images of 4 channels"),
        (lambda: plot_receptive_field(TABLE, SPLIT, 40), "index=40 of 40 images"),
        (lambda: plot_receptive_field(TABLE, SPLIT, 1.5), "index=1.5"),
        (lambda: plot_field_growth(TABLE, PREDICTIONS), "ImageSplit, not Predictions"),
        (lambda: plot_receptive_field(ReceptiveFieldTable(()), SPLIT), "no row to draw"),
        (lambda: plot_receptive_field([]), "no field to draw"),
        (lambda: plot_receptive_field({}), "no field to draw"),
        (lambda: plot_receptive_field({"a": 1}), "EffectiveReceptiveField, not int"),
        (lambda: plot_receptive_field(SPLIT), "EffectiveReceptiveField, not ImageSplit"),
    ],
)
def test_a_wrong_input_is_an_error_of_one_line(draw: Callable, message: str) -> None:
    with pytest.raises(CourseError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)


def test_images_of_two_channels_are_refused_by_name() -> None:
    images = torch.zeros(3, 2, 4, 4, dtype=torch.uint8)
    split = ImageSplit(images, torch.zeros(3, dtype=torch.int64), ("a",), (0.1, 0.1), (0.1, 0.1))
    with pytest.raises(CourseError, match="2 channels"):
        show_images(split)


def test_the_modules_of_the_plots_know_no_training() -> None:
    files = sorted(Path(charts.__file__).parent.glob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = []
            if isinstance(node, ast.ImportFrom):
                imported = [f"{node.module}.{name.name}" for name in node.names]
            elif isinstance(node, ast.Import):
                imported = [name.name for name in node.names]
            for name in imported:
                for room in ("training", "checkpoint", "experiments", "upkeep", "__main__"):
                    assert not f"{name}.".startswith(f"helpers.{room}."), (file.name, name)
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("backward", "step", "zero_grad", "show"), file.name


def test_the_package_of_the_plots_holds_words_alone() -> None:
    source = (Path(charts.__file__).parent / "__init__.py").read_text(encoding="utf-8")
    assert len(ast.parse(source).body) == 1 and ast.get_docstring(ast.parse(source))


def test_the_package_says_how_a_figure_is_saved_and_it_is_no_empty_page(tmp_path: Path) -> None:
    words = " ".join(plots.__doc__.split())
    assert "axes[0].figure.savefig(path)" in words and "plt.savefig" in words
    axes = show_images(make_split(), count=2)
    axes[0].figure.savefig(tmp_path / "page.png")
    assert len(np.unique(plt.imread(tmp_path / "page.png"))) > 50
