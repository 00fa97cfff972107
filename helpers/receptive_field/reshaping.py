"""Changes of shape: flattening, slices, flips and padding."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from helpers.receptive_field.calls import Call, Window, dims_from_end
from helpers.receptive_field.spans import FLAT, IMAGE, LINE, View
from helpers.receptive_field.windows import slide_window


def reshape(call: Call) -> View:
    """Flattening, and every other shape that keeps rows and columns last."""
    # A second view, in ``view_as``, gives its shape alone.
    view, shape = call.views[0], call.shape
    if view.flat:
        return reshape_flat(call, view, shape)
    rows, columns = view.sizes
    if len(shape) <= 2:
        return replace(view, layout=FLAT)
    # Numbers are read in order: what stands last keeps its positions.
    if shape[-2:] == (rows, columns):
        return replace(view, layout=IMAGE)
    if shape[-1] == rows * columns:
        return replace(view, layout=LINE)
    raise call.refuse(f"{call.name} to {shape}")


def reshape_flat(call: Call, view: View, shape: tuple[int, ...]) -> View:
    """A flattened image as one again: a single position, which sees all that was flattened."""
    if len(shape) <= 2:
        return view
    if shape[-2:] != (1, 1):
        raise call.refuse(f"{call.name} to {shape}")
    # Channels and positions were mixed: every number may come from anywhere.
    if view.sizes != (1, 1) or view.mixed is not None:
        view = view.collapsed()
    return replace(view, layout=IMAGE)


def expand_ellipsis(index: Any, rank: int) -> list[Any]:
    """An index as a list with an entry for each dimension: ``...`` written out, None left out."""
    if not isinstance(index, tuple):
        index = (index,)
    # None makes a new dimension, and takes none.
    places = 0
    for entry in index:
        if entry is not None and entry is not Ellipsis:
            places += 1
    missing = [slice(None)] * (rank - places)

    # What is missing stands where the ellipsis is, or behind all others.
    entries, filled = [], False
    for entry in index:
        if entry is Ellipsis:
            entries += missing
            filled = True
        elif entry is not None:
            entries.append(entry)
    if not filled:
        entries += missing
    return entries


def cut(call: Call) -> View:
    """``x[:, :, ::2, ::2]``: rows and columns by slices, other dimensions by anything."""
    view = call.view
    # ``x[:, :, None, None]`` makes an image of one position.
    if view.flat:
        if len(call.shape) > 2 and call.shape[-2:] == (1, 1):
            return reshape_flat(call, view, call.shape)
        return view
    # Only what happens to the positions matters.
    tensor, index = call.arguments[0], call.arguments[1]
    entries = expand_ellipsis(index, tensor.dim())
    if view.layout == LINE:
        return cut_line(call, entries[-1])
    return cut_image(call, entries[-2:])


def cut_line(call: Call, positions: Any) -> View:
    """An index that keeps all positions of an image in one line."""
    rows, columns = call.view.sizes
    count = rows * columns
    if not isinstance(positions, slice) or positions.indices(count) != (0, count, 1):
        raise call.refuse("an index of the positions of a flattened image")
    return call.view


def cut_image(call: Call, cuts: Sequence[Any]) -> View:
    """Slices of rows and columns, as a window of one position that slides from the first."""
    view = call.view
    # Python's own range knows which rows and columns a slice takes.
    kept = []
    for entry, axis in zip(cuts, view.axes):
        if not isinstance(entry, slice) or len(call.shape) < 3:
            raise call.refuse("an index that is no slice of rows or columns")
        kept.append(range(*entry.indices(axis.size)))
    rows, columns = kept
    if (len(rows), len(columns)) == view.sizes:
        return view
    # The step is a stride, and what is cut off before the first is padding below zero.
    window = Window(stride=(rows.step, columns.step), padding=(-rows.start, -columns.start))
    return slide_window(call, window, call.sizes, name="slice")


def flip(call: Call) -> View:
    """Rows or columns in the other order."""
    view = call.view
    dims = flipped_dims(call)
    # In a flattened image the order says nothing.
    if view.flat or (view.layout == IMAGE and not dims & {-1, -2}):
        return view
    if view.layout == LINE:
        if -1 in dims:
            raise call.refuse("flip of a flattened image")
        return view
    # A flip has a row of its own: what follows sees the image from its other end.
    rows, columns = view.axes
    words = []
    if -2 in dims:
        rows = rows.flipped()
        words.append("rows")
    if -1 in dims:
        columns = columns.flipped()
        words.append("columns")
    note = f"{' and '.join(words)} in the other order"
    return call.record(view, (rows, columns), IMAGE, note=note)


def flipped_dims(call: Call) -> set[int]:
    """The dimensions that a flip turns, counted from the end."""
    # ``fliplr`` means the second dimension: columns of a matrix, channels of images.
    rank = len(call.shape)
    if call.name == "flipud":
        return dims_from_end(0, rank)
    if call.name == "fliplr":
        return dims_from_end(1, rank)
    # Given by name, as a sequence, or one after the other.
    dims = call.keywords.get("dims", call.arguments[1:])
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = dims[0]
    return dims_from_end(dims, rank)


def pad(call: Call) -> View:
    """Padding of rows and columns by zeros, edges or mirrored pixels; of channels it is nothing."""
    view = call.view
    if view.layout != IMAGE:
        raise call.refuse("padding of a flattened image")
    if call.argument("mode") == "circular":
        raise call.refuse("circular padding")
    # torch names the last dimension first.
    sides = [*call.argument("pad"), 0, 0, 0, 0]
    left, right, top, bottom = sides[:4]
    if left == right == top == bottom == 0:
        return view
    # The window moves back by what was put before the first row and column.
    note = ""
    if (left, top) != (right, bottom):
        note = f"behind: {(bottom, right)}"
    return slide_window(call, Window(padding=(top, left)), call.sizes, note=note)
