"""Residual blocks drawn: two ways from the input, and the sum in which they meet."""

from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from helpers.environment import CourseError
from helpers.models import count_parameters
from helpers.models.residual import BasicBlock, ResidualNet
from helpers.plots.stages import Shape
from helpers.plots.style import (
    BLUE,
    FONT,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    one_axes,
    require,
    require_count,
)

# In inches, in a drawing of 9 from left to right
WIDTH = 9.0
HIGHEST = 1.3  # a map of the most rows
WIDEST = 0.5  # a map of the most channels
RADIUS = 0.15  # of the circle around a plus

# What a shortcut does with its input where the shape changes.
CHANGES = {
    "pad": "every second row and column, zeros for the new channels",
    "conv": "1×1 convolution, norm",
}


def draw_block(block: BasicBlock, size: int, ax: Axes | None = None) -> Axes:
    """A block's two ways: above the shortcut, below the convolutions, and a plus where they meet.

    A map is as high as its rows and as wide as it has channels; its size stands below it.

    size: rows and columns of the input map
    ax: where to draw; a new figure unless given
    """
    require(block, BasicBlock, "draw_block")
    rows = require_count(size, "size", least=1)
    ax = one_axes(ax, WIDTH, 2.6)
    channels = block.conv1.in_channels
    given = (channels, rows, rows)
    made = made_by(block, given)

    # The input, what each convolution makes, and the output, from left to right.
    scale = Scale([given, made])
    places = (0.8, 3.5, 6.0, 8.3)
    for place, shape in zip(places, (given, made, made, made)):
        draw_map(ax, place, shape, scale)
        below = -HIGHEST / 2 - 0.08
        ax.text(place, below, size_of(shape), ha="center", va="top", fontsize=SMALL)

    # What happens between two maps stands above the arrow from one to the other.
    first = "conv 3×3"
    if block.stride > 1:
        first += f", stride {block.stride}"
    arrow(ax, places[0], places[1], scale.half(given), scale.half(made), f"{first}\nnorm, ReLU")
    arrow(ax, places[1], places[2], scale.half(made), scale.half(made), "conv 3×3\nnorm")
    if block.shortcut == "none":
        arrow(ax, places[2], places[3], scale.half(made), scale.half(made), "ReLU")
    else:
        # The sum comes before the last ReLU.
        plus = 7.15
        draw_sum(ax, plus)
        arrow(ax, places[2], plus, scale.half(made), RADIUS, "")
        arrow(ax, plus, places[3], RADIUS, scale.half(made), "ReLU")
        draw_shortcut(ax, (places[0] + scale.half(given) + 0.2, plus), words_of(block))

    finish(ax, f"a block of {count_parameters(block):,} parameters", lowest=-1.05, highest=1.35)
    return ax


