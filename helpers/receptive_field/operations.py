"""What the result of each torch function sees of the image: one handler a kind, for ``helpers.receptive_field.tracing``.

A handler gets the tracer, the function's name, the views of the followed tensors among its arguments, its result and
its arguments, and returns the view of the result.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from helpers.receptive_field.spans import Axis, Pair, View

POINTWISE = frozenset(  # one position to one position; normalisation, because it is fixed when a net is used
    "relu relu6 leaky_relu prelu elu celu selu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid softplus "
    "threshold rrelu dropout dropout2d feature_dropout alpha_dropout feature_alpha_dropout "
    "local_response_norm clone contiguous to float half bfloat16 double detach requires_grad neg abs exp log sqrt "
    "rsqrt square pow clamp clamp_min sin cos sign identity type cpu cuda logsigmoid softsign".split()
)
SUMS = frozenset(
    "add radd iadd sub rsub isub mul rmul imul div truediv itruediv rtruediv true_divide maximum minimum "
    "cat concat concatenate".split()
)
NORMS = {  # the argument that says whether statistics are measured when a net is used, and what it is unless given
    "batch_norm": ("input running_mean running_var weight bias training", "training", False),
    "instance_norm": (
        "input running_mean running_var weight bias use_input_stats",
        "use_input_stats",
        True,
    ),
    "group_norm": ("input", "", True),
}
RESHAPES = frozenset("flatten view reshape squeeze unsqueeze view_as reshape_as unflatten".split())
ARGUMENTS = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding"),
}


def pair(value: Any) -> Pair:
    """A size for rows and columns as torch takes it: a number, or a sequence of one or two."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values if len(values) == 2 else values * 2


