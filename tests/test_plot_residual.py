"""Residual blocks drawn: a plus for each shortcut, sizes and layers in words, the net as it was."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib.patches import Circle
from plot_inputs import assert_legible

from helpers.environment import CourseError
from helpers.models.residual import BasicBlock, ResidualNet
from helpers.plots.residual import draw_block, draw_residual_net

matplotlib.use("Agg")


def words(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def pluses(ax):
    return sum(isinstance(patch, Circle) for patch in ax.patches)


def test_a_block_that_keeps_its_shape():
    ax = draw_block(BasicBlock(8, 8), 28)
    assert_legible(ax)
    assert words(ax).count("8 × 28 × 28") == 4 and pluses(ax) == 1
    assert "shortcut: the input as it is" in words(ax)
    assert "conv 3×3\nnorm, ReLU" in words(ax) and "conv 3×3\nnorm" in words(ax)
    assert ax.get_title() == "a block of 1,184 parameters"


@pytest.mark.parametrize("size, half", [(28, 14), (7, 4), (1, 1)])
def test_a_block_that_halves_the_map(size, half):
    ax = draw_block(BasicBlock(8, 16, stride=2), size)
    assert words(ax).count(f"16 × {half} × {half}") == 3
    assert any("every second row and column" in text for text in words(ax))
    assert any("stride 2" in text for text in words(ax))


def test_other_shortcuts():
    assert pluses(draw_block(BasicBlock(8, 16, 2, "none"), 28)) == 0
    assert any("1×1" in text for text in words(draw_block(BasicBlock(8, 16, 2, "conv"), 28)))
    assert any("as it is" in text for text in words(draw_block(BasicBlock(8, 8, 1, "conv"), 28)))


def test_a_whole_net():
    ax = draw_residual_net(ResidualNet())
    assert_legible(ax)
    assert pluses(ax) == 3 and ax.get_title() == "19,074 parameters"
    sizes = [text.split("\n")[1] for text in words(ax)]
    assert sizes == "1×28×28 8×28×28 8×28×28 16×14×14 32×7×7 32×1×1 10×1×1".split()


def test_a_plain_net_has_no_plus():
    ax = draw_residual_net(ResidualNet(shortcut="none", stride=2, widths=(4, 8)))
    assert pluses(ax) == 0 and "block\n8×7×7" in words(ax)


def test_a_drawing_leaves_the_net_as_it_was():
    net = ResidualNet().train()
    before = str(net.state_dict())
    draw_residual_net(net)
    assert net.training and str(net.state_dict()) == before


def test_what_cannot_be_drawn_is_one_line():
    with pytest.raises(CourseError, match="room for four blocks, not 9"):
        draw_residual_net(ResidualNet(blocks=3))
    with pytest.raises(CourseError, match="draws BasicBlock"):
        draw_block(ResidualNet(), 28)
    with pytest.raises(CourseError, match="at least 1"):
        draw_block(BasicBlock(8, 8), 0)
