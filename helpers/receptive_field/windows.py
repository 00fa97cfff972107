"""Layers that look at a window of the image: convolution, pooling, and means over the image."""

from dataclasses import replace
from fractions import Fraction

import torch

from helpers.receptive_field.calls import Call, Window, dims_from_end, pair
from helpers.receptive_field.joins import join
from helpers.receptive_field.spans import FLAT, IMAGE, LINE, Axis, Pair, View


def convolve(call: Call) -> View:
    """Convolution; one padding on each side."""
    # With weights made from the image, the kernel size says nothing about the field.
    if len(call.views) > 1:
        raise call.refuse("conv2d with weights made from the image")
    kernel_size = tuple(call.argument("weight").shape[2:])
    dilation = pair(call.argument("dilation", 1))

    # Padding is given in numbers or in a word.
    padding = call.argument("padding", 0)
    if padding == "valid":
        padding = 0
    if padding == "same":
        padding = same_padding(kernel_size, dilation)
    stride = pair(call.argument("stride", 1))
    window = Window(kernel_size, stride, pair(padding), dilation)
    return slide_window(call, window, call.sizes)


def same_padding(kernel_size: Pair, dilation: Pair) -> Pair:
    """The padding before an image that keeps its size; an odd one has one more behind it."""
    rows = (kernel_size[0] - 1) * dilation[0] // 2
    columns = (kernel_size[1] - 1) * dilation[1] // 2
    return rows, columns


def pool(call: Call) -> View:
    """Pooling over windows, which stand side by side unless a stride is given."""
    # With its indices or without, a pooling is the same.
    call = replace(call, name=call.name.removesuffix("_with_indices"))
    kernel_size = pair(call.argument("kernel_size"))
    stride = call.argument("stride")
    # torch takes None and an empty list alike for "as large as the window".
    if not stride:
        stride = kernel_size
    window = Window(
        kernel_size=kernel_size,
        stride=pair(stride),
        padding=pair(call.argument("padding", 0)),
        dilation=pair(call.argument("dilation", 1)),
    )
    return slide_window(call, window, call.sizes)


def slide_window(
    call: Call, window: Window, sizes: Pair, *, name: str = "", layout: str = IMAGE, note: str = ""
) -> View:
    """Record a window that slides over the image, at ``sizes`` rows and columns of places."""
    name = name or call.name
    check_window(call, name)
    axes = []
    for number, axis in enumerate(call.view.axes):
        # Dilation leaves holes; from the first to the last position of the window it counts.
        extent = (window.kernel_size[number] - 1) * window.dilation[number] + 1
        before, stride = window.padding[number], window.stride[number]
        axes.append(axis.window(sizes[number], before, extent, stride))
    return call.record(call.view, axes, layout, name=name, window=window, note=note)


def check_window(call: Call, name: str) -> None:
    """Refuse a window over what is no image any more, or over uneven positions."""
    if call.view.layout != IMAGE:
        raise call.refuse(f"{name} of a flattened image")
    if not call.view.even:
        raise call.refuse(f"{name} after uneven adaptive pooling")


def adaptive_windows(size: int, count: int) -> list[tuple[int, int]]:
    """First and last position of the ``count`` windows of adaptive pooling over ``size`` positions.

    Window i begins at floor(i · size / count) and ends before ceil((i + 1) · size / count).
    """
    windows = []
    for number in range(count):
        first = number * size // count
        behind = -(-(number + 1) * size // count)
        windows.append((first, behind - 1))
    return windows


def pool_adaptively(call: Call) -> View:
    """Adaptive pooling, whose windows differ in size where the sizes do not divide."""
    # By rows and by columns: even windows slide like those of other layers.
    check_window(call, call.name)
    axes, kernel_size, stride, note = [], [], [], ""
    for axis, count in zip(call.view.axes, call.sizes):
        windows = adaptive_windows(axis.size, count)
        largest = max(last - first + 1 for first, last in windows)
        if axis.size % count == 0:
            axes.append(axis.window(count, 0, largest, largest))
        else:
            axes.append(axis.uneven_windows(windows))
            note = "uneven windows, the largest is shown"
        kernel_size.append(largest)
        stride.append(Fraction(axis.size, count))
    window = Window(pair(kernel_size), pair(stride))
    return call.record(call.view, axes, IMAGE, window=window, note=note)


def reduce(call: Call) -> View:
    """A mean, sum or maximum: over rows, columns, both or channels, or of two tensors."""
    # torch.max(a, b) is the larger of two tensors.
    if len(call.views) > 1:
        return join(call)
    view = call.view
    if view.flat:
        return view
    dims = call.argument("dim")
    # The larger of a tensor and a constant one is pointwise.
    if isinstance(dims, torch.Tensor):
        return view
    rank = call.argument("input").dim()
    reduced = dims_from_end(dims, rank)
    # Without dims the reduction takes all; ``x.std(False)`` has none but the divisor's kind.
    if dims is None or isinstance(dims, bool):
        reduced = set(range(-rank, 0))

    # Over channels alone it is pointwise; over rows, columns or both it is a window.
    rows_and_columns = (-2 in reduced, -1 in reduced)
    if view.layout == LINE:
        rows_and_columns = (-1 in reduced, -1 in reduced)
    if not any(rows_and_columns):
        return view
    # Kept dimensions of size one are an image still; else a line is left, or nothing of both.
    layout = FLAT
    if call.argument("keepdim", False):
        layout = view.layout
    elif not all(rows_and_columns):
        layout = LINE
    return pool_whole(call, rows_and_columns, layout)


def pool_whole(call: Call, rows_and_columns: tuple[bool, bool], layout: str) -> View:
    """Record a window over all rows, over all columns, or over both."""
    view = call.view
    axes, sizes = [], []
    for axis, pooled in zip(view.axes, rows_and_columns):
        size = 1
        if pooled:
            size = axis.size
            axis = whole_axis(axis)
        axes.append(axis)
        sizes.append(size)
    window = Window(kernel_size=pair(sizes), stride=pair(sizes))
    return call.record(view, axes, layout, window=window)


def whole_axis(axis: Axis) -> Axis:
    """An axis behind a window over all its positions."""
    # Uneven positions have no window in common, and see together what they see.
    if axis.even:
        return axis.window(1, 0, axis.size, axis.size)
    return axis.collapsed()