def _window(tracer, name, views, result, args, kwargs) -> View:
    """Convolution and pooling: a window that slides."""
    name = name.removesuffix("_with_indices")
    given = dict(zip(ARGUMENTS[name], args)) | kwargs
    if len(views) > 1:
        raise tracer.refuse(f"{name} with weights made from the image")
    kernel = tuple(given["weight"].shape[2:]) if name == "conv2d" else pair(given["kernel_size"])
    stride = pair(given.get("stride") or (1 if name == "conv2d" else kernel))
    dilation, padding = pair(given.get("dilation", 1)), given.get("padding", 0)
    if padding == "same":  # where the sum is odd, torch puts one more behind
        padding = tuple((size - 1) * step // 2 for size, step in zip(kernel, dilation))
    padding = pair(0 if padding == "valid" else padding)
    return _slide(tracer, name, views[0], result, (kernel, stride, padding, dilation))


def _slide(tracer, name, view, result, window, flat=False, note="") -> View:
    if view.flat or not all(axis.even for axis in view.axes):
        raise tracer.refuse(
            f"{name} of a flattened image" if view.flat else f"{name} after uneven adaptive pooling"
        )
    sizes = (1, 1) if flat else (result[0] if isinstance(result, tuple) else result).shape[-2:]
    axes = [
        axis.window(size, before, (kernel - 1) * dilation + 1, stride)
        for axis, size, kernel, stride, before, dilation in zip(view.axes, sizes, *window)
    ]
    return tracer.step(name, view, axes, flat, window, note)


def _adaptive(tracer, name, views, result, args, kwargs) -> View:
    """Adaptive pooling: output i covers inputs floor(i·n/m) to ceil((i+1)·n/m) - 1, of n to m."""
    inputs = [axis.size for axis in views[0].axes]
    outputs = (result[0] if isinstance(result, tuple) else result).shape[-2:]
    widths = [
        {-((-i - 1) * n // m) - i * n // m for i in range(m)} for n, m in zip(inputs, outputs)
    ]
    strides = [Fraction(n, m) for n, m in zip(inputs, outputs)]
    uneven = [n % m > 0 for n, m in zip(inputs, outputs)]
    note = "uneven windows, the largest is told" * any(uneven)
    view = _slide(
        tracer,
        name,
        views[0],
        result,
        (tuple(map(max, widths)), tuple(strides), (0, 0), (1, 1)),
        note=note,
    )
    return view._replace(
        axes=tuple(replace(axis, even=not odd) for axis, odd in zip(view.axes, uneven))
    )


def _mean(tracer, name, views, result, args, kwargs) -> View:
    """A mean, sum or maximum over space, or over channels alone."""
    given = dict(zip(("input", "dim", "keepdim"), args)) | kwargs
    dims, rank = given.get("dim", given.get("axis")), given["input"].dim()
    over = {
        dim % rank - rank
        for dim in (dims if isinstance(dims, (tuple, list)) else (dims,))
        if dim is not None
    }
    if views[0].flat or over and not over & {-1, -2}:
        return views[0]
    if not {-1, -2} <= over:
        raise tracer.refuse(f"{name} over {dims}")
    sizes = tuple(axis.size for axis in views[0].axes)
    kept = given.get("keepdim", given.get("keepdims", False))
    return _slide(tracer, name, views[0], result, (sizes, sizes, (0, 0), (1, 1)), flat=not kept)


def _slice(tracer, name, views, result, args, kwargs) -> View:
    """``x[:, :, ::2, ::2]``; rows and columns may be cut by slices, other axes by anything."""
    view, index = views[0], args[1] if isinstance(args[1], tuple) else (args[1],)
    if view.flat:
        return view
    places = sum(each is not None and each is not Ellipsis for each in index)
    fill = [slice(None)] * (args[0].dim() - places)
    at = index.index(Ellipsis) if any(each is Ellipsis for each in index) else len(index)
    cuts = [each for each in (*index[:at], *fill, *index[at + 1 :]) if each is not None][-2:]
    if not all(isinstance(cut, slice) for cut in cuts) or len(result.shape) < 3:
        raise tracer.refuse("an index that is no slice of rows or columns")
    ranges = [range(*cut.indices(axis.size)) for cut, axis in zip(cuts, view.axes)]
    if all(len(each) == axis.size for each, axis in zip(ranges, view.axes)):
        return view
    window = (
        (1, 1),
        tuple(each.step for each in ranges),
        tuple(-each.start for each in ranges),
        (1, 1),
    )
    return _slide(tracer, "slice", view, result, window)


def _pad(tracer, name, views, result, args, kwargs) -> View:
    """Padding of rows and columns with zeros, edges or mirrored pixels; padding of channels changes nothing."""
    given = dict(zip(("input", "pad", "mode"), args)) | kwargs
    left, right, top, bottom = (*given["pad"], 0, 0, 0, 0)[:4]
    if given.get("mode") == "circular" or views[0].flat:
        raise tracer.refuse(
            "circular padding" if not views[0].flat else "padding of a flattened image"
        )
    if not any((left, right, top, bottom)):
        return views[0]
    note = "" if (left, top) == (right, bottom) else f"behind: {(bottom, right)}"
    return _slide(tracer, "pad", views[0], result, ((1, 1), (1, 1), (top, left), (1, 1)), note=note)


def _join(tracer, name, views, result, args, kwargs) -> View:
    """A sum, product or concatenation: the union of all paths; a gate, which pools the whole image, is left out."""
    if len(views) == 1:
        return views[0]
    sizes = [tuple(axis.size for axis in view.axes) for view in views]
    gates = [view for view, size in zip(views, sizes) if size == (1, 1) != max(sizes)]
    kept, notes = (
        [view for view in views if view not in gates],
        [f"gate left out: {gate.source}" for gate in gates],
    )
    together = name in ("cat", "concat", "concatenate")
    dim = (dict(zip(("tensors", "dim"), args)) | kwargs).get("dim", 0) if together else 1
    if (
        len({(size, view.flat) for size, view in zip(sizes, views) if view in kept}) > 1
        or (together and (gates or not kept[0].flat and dim % len(result.shape) != 1))
        or not all(axis.whole for gate in gates for axis in gate.axes)
    ):
        raise tracer.refuse(f"{name} of sizes {' and '.join(map(str, sizes))}")
    if all(view.flat for view in views):
        return views[0]
    axes = kept[0].axes
    for view in kept[1:]:
        axes = tuple(axis.join(other) for axis, other in zip(axes, view.axes))
    if len(kept) > 1:
        for what in ("jump", "centre"):
            values = {
                tuple(getattr(path, what) for axis in view.axes for path in axis.paths)
                for view in kept
            }
            notes += [f"paths of different {what}s"] * (len(values) > 1)
    return tracer.step(
        "concat" if together else name.lstrip("i"),
        View(axes, kept[0].flat, ""),
        axes,
        kept[0].flat,
        note="; ".join(notes),
    )


def _reshape(tracer, name, views, result, args, kwargs) -> View:
    """Flattening; and other shapes whose last two sizes are still those of the image."""
    view, sizes = views[0], tuple(axis.size for axis in views[0].axes)
    if len(result.shape) > 2 and tuple(result.shape[-2:]) == ((1, 1) if view.flat else sizes):
        return (
            View(view.axes, False, view.source)
            if not view.flat
            else View(tuple(Axis(1, axis.paths) for axis in view.axes), False, view.source)
        )
    if len(result.shape) > 2:
        raise tracer.refuse(f"{name} to {tuple(result.shape)}")
    return View(view.axes, True, view.source)


def _linear(tracer, name, views, result, args, kwargs) -> View:
    """A linear layer: each number that it is given sees what the last layer of the image saw."""
    view = views[0]
    if not view.flat:
        raise tracer.refuse("a linear layer over the columns of an image")
    together = [axis.bounds(axis.size - 1)[1] - axis.bounds(0)[0] + 1 for axis in view.axes]
    sizes = [axis.size for axis in view.axes]
    note = (
        f"mixes {sizes[0]}×{sizes[1]} positions, together {together[0]}×{together[1]}"
        if sizes != [1, 1]
        else ""
    )
    return tracer.step(name, view, [Axis(1, axis.paths) for axis in view.axes], True, note=note)


def _pointwise(tracer, name, views, result, args, kwargs) -> View:
    if len(views) > 1:
        raise tracer.refuse(f"{name} with a limit or exponent made from the image")
    return views[0]


def _channels(tracer, name, views, result, args, kwargs) -> View:
    """Softmax, and splits: along channels, or of a flattened image."""
    names = ("input", "count", "dim") if name in ("split", "chunk") else ("input", "dim")
    dim = (dict(zip(names, args)) | kwargs).get("dim")
    if not views[0].flat and (dim is None or dim % args[0].dim() != 1):
        raise tracer.refuse(f"{name} over rows or columns")
    return views[0]


def _norm(tracer, name, views, result, args, kwargs) -> View:
    """Normalisation: pointwise with kept statistics; else it looks at the whole image, which is named and left out."""
    names, switch, default = NORMS[name]
    measured = (dict(zip(names.split(), args)) | kwargs).get(switch, default)
    return (
        views[0]
        if views[0].flat or not measured
        else tracer.step(
            name, views[0], views[0].axes, note="statistics of the whole image left out"
        )
    )


HANDLERS = {
    name: handler
    for names, handler in (
        (POINTWISE, _pointwise),
        (SUMS, _join),
        (RESHAPES, _reshape),
        (NORMS, _norm),
        (ARGUMENTS, _window),
        (("max_pool2d_with_indices",), _window),
        (("softmax", "log_softmax", "split", "chunk"), _channels),
        (("getitem",), _slice),
        (
            ("adaptive_avg_pool2d", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices"),
            _adaptive,
        ),
        (("mean", "sum", "amax", "amin", "max", "min"), _mean),
        (("pad",), _pad),
        (("linear",), _linear),
    )
    for name in names
}
