"""Figures in words: the alternative texts that screen readers read."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

MOST_TITLES = 12  # of pictures in a grid: more would be read aloud for too long
MOST_WORDS = 60  # in a drawing, which shows nothing else: a net is told to its last layer


def describe(figure: Figure) -> str:
    """What a figure shows, in a sentence for each panel, and one for all pictures of a grid."""
    sentences = []
    titles = []
    if figure.get_suptitle():
        sentences.append(f"{one_line(figure.get_suptitle())}.")
    for ax in figure.axes:
        # A grid has places without a picture, and a scale is part of the panel beside it.
        if not ax.axison and not ax.images and not ax.patches:
            continue
        if ax.get_label() == "<colorbar>":
            continue
        if is_picture(ax):
            titles.append(one_line(ax.get_title()))
        else:
            sentences.append(describe_panel(ax))
    if titles:
        sentences.append(describe_pictures(titles))
    return " ".join(sentences) or "An empty figure."


def is_picture(ax: Axes) -> bool:
    """Whether a panel is a picture without axes."""
    return bool(ax.images) and not (ax.get_xlabel() or ax.get_ylabel())


def describe_pictures(titles: list[str]) -> str:
    """How many pictures there are, and what stands above them."""
    count = f"{len(titles)} pictures"
    if len(titles) == 1:
        count = "A picture"
    named = [title for title in titles if title]
    if not named:
        return f"{count}."
    text = "; ".join(named[:MOST_TITLES])
    if len(named) > MOST_TITLES:
        text += "; and so on"
    return f"{count}: {text}."


def describe_panel(ax: Axes) -> str:
    """The title of a panel, what its axes are, and what its legend names."""
    text = one_line(ax.get_title()) or "A panel"
    xlabel, ylabel = one_line(ax.get_xlabel()), one_line(ax.get_ylabel())
    if xlabel and ylabel:
        text += f": {ylabel} against {xlabel}"
    elif xlabel or ylabel:
        text += f": {xlabel or ylabel}"

    kinds = list(dict.fromkeys(name for name in names_in(ax) if name))
    if kinds:
        most = MOST_TITLES
        # A drawing has no axes.
        if not (xlabel or ylabel):
            most = MOST_WORDS
        text += f" ({'; '.join(kinds[:most])})"
    return f"{text}."


def names_in(ax: Axes) -> list[str]:
    """The names of curves; without curves those of rows and columns; else the words in it."""
    names = ax.get_legend_handles_labels()[1]
    if not names:
        ticks = [*ax.get_yticklabels(), *ax.get_xticklabels()]
        names = [tick.get_text() for tick in ticks if not is_number(tick.get_text())]
    if not names:
        names = [each.get_text() for each in ax.texts]
    return [one_line(name) for name in names]


def is_number(text: str) -> bool:
    """Whether a label of an axis is a number, or a power, and so no name."""
    plain = text.replace("−", "-").replace(",", "").replace("$", "").replace("\\mathdefault", "")
    return not any(letter.isalpha() for letter in plain)


def one_line(text: str) -> str:
    """A text of several lines in one."""
    return " ".join(text.split())


def describe_in_notebook() -> None:
    """Let every figure that a notebook shows carry its description; elsewhere do nothing."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is None or getattr(shell, "display_formatter", None) is None:
        return

    # The one that is there draws the picture; this one adds the words, once.
    formatter = shell.display_formatter.formatters["image/png"]
    try:
        drawn = formatter.lookup_by_type(Figure)
    except KeyError:
        return
    if getattr(drawn, "describes", False):
        return

    def with_words(figure: Figure) -> Any:
        picture, words = drawn(figure), {"alt": describe(figure)}
        if isinstance(picture, tuple):
            return picture[0], picture[1] | words
        return picture, words

    with_words.describes = True  # type: ignore[attr-defined]
    formatter.for_type(Figure, with_words)
