"""Where paths meet: sums, products, concatenation and stacking."""

from dataclasses import replace

from helpers.receptive_field.calls import Call
from helpers.receptive_field.spans import FLAT, IMAGE, LINE, Axis, Span, View, hull

CONCATENATIONS = frozenset("cat concat concatenate hstack".split())
# The dimensions behind those of the batch and of channels, by layout.
POSITIONS = {IMAGE: 2, LINE: 1, FLAT: 0}


def join(call: Call) -> View:
    """The union of all paths; a gate, which pools the whole image, is left out."""
    if call.name == "stack":
        check_stacked(call)
    # A sum with a constant is pointwise.
    if len(call.views) == 1:
        return call.views[0]
    if all(view.flat for view in call.views):
        return join_flat(call)
    # Images: the union of those that are as large as the result.
    gates, paths = split_gates(call.views)
    check_sizes(call, gates, paths)
    joined = union(paths)
    note = "; ".join(notes_on(gates, paths))
    return call.record(joined, joined.axes, joined.layout, name=row_name(call), note=note)


def row_name(call: Call) -> str:
    """What a table calls a join: one name for ``cat`` and its aliases, and for ``+`` and ``+=``."""
    if call.name in CONCATENATIONS:
        return "concat"
    return call.name.lstrip("i")


def split_gates(views: list[View]) -> tuple[list[View], list[View]]:
    """Views of one position that meet a larger image, and all others."""
    # Where all are one position, none is a gate of another.
    largest = max(view.sizes for view in views)
    gates, paths = [], []
    for view in views:
        if view.sizes == (1, 1) and largest != (1, 1):
            gates.append(view)
        else:
            paths.append(view)
    return gates, paths


def check_sizes(call: Call, gates: list[View], paths: list[View]) -> None:
    """Refuse tensors of different sizes, and gates that have not seen the whole image."""
    sizes = " and ".join(str(view.sizes) for view in call.views)
    wrong_sizes = call.refuse(f"{call.name} of sizes {sizes}")
    # All paths lie on one grid, in one layout.
    grids = {(view.sizes, view.layout) for view in paths}
    if len(grids) > 1:
        raise wrong_sizes
    # A single position may also be one that others were cut away from.
    for gate in gates:
        rows, columns = gate.axes
        if not (rows.whole and columns.whole):
            raise wrong_sizes

    # A concatenation spreads nothing over larger images, and rows or columns that are laid behind
    # each other would be one larger image.
    if call.name in CONCATENATIONS and (gates or not joins_channels(call, paths[0])):
        raise wrong_sizes


def joins_channels(call: Call, view: View) -> bool:
    """Whether a concatenation lays channels behind each other, or flattened numbers."""
    # ``hstack`` always means the second dimension, which is that of channels.
    if view.flat or call.name == "hstack":
        return True
    return call.argument("dim", 0) % len(call.shape) == 1


def check_stacked(call: Call) -> None:
    """Refuse a new dimension among rows and columns."""
    # The new dimension is counted in the result, where it already is.
    rank = len(call.shape)
    dim = call.argument("dim", 0) % rank
    if dim >= rank - POSITIONS[call.views[0].layout]:
        raise call.refuse("stack over rows or columns")


def union(paths: list[View]) -> View:
    """What positions see by any of the paths."""
    rows, columns = paths[0].axes
    for view in paths[1:]:
        rows = rows.join(view.axes[0])
        columns = columns.join(view.axes[1])
    return replace(paths[0], axes=(rows, columns))


def notes_on(gates: list[View], paths: list[View]) -> list[str]:
    """What a table says of a join."""
    notes = [f"gate left out: {gate.source}" for gate in gates]
    # Paths that do not lie over each other get a note.
    jumps, centres = set(), set()
    for view in paths:
        rows, columns = view.axes
        spans = rows.spans + columns.spans
        jumps.add(tuple(span.jump for span in spans))
        centres.add(tuple(span.centre for span in spans))
    if len(jumps) > 1:
        notes.append("paths of different jumps")
    if len(centres) > 1:
        notes.append("paths of different centres")
    return notes


def join_flat(call: Call) -> View:
    """Flattened tensors: nothing new where all see the same, else all that they see together."""
    first = call.views[0]
    if all(sees_the_same(first, view) for view in call.views):
        return first

    # Positions of different grids have no common jump: one position stands for all of them.
    axes = [box_around(call.views, number) for number in (0, 1)]
    joined = View((axes[0], axes[1]), FLAT)
    return call.record(joined, axes, FLAT, name=row_name(call), note=sizes_note(call))


def box_around(views: list[View], number: int) -> Axis:
    """By rows (0) or columns (1), one position that sees what all positions of the views see."""
    axes = [view.collapsed().axes[number] for view in views]
    # From the first pixel of any to the last pixel of any.
    low, high = hull([axis.together for axis in axes])
    span = Span(
        jump=max(axis.jump for axis in axes),
        low=low,
        high=high,
        least=min(axis.least for axis in axes),
    )
    return Axis(1, (span,), whole=all(axis.whole for axis in axes))


def sizes_note(call: Call) -> str:
    """The positions of flattened tensors that are joined, where there are several."""
    sizes = [f"{view.sizes[0]}×{view.sizes[1]}" for view in call.views]
    if set(sizes) == {"1×1"}:
        return ""
    return f"joins {' and '.join(sizes)} positions"


def sees_the_same(view: View, other: View) -> bool:
    """Whether two flattened tensors have the same positions, which see the same."""
    same_sizes = view.sizes == other.sizes and view.extents == other.extents
    return same_sizes and view.together == other.together