def draw_residual_net(net: ResidualNet, size: int = 28, ax: Axes | None = None) -> Axes:
    """A residual net from the image to the logits, with a plus for every shortcut that ends.

    size: rows and columns of the image
    ax: where to draw; a new figure unless given

    Raises ``CourseError`` for more than four blocks, which the drawing has no room for.
    """
    require(net, ResidualNet, "draw_residual_net")
    rows = require_count(size, "size", least=1)
    blocks = [block for block in net.blocks if isinstance(block, BasicBlock)]
    if len(blocks) > 4:
        raise CourseError(
            f"draw_residual_net has room for four blocks, not {len(blocks)}: give a net of fewer, "
            "or draw one of its blocks with draw_block"
        )
    ax = one_axes(ax, WIDTH, 2.9)

    # The shapes of all maps before any is drawn, because they set the scale.
    after = -(-rows // net.conv.stride[0])
    first = (net.conv.out_channels, after, after)
    shapes = [first]
    for block in blocks:
        shapes.append(made_by(block, shapes[-1]))
    scale = Scale(shapes)

    # A line runs through all maps, from the image to the logits.
    step = WIDTH / (3 * len(blocks) + 4.8)
    place = 0.7 * step
    ax.plot([place, WIDTH - place], [0, 0], color="black", lw=1.5, zorder=0)
    draw_named(ax, place, "image", (1, rows, rows), scale, GREY)
    place += 1.5 * step
    draw_named(ax, place, "conv 3×3", first, scale, BLUE)

    # Three places for every block, then the average and the logits.
    for block, shape in zip(blocks, shapes[1:]):
        draw_two_maps(ax, block, shape, place, step, scale)
        place += 3 * step
    draw_named(ax, place + 0.7 * step, "average", (shapes[-1][0], 1, 1), scale, BLUE)
    classes = net.linear.out_features
    draw_named(ax, place + 1.9 * step, "linear", (classes, 1, 1), scale, PURPLE)
    finish(ax, f"{count_parameters(net):,} parameters", lowest=-1.3, highest=1.1)
    return ax


def draw_two_maps(
    ax: Axes, block: BasicBlock, shape: Shape, place: float, step: float, scale: "Scale"
) -> None:
    """What a block's two convolutions make, behind the map at ``place``, and its shortcut."""
    for distance in (1.0, 2.0):
        draw_map(ax, place + distance * step, shape, scale)
    label(ax, place + 1.5 * step, "block", shape)
    if block.shortcut == "none":
        return

    # The way around leaves half a place behind the map before it.
    plus = place + 2.85 * step
    draw_sum(ax, plus)
    draw_shortcut(ax, (place + 0.5 * step, plus), "")


class Scale:
    """How large maps are drawn, in inches."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.pixel = HIGHEST / max(shape[1] for shape in shapes)
        self.channel = WIDEST / max(shape[0] for shape in shapes)

    def box(self, shape: Shape) -> tuple[float, float]:
        """Width and height of a map, which is never too thin to be seen."""
        return max(0.06, shape[0] * self.channel), max(0.06, shape[1] * self.pixel)

    def half(self, shape: Shape) -> float:
        """Half the width of a map."""
        return self.box(shape)[0] / 2


def made_by(block: BasicBlock, given: Shape) -> Shape:
    """The maps that a block makes of those that it is given."""
    # With padding 1 a stride of 2 keeps half of the rows, and one more where they are odd.
    return block.out_channels, -(-given[1] // block.stride), -(-given[2] // block.stride)


def size_of(shape: Shape) -> str:
    """Channels × rows × columns."""
    return " × ".join(map(str, shape))


def words_of(block: BasicBlock) -> str:
    """What a block's shortcut does with the input."""
    if block.stride > 1 or block.conv1.in_channels != block.out_channels:
        return f"shortcut: {CHANGES[block.shortcut]}"
    return "shortcut: the input as it is"


def draw_map(ax: Axes, place: float, shape: Shape, scale: Scale, color: str = BLUE) -> None:
    """A rectangle for a map, its middle at ``place``."""
    width, height = scale.box(shape)
    corner = (place - width / 2, -height / 2)
    # A map hides the line behind it, and is a tint of its colour.
    ax.add_patch(Rectangle(corner, width, height, facecolor="white", edgecolor="none"))
    ax.add_patch(Rectangle(corner, width, height, facecolor=(color, 0.35), edgecolor=color))


def label(ax: Axes, place: float, words: str, shape: Shape) -> None:
    """Below a map what makes it, and its size."""
    text = f"{words}\n{size_of(shape).replace(' ', '')}"
    below = -HIGHEST / 2 - 0.08
    ax.text(place, below, text, ha="center", va="top", fontsize=SMALL)


def draw_named(ax: Axes, place: float, words: str, shape: Shape, scale: Scale, color: str) -> None:
    """A map, what makes it, and its size."""
    draw_map(ax, place, shape, scale, color)
    label(ax, place, words, shape)


def arrow(ax: Axes, start: float, end: float, before: float, behind: float, words: str) -> None:
    """An arrow between two things, of which ``before`` and ``behind`` are half the widths."""
    look = {"arrowstyle": "->", "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
    left, right = start + before + 0.04, end - behind - 0.04
    ax.annotate("", xy=(right, 0), xytext=(left, 0), arrowprops=look)
    ax.text((left + right) / 2, 0.06, words, ha="center", va="bottom", fontsize=SMALL)


def draw_sum(ax: Axes, place: float) -> None:
    """A plus in a circle: here the shortcut is added."""
    ax.add_patch(Circle((place, 0), RADIUS, facecolor="white", edgecolor=ORANGE, lw=2, zorder=3))
    # The sign is drawn as two strokes, which stand exactly in the middle.
    reach = 0.6 * RADIUS
    ax.plot([place - reach, place + reach], [0, 0], color=ORANGE, lw=2.5, zorder=4)
    ax.plot([place, place], [-reach, reach], color=ORANGE, lw=2.5, zorder=4)


def draw_shortcut(ax: Axes, ends: tuple[float, float], words: str) -> None:
    """The way over the maps, from before a block down to its plus."""
    left, right = ends
    height = HIGHEST / 2 + 0.2
    ax.plot([left, left, right], [0, height, height], color=ORANGE, lw=2)
    look = {"arrowstyle": "->", "lw": 2, "color": ORANGE, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=(right, RADIUS + 0.02), xytext=(right, height), arrowprops=look)
    ax.text((left + right) / 2, height + 0.06, words, ha="center", va="bottom", fontsize=FONT)


def finish(ax: Axes, title: str, lowest: float, highest: float) -> None:
    """Equal inches along both axes, no ticks, and a title."""
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(lowest, highest)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=FONT)
