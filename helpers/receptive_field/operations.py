"""What the result of each torch function sees of the image: which handler knows it.

A handler is given a ``Call`` and returns the view of its result. Windows, joins and changes of
shape have files of their own; here are the layers that keep positions, and the list of all.
"""

from collections.abc import Callable
from dataclasses import replace

from helpers.receptive_field.calls import Call
from helpers.receptive_field.joins import POSITIONS, join
from helpers.receptive_field.reshaping import cut, flip, pad, reshape
from helpers.receptive_field.spans import FLAT, View
from helpers.receptive_field.windows import convolve, pool, pool_adaptively, reduce

# One position to one position.
POINTWISE = frozenset(
    "relu relu6 leaky_relu prelu elu celu selu gelu silu mish sigmoid tanh hardtanh hardswish "
    "hardsigmoid softplus threshold rrelu dropout dropout1d dropout2d feature_dropout "
    "alpha_dropout feature_alpha_dropout local_response_norm clone contiguous to float half "
    "bfloat16 double detach requires_grad neg abs exp log sqrt rsqrt square pow clamp clamp_min "
    "clip sin cos sign identity type cpu cuda logsigmoid log_sigmoid softsign hardshrink "
    "softshrink tanhshrink channel_shuffle".split()
)
# Two tensors to one; with a constant they are pointwise.
JOINS = frozenset(
    "add radd iadd sub rsub isub mul rmul imul div truediv itruediv rtruediv true_divide maximum "
    "minimum cat concat concatenate hstack stack".split()
)
# Joins as well, whose results say where something holds, or are chosen by that.
COMPARISONS = frozenset("gt ge lt le eq ne where masked_fill".split())
RESHAPES = frozenset("flatten view reshape squeeze unsqueeze view_as reshape_as unflatten".split())
REDUCTIONS = frozenset("mean sum amax amin max min".split())
# Reductions as well, which are of no use before a softmax.
STATISTICS = frozenset("std var logsumexp".split())
SOFTMAXES = frozenset("softmax log_softmax softmin special_softmax special_log_softmax".split())
ALONG_CHANNELS = SOFTMAXES | {"glu", "split", "chunk"}
# Layers that look at statistics, kept ones or those of the image.
NORMS = frozenset("batch_norm instance_norm group_norm layer_norm rms_norm".split())
POOLINGS = frozenset("max_pool2d max_pool2d_with_indices avg_pool2d".split())
ADAPTIVE = frozenset(
    "adaptive_avg_pool2d adaptive_max_pool2d adaptive_max_pool2d_with_indices".split()
)


def keep_positions(call: Call) -> View:
    """A pointwise function."""
    if len(call.views) > 1:
        raise call.refuse(f"{call.name} with a limit or exponent made from the image")
    return call.view


def along_channels(call: Call) -> View:
    """Softmax, gated linear units and splits: along channels, or of a flattened image."""
    view = call.view
    if view.flat:
        return view
    # Between the batch and the positions.
    dim, rank = call.argument("dim"), call.argument("input").dim()
    # torch's own default: the last one.
    if call.name == "glu" and dim is None:
        dim = -1
    if dim is None or not 1 <= dim % rank < rank - POSITIONS[view.layout]:
        raise call.refuse(f"{call.name} over rows or columns")
    return view


def normalize(call: Call) -> View:
    """Normalisation, pointwise with kept statistics; those of the whole image are left out."""
    view = call.view
    # The statistics of a flattened image are mixed with it by the next linear layer anyway.
    if view.flat or not measures_the_image(call):
        return view
    note = "statistics of the whole image left out"
    return call.record(view, view.axes, view.layout, note=note)


def measures_the_image(call: Call) -> bool:
    """Whether a normalisation takes its statistics from the image when a net is used."""
    if call.name == "batch_norm":
        return bool(call.argument("training", False))
    if call.name == "instance_norm":
        return bool(call.argument("use_input_stats", True))
    return True


def mix(call: Call) -> View:
    """A linear layer: each number that it is given sees what the last layer of the image saw."""
    view = call.view
    if not view.flat:
        raise call.refuse("a linear layer over the columns of an image")
    # Positions that are not even have no field in common: the row shows that of all.
    shown = view
    if not view.even:
        shown = view.collapsed()
    # One position is left. A gate of linear layers has seen the whole image.
    axes = []
    for axis, original in zip(shown.axes, view.axes):
        whole = axis.whole or original.size > 1
        axes.append(replace(axis, size=1, whole=whole))
    # The row shows a single position; what all see together is kept beside it.
    mixed = call.record(view, axes, FLAT, note=mixing_note(view))
    return replace(mixed, mixed=view.together)


def mixing_note(view: View) -> str:
    """How many positions a linear layer mixes, and what they see together."""
    rows, columns = view.sizes
    if (rows, columns) == (1, 1):
        return ""
    # In pixels, from the first to the last of all.
    (top, bottom), (left, right) = view.together
    together = f"{bottom - top + 1}×{right - left + 1}"
    return f"mixes {rows}×{columns} positions, together {together}"


# Which handler knows a function, by the function's name without underscores at its ends.
HANDLERS: dict[str, Callable[[Call], View]] = {
    **dict.fromkeys(POINTWISE, keep_positions),
    **dict.fromkeys(JOINS | COMPARISONS, join),
    **dict.fromkeys(RESHAPES, reshape),
    **dict.fromkeys(REDUCTIONS | STATISTICS, reduce),
    **dict.fromkeys(ALONG_CHANNELS, along_channels),
    **dict.fromkeys(NORMS, normalize),
    **dict.fromkeys(POOLINGS, pool),
    **dict.fromkeys(ADAPTIVE, pool_adaptively),
    **dict.fromkeys(("flip", "fliplr", "flipud"), flip),
    "conv2d": convolve,
    "getitem": cut,
    "pad": pad,
    "linear": mix,
}
