"""A dry run of a net that knows, of every tensor, which part of the image reaches each of its positions.

The net runs on torch's ``meta`` device, where tensors have shapes and no values, and every torch function that it calls
comes to a handler by its name. What has none is an error: nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.environment import CourseError

POINTWISE = frozenset(  # one position to one position; normalisation, because it is fixed when a net is used
    "relu relu6 leaky_relu prelu elu celu selu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid softplus "
    "threshold rrelu dropout dropout2d feature_dropout alpha_dropout feature_alpha_dropout batch_norm "
    "local_response_norm clone contiguous to float half bfloat16 double detach requires_grad neg abs exp log sqrt rsqrt "
    "square pow clamp clamp_min sin cos sign identity type cpu cuda logsigmoid softsign hardshrink softshrink".split())
SUMS = frozenset("add radd iadd sub rsub isub mul rmul imul div truediv itruediv rtruediv true_divide maximum minimum cat "
                 "concat concatenate".split())
WHOLE = frozenset("group_norm instance_norm layer_norm".split())  # measured over the image, also when a net is used
RESHAPES = frozenset("flatten view reshape squeeze unsqueeze view_as reshape_as unflatten".split())
READS = frozenset("size dim ndimension numel is_floating_point is_complex is_contiguous stride is_tensor len "
                  "has_names".split())
ARGUMENTS = {"conv2d": ("input", "weight", "bias", "stride", "padding", "dilation"),
             "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
             "avg_pool2d": ("input", "kernel_size", "stride", "padding")}
Pair = tuple[Any, Any]


class Path(NamedTuple):
    """Position i sees the pixels from ``low + i * jump`` to ``high + i * jump``, counted from 0 and beyond the border.

    ``least`` is the extent of the smallest path alone.
    """

    jump: Fraction
    low: Fraction
    high: Fraction
    least: Fraction

    @property
    def centre(self) -> Fraction:
        """The middle of what position 0 sees; that of the first pixel is 0.5."""
        return (self.low + self.high + 1) / 2


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a tensor: ``size`` positions, and for every jump that paths to it have the union of those."""

    size: int
    paths: tuple[Path, ...] = (Path(*map(Fraction, (1, 0, 0, 1))),)

    def window(self, size: int, before: int, extent: int, stride: Fraction | int) -> Axis:
        """The axis of ``size`` windows of ``extent`` positions over this one, the first beginning ``before`` ahead."""
        return Axis(size, tuple(Path(jump * stride, low - before * jump, high + (extent - 1 - before) * jump,
                                     least + (extent - 1) * jump) for jump, low, high, least in self.paths))

    def join(self, other: Axis) -> Axis:
        """The union of the paths of two tensors that are summed or concatenated."""
        joined = {path.jump: path for path in self.paths}
        for path in other.paths:
            mine = joined.get(path.jump, path)
            joined[path.jump] = Path(path.jump, min(mine.low, path.low), max(mine.high, path.high),
                                     min(mine.least, path.least))
        return Axis(self.size, tuple(joined.values()))

    def bounds(self, position: int) -> Pair:
        """The first and the last pixel that a position sees."""
        return (min(path.low + position * path.jump for path in self.paths),
                max(path.high + position * path.jump for path in self.paths))

    @property
    def extent(self) -> Fraction:
        """Most pixels that a position sees; the first or the last one does, because the hull of lines is convex."""
        return max(high - low + 1 for low, high in map(self.bounds, (0, self.size - 1)))


class View(NamedTuple):
    """What a tensor's positions see along rows and columns; ``flat`` once those are gone; ``source`` names its layer."""

    axes: tuple[Axis, Axis]
    flat: bool
    source: str


class Step(NamedTuple):
    """A layer that was met; ``window`` is (kernel size, stride, padding, dilation), each a pair, or None without one."""

    name: str
    kind: str
    window: Sequence[Pair] | None
    before: View
    after: View
    note: str


