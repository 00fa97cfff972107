"""Figures in words: what is said of curves, grids, drawings, and in a real notebook."""

from __future__ import annotations

import nbformat
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from nbclient import NotebookClient

from helpers.data import load
from helpers.models.small import first_net
from helpers.plots.descriptions import describe
from helpers.plots.images import show_images
from helpers.plots.nets import draw_network
from helpers.plots.seeds import plot_seeds

CELL = """
from helpers.plots.rates import plot_schedule
plot_schedule([0.1, 0.2, 0.1], label="a schedule");
"""


def test_curves_are_named_with_what_their_axes_are():
    ax = plot_seeds({"basic": [99.0, 99.2]}, target=99.4, xlabel="rung")
    text = describe(ax.figure)
    assert text.startswith("Last epoch: every seed, and the mean with its 95 % interval: ")
    assert "test accuracy (%) against rung" in text and "target: 99.4 %" in text


def test_a_grid_says_how_many_pictures_and_what_stands_above_them():
    mnist = load("mnist", validation=0)
    axes = show_images(mnist.test, count=5, columns=4)
    labels = [str(int(label)) for label in mnist.test.labels[:5]]
    # The note of practice data is read first.
    text = describe(axes[0].figure)
    assert text.endswith(f"5 pictures: {'; '.join(labels)}.")
    assert text.startswith("practice data. " if mnist.test.note else "5 pictures")
    many = describe(show_images(mnist.test, count=40, columns=8)[0].figure)
    assert "40 pictures: " in many and many.endswith("; and so on.")


def test_the_blocks_of_a_net_are_told():
    text = describe(draw_network(first_net(), (1, 28, 28)).figure)
    assert "5,958 parameters" in text and "conv 3×3" in text and "8 × 26 × 26" in text


def test_a_drawing_of_many_words_is_told_to_its_end():
    axes = Figure().subplots()
    for number in range(40):
        axes.text(0, number, f"step {number}")
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), 1, 1))
    assert "step 39" in describe(axes.figure)


def test_an_empty_figure_and_a_bare_panel_have_words_too():
    figure = Figure()
    assert describe(figure) == "An empty figure."
    figure.subplots().plot([1, 2])
    assert describe(figure) == "A panel."


@pytest.mark.slow
def test_a_notebook_keeps_the_words_with_the_picture():
    cells = [nbformat.v4.new_code_cell(CELL), nbformat.v4.new_code_cell(CELL)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell in notebook.cells:
        [output] = cell.outputs
        alt = output.metadata["image/png"]["alt"]
        assert alt == "Learning rate: learning rate against step (a schedule)."
        assert output.data["image/png"]


def test_describing_leaves_random_numbers_alone():
    net = first_net()
    before = torch.get_rng_state()
    describe(draw_network(net, (1, 28, 28)).figure)
    assert torch.equal(before, torch.get_rng_state())