class Tracer(TorchFunctionMode):
    """Follows, while it is entered, every torch function; ``steps`` has each layer that is not pointwise.

    ``modules`` is the stack of modules that run, with their names, kept by whoever runs the net.
    """

    def __init__(self, image: torch.Tensor) -> None:
        super().__init__()
        self.sizes, self.modules, self.steps, self.uses = tuple(image.shape[-2:]), [], [], Counter()
        image.course_view = View(tuple(map(Axis, self.sizes)), False, "image")

    def __torch_function__(self, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, function.__name__.strip("_")
        views = list(_views((args, kwargs)))
        if not views or name in READS:
            return function(*args, **kwargs)
        handler = _handler(name)
        if handler is None:
            raise self.refuse(name)
        result = function(*args, **kwargs)
        if name == "get":  # an attribute, such as shape
            if isinstance(result, torch.Tensor):
                raise self.refuse(f"the attribute {function.__self__.__name__}")
            return result
        view = handler(self, name, views, result, args, kwargs)
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            tensor.course_view = view
        return result

    @property
    def where(self) -> str:
        """The module that runs, for an error; nothing for the net itself."""
        return f" (in {self.modules[-1][0]})" if self.modules and self.modules[-1][0] else ""

    def refuse(self, what: str) -> CourseError:
        """The error for what is not understood."""
        return CourseError(f"receptive field: {what} is not understood{self.where}; convolution, pooling, slicing, padding, "
                           "sums, concatenation and pointwise layers are")

    def step(self, name: str, before: View, axes: Sequence[Axis], flat: bool = False, window: Any = None,
             note: str = "") -> View:
        """Keep a layer, by its own name and class where it is one of torch's, else by the function's."""
        path, module = self.modules[-1] if self.modules else ("", nn.Identity())
        layer = type(module).__module__.startswith("torch.nn") and not list(module.children())
        full = path if layer and path else ".".join(filter(None, (path, name)))
        self.uses[full] += 1
        full += f" ({self.uses[full]})" * (self.uses[full] > 1)
        after = View(tuple(axes), flat, full)
        self.steps.append(Step(full, type(module).__name__ if layer else name, window, before, after, note))
        return after


def _views(value: Any) -> Iterator[View]:
    """The views of all followed tensors among nested arguments, in order."""
    if isinstance(value, torch.Tensor):
        if hasattr(value, "course_view"):
            yield value.course_view
    elif isinstance(value, (tuple, list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _views(each)


def pair(value: Any) -> Pair:
    """A size for rows and columns as torch takes it: a number, or a sequence of one or two."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values if len(values) == 2 else values * 2


def _window(tracer, name, views, result, args, kwargs) -> View:
    """Convolution and pooling: a window that slides."""
    name = {"max_pool2d_with_indices": "max_pool2d"}.get(name, name)
    given = dict(zip(ARGUMENTS[name], args)) | kwargs
    kernel = tuple(given["weight"].shape[2:]) if name == "conv2d" else pair(given["kernel_size"])
    stride = pair(given.get("stride") or (1 if name == "conv2d" else kernel))
    dilation, padding = pair(given.get("dilation", 1)), given.get("padding", 0)
    if padding == "same":  # where the sum is odd, torch puts one more behind
        padding = tuple((size - 1) * step // 2 for size, step in zip(kernel, dilation))
    return _slide(tracer, name, views[0], result, (kernel, stride, pair(0 if padding == "valid" else padding), dilation))


def _slide(tracer, name, view, result, window, flat=False, note="") -> View:
    if view.flat:
        raise tracer.refuse(f"{name} of a flattened image")
    sizes = (1, 1) if flat else (result[0] if isinstance(result, tuple) else result).shape[-2:]
    axes = [axis.window(size, before, (kernel - 1) * dilation + 1, stride)
            for axis, size, kernel, stride, before, dilation in zip(view.axes, sizes, *window)]
    return tracer.step(name, view, axes, flat, window, note)


def _adaptive(tracer, name, views, result, args, kwargs) -> View:
    """Adaptive pooling: output i covers inputs floor(i·n/m) to ceil((i+1)·n/m) - 1, of n to m."""
    inputs, outputs = [axis.size for axis in views[0].axes], (result[0] if isinstance(result, tuple) else result).shape[-2:]
    widths = [{-((-i - 1) * n // m) - i * n // m for i in range(m)} for n, m in zip(inputs, outputs)]
    strides = [Fraction(n, m) for n, m in zip(inputs, outputs)]
    note = "" if all(len(each) == 1 for each in widths) else "uneven windows, the largest is told"
    return _slide(tracer, name, views[0], result, (tuple(map(max, widths)), tuple(strides), (0, 0), (1, 1)), note=note)


def _mean(tracer, name, views, result, args, kwargs) -> View:
    """A mean, sum or maximum over space, or over channels alone."""
    given = dict(zip(("input", "dim", "keepdim"), args)) | kwargs
    dims, rank = given.get("dim"), given["input"].dim()
    over = {dim % rank - rank for dim in (dims if isinstance(dims, (tuple, list)) else (dims,)) if dim is not None}
    if views[0].flat or over and not over & {-1, -2}:
        return views[0]
    if not {-1, -2} <= over:
        raise tracer.refuse(f"{name} over {dims}")
    sizes = tuple(axis.size for axis in views[0].axes)
    return _slide(tracer, name, views[0], result, (sizes, sizes, (0, 0), (1, 1)), flat=not given.get("keepdim"))


def _slice(tracer, name, views, result, args, kwargs) -> View:
    """``x[:, :, ::2, ::2]``; rows and columns may be cut by slices, other axes by anything."""
    view, index = views[0], args[1] if isinstance(args[1], tuple) else (args[1],)
    if view.flat:
        return view
    places = sum(each is not None and each is not Ellipsis for each in index)
    fill = [slice(None)] * (args[0].dim() - places)
    at = index.index(Ellipsis) if any(each is Ellipsis for each in index) else len(index)
    cuts = [each for each in (*index[:at], *fill, *index[at + 1:]) if each is not None][-2:]
    if not all(isinstance(cut, slice) for cut in cuts) or len(result.shape) < 3:
        raise tracer.refuse("an index that is no slice of rows or columns")
    ranges = [range(*cut.indices(axis.size)) for cut, axis in zip(cuts, view.axes)]
    if all(len(each) == axis.size for each, axis in zip(ranges, view.axes)):
        return view
    window = ((1, 1), tuple(each.step for each in ranges), tuple(-each.start for each in ranges), (1, 1))
    return _slide(tracer, "slice", view, result, window)


def _pad(tracer, name, views, result, args, kwargs) -> View:
    """Padding of rows and columns with zeros, edges or mirrored pixels; padding of channels changes nothing."""
    given = dict(zip(("input", "pad", "mode"), args)) | kwargs
    left, right, top, bottom = (*given["pad"], 0, 0, 0, 0)[:4]
    if given.get("mode") == "circular" or views[0].flat:
        raise tracer.refuse("circular padding" if not views[0].flat else "padding of a flattened image")
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
    kept, notes = [view for view in views if view not in gates], [f"gate left out: {gate.source}" for gate in gates]
    together = name in ("cat", "concat", "concatenate")
    dim = (dict(zip(("tensors", "dim"), args)) | kwargs).get("dim", 0) if together else 1
    if len({(size, view.flat) for size, view in zip(sizes, views) if view in kept}) > 1 or (
            together and (gates or not kept[0].flat and dim % len(result.shape) != 1)) or any(
            axis.extent < image for gate in gates for axis, image in zip(gate.axes, tracer.sizes)):
        raise tracer.refuse(f"{name} of sizes {' and '.join(map(str, sizes))}")
    axes = kept[0].axes
    for view in kept[1:]:
        axes = tuple(axis.join(other) for axis, other in zip(axes, view.axes))
    if len(kept) > 1:
        for what, values in (("jumps", {tuple(path.jump for axis in view.axes for path in axis.paths) for view in kept}),
                             ("centres", {tuple(path.centre for axis in view.axes for path in axis.paths) for view in kept})):
            notes += [f"paths of different {what}"] * (len(values) > 1)
    return tracer.step("concat" if together else name.lstrip("i"), View(axes, kept[0].flat, ""), axes, kept[0].flat,
                       note="; ".join(notes))


def _reshape(tracer, name, views, result, args, kwargs) -> View:
    """Flattening; and other shapes whose last two sizes are still those of the image."""
    view, sizes = views[0], tuple(axis.size for axis in views[0].axes)
    if len(result.shape) > 2 and tuple(result.shape[-2:]) == ((1, 1) if view.flat else sizes):
        return View(view.axes, False, view.source) if not view.flat else View(
            tuple(Axis(1, axis.paths) for axis in view.axes), False, view.source)
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
    note = f"mixes {sizes[0]}×{sizes[1]} positions, together {together[0]}×{together[1]}" if sizes != [1, 1] else ""
    return tracer.step(name, view, [Axis(1, axis.paths) for axis in view.axes], True, note=note)


def _pointwise(tracer, name, views, result, args, kwargs) -> View:
    return views[0]


def _softmax(tracer, name, views, result, args, kwargs) -> View:
    dim = (dict(zip(("input", "dim"), args)) | kwargs).get("dim")
    if not views[0].flat and dim % len(result.shape) != 1:
        raise tracer.refuse(f"{name} over rows or columns")
    return views[0]


def _whole(tracer, name, views, result, args, kwargs) -> View:
    return views[0] if views[0].flat else tracer.step(
        name, views[0], views[0].axes, note="statistics of the whole image left out")


def _handler(name: str) -> Callable | None:
    """The function that works out what a torch function's result sees."""
    groups = {POINTWISE: _pointwise, SUMS: _join, RESHAPES: _reshape, WHOLE: _whole,
              frozenset({"conv2d", "max_pool2d", "max_pool2d_with_indices", "avg_pool2d"}): _window,
              frozenset({"adaptive_avg_pool2d", "adaptive_max_pool2d"}): _adaptive,
              frozenset({"mean", "sum", "amax", "amin"}): _mean, frozenset({"getitem"}): _slice,
              frozenset({"pad"}): _pad, frozenset({"linear"}): _linear,
              frozenset({"softmax", "log_softmax"}): _softmax, frozenset({"get"}): _pointwise}
    return next((handler for names, handler in groups.items() if name in names), None)
