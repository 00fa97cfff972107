"""Receptive fields: against gradients of random nets, rows by hand, 003, published nets."""

from __future__ import annotations

import functools
import operator
import random
import re
import time
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from helpers.environment import CourseError
from helpers.models.small import compact_net
from helpers.receptive_field.measured import effective_receptive_field
from helpers.receptive_field.table import receptive_field_table

# Receptive field in, n in, jump in, stride, padding, kernel size, and out: field, n, jump.
DOCUMENT_003 = """1 28 1 1 0 3 3 26 1, 3 26 1 1 0 3 5 24 1, 5 24 1 2 0 2 6 12 2,
6 12 2 1 0 1 6 12 2, 6 12 2 1 0 1 6 12 2, 6 12 2 1 0 3 10 10 2, 10 10 2 1 0 3 14 8 2,
14 8 2 1 0 3 18 6 2, 18 6 2 1 0 3 22 4 2, 22 4 2 1 0 4 28 1 2, 28 1 2 1 0 1 28 1 2"""
# Extent and jump before the global pool, by hand; AlexNet's, VGG's and Inception's are also those
# of Araujo et al.
PUBLISHED = {
    "alexnet": (195, 32),
    "vgg16": (212, 32),
    "resnet18": (435, 32),
    "resnet50": (427, 32),
    "resnet152": (1451, 32),
    "squeezenet1_0": (155, 16),
    "densenet121": (2071, 32),
    "googlenet": (379, 32),
    "inception_v3": (1311, 32),
    "mobilenet_v2": (491, 32),
}


class Net(nn.Module):
    """Named modules, and what to compute with them."""

    def __init__(self, function: Callable, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(self, images)


def conv(*sizes: object, **given: object) -> nn.Conv2d:
    return nn.Conv2d(2, 2, *sizes, bias=False, **given)


def positive(model: nn.Module) -> nn.Module:
    """The same net with weights from 0.5 to 1.5, so that no two paths cancel."""
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5, torch.Generator().manual_seed(0))
    return model


class Draw(random.Random):
    """Random nets; ``reach`` bounds the pixels that they see and shift by, ``jump`` the stride."""

    def net(self) -> nn.Sequential:
        self.reach, self.jump, self.channels, body = 0, 1, 2, []
        for _ in range(self.randint(1, 4)):
            make = self.choice([*[self.chain, self.branches] * 3, self.slice, self.mirrored])
            body += make(self.sizes(1, 1, 2, 3))
        return positive(nn.Sequential(*body)) if self.reach <= 36 else self.net()

    def sizes(self, *choices: int) -> tuple[int, int]:
        first = self.choice(choices)
        return (first, self.choice(choices)) if self.random() < 0.4 else (first, first)

    def slice(self, steps: tuple[int, int]) -> list[nn.Module]:
        cut = (..., *(slice(self.randint(1, 3), None, step) for step in steps))
        self.reach, self.jump = self.reach + 3 * self.jump, self.jump * max(steps)
        return [Net(lambda _, x: x[cut])]

    def mirrored(self, strides: tuple[int, int]) -> list[nn.Module]:
        return [*self.flip(), *self.chain(strides)]

    def flip(self) -> list[nn.Module]:
        dims = self.choice([(-1,), (2,), (2, 3), (-1, 1)])
        return [Net(lambda _, x: x.flip(dims))]

    def layer(self, strides: tuple[int, int], out_channels: int, fit: bool) -> list[nn.Module]:
        """A window, padded to ceil(n / stride) positions where it must fit.

        Behind a pad if the sides differ.
        """
        kernel, pool = (
            self.sizes(1, 2, 3, 3, 5),
            self.channels == out_channels and self.random() < 0.25,
        )
        dilation = (1, 1) if pool else self.sizes(1, 1, 2)
        spans = [step * (size - 1) for size, step in zip(kernel, dilation)]
        before = tuple(
            self.randint(0, span) if self.random() < 0.3 else span // 2 for span in spans
        )
        after = tuple(span - size if fit else size for span, size in zip(spans, before))
        even = before == after and not (
            pool and any(2 * pad > size for pad, size in zip(before, kernel))
        )
        self.reach, self.jump = (
            self.reach + (max(spans) + max(before + after)) * self.jump,
            self.jump * max(strides),
        )
        padding, sides = before if even else 0, (before[1], after[1], before[0], after[0])
        window = (
            nn.AvgPool2d(kernel, strides, padding)
            if pool
            else nn.Conv2d(
                self.channels,
                out_channels,
                kernel,
                strides,
                padding,
                dilation,
                self.choice([1, 2]),
                bias=False,
            )
        )
        self.channels = out_channels
        return [Net(lambda _, x: F.pad(x, sides))] * (not even and any(sides)) + [window]

    def chain(
        self, strides: tuple[int, int], fit: bool = False, channels: int = 0
    ) -> list[nn.Module]:
        places = [strides, *[(1, 1)] * self.randint(0, 2)]
        self.shuffle(places)
        return sum(
            (self.layer(place, channels or self.choice([2, 4]), fit) for place in places), []
        )

    def branches(self, strides: tuple[int, int]) -> list[nn.Module]:
        """Paths of unequal depth, the last one perhaps a shortcut, concatenated or summed."""
        together, jump, channels, paths, widths = (
            self.random() < 0.5,
            self.jump,
            self.channels,
            [],
            [],
        )
        for _ in range(self.randint(2, 3) if together else 2):
            self.jump, self.channels = jump, channels
            paths.append(self.chain(strides, True, 0 if together else channels))
            widths.append(self.channels)
        if self.random() < 0.5:
            cut = (..., *(slice(None, None, step) for step in strides))
            paths[-1], widths[-1] = (
                [] if strides == (1, 1) else [Net(lambda _, x: x[cut])],
                channels,
            )
        self.jump, self.channels = jump * max(strides), sum(widths) if together else channels
        join = self.choice([lambda each: each[0] + each[1], lambda each: torch.stack(each).sum(0)])
        if together:
            join = functools.partial(torch.cat, dim=1)
            if len(set(widths)) == 1 and self.random() < 0.5:
                join = lambda each: torch.stack(each, -3).flatten(1, 2)  # noqa: E731
        return [
            Net(
                lambda net, x: join([path(x) for path in net.paths]),
                paths=nn.ModuleList(nn.Sequential(*path) for path in paths),
            )
        ]


def seen(gradient: torch.Tensor) -> list[tuple[int, int]]:
    """The first and the last row, and column, where the gradient [C, H, W] is not zero."""
    marks = gradient.abs().sum(0) > 0
    return [
        (int(line.nonzero().min()), int(line.nonzero().max()))
        for line in (marks.any(1), marks.any(0))
    ]


def keep_output(outputs: dict, name: str, module: nn.Module, given: object, output: object) -> None:
    outputs[name] = output


def both(size: object) -> tuple:
    return size if isinstance(size, tuple) else (size, size)


@pytest.mark.parametrize("group", range(10))
def test_tables_equal_the_gradients_of_random_nets(group: int) -> None:
    for seed in range(group * 32, group * 32 + 32):
        draw = Draw(seed)
        model = draw.net().double()
        size = tuple(4 * draw.reach + 3 * draw.jump + draw.randint(8, 16) for _ in "hw")
        images = torch.ones(2, 2, *size, dtype=torch.float64, requires_grad=True)
        table, outputs = receptive_field_table(model, (2, *size)), {}
        for name, module in model.named_modules():
            if not isinstance(module, (nn.Sequential, nn.ModuleList)):
                module.register_forward_hook(functools.partial(keep_output, outputs, name))
        model(images)
        case, names = (
            f"seed {seed}, {size}: {model}\n{table}",
            [re.sub(r"\.[a-z]+$", "", row.name) for row in table],
        )
        assert names == list(outputs), case
        assert [both(row.n_out) for row in table] == [
            tuple(output.shape[2:]) for output in outputs.values()
        ], case
        for number in {len(table) - 1, draw.randrange(len(table))}:
            row, output = table[number], outputs[names[number]]
            place = [side // 2 for side in output.shape[2:]]
            value = sum(
                output[which, :, place[0] + which, place[1] + which].sum() for which in (0, 1)
            )
            here, there = map(seen, torch.autograd.grad(value, images, retain_graph=True)[0])
            for axis, ((first, last), (after, end)) in enumerate(zip(here, there)):
                assert min(first, after) > 0 and max(last, end) < size[axis] - 1, case
                wanted = (
                    last - first + 1,
                    after - first,
                    (first + last + 1) / 2 - place[axis] * (after - first),
                )
                assert (
                    tuple(both(sizes)[axis] for sizes in (row.rf, row.jump, row.start)) == wanted
                ), (row.name, case)


# Name, kind, kernel size, stride, padding, dilation, n in, n out, jump in, jump, rf in, rf, rf_min,
# start, note.
ROWS = {
    "residual": (
        lambda net, x: net.relu(operator.iadd(net.c(F.relu(net.b(y := net.a(x)))), y)).mul_(2),
        dict(a=conv(2, 2), b=conv(3, 1, 1), c=conv(3, 1, 1), relu=nn.ReLU(inplace=True)),
        "a Conv2d 2 2 0 1 16 8 1 2 1 2 2 1 | b Conv2d 3 1 1 1 8 8 2 2 2 6 6 1 | "
        "c Conv2d 3 1 1 1 8 8 2 2 6 10 10 1 | add add – – – – 8 8 2 2 10 10 2 1",
    ),
    "inception": (
        lambda net, x: torch.cat((net.a(x), net.c(net.b(x))), 1),
        dict(a=conv(1, 2), b=conv(1), c=conv(5, 2, 2)),
        "a Conv2d 1 2 0 1 16 8 1 2 1 1 1 0.5 | b Conv2d 1 1 0 1 16 16 1 1 1 1 1 0.5 | "
        "c Conv2d 5 2 2 1 16 8 1 2 1 5 5 0.5 | concat concat – – – – 8 8 2 2 5 5 1 0.5",
    ),
    "dilated": (
        lambda net, x: net.b(net.a(x)),
        dict(
            a=conv(3, 1, 2, dilation=2), b=conv((3, 5), (2, 1), (1, 4), dilation=(1, 2), groups=2)
        ),
        "a Conv2d 3 1 2 2 16 16 1 1 1 5 5 0.5 | "
        "b Conv2d 3×5 2×1 1×4 1×2 16 8×16 1 2×1 5 7×13 7×13 0.5",
    ),
    "not square": (
        lambda net, x: net.b(net.a(x)),
        dict(a=conv((3, 1), (1, 2), (1, 0)), b=conv((1, 4))),
        "a Conv2d 3×1 1×2 1×0 1 16 16×8 1 1×2 1 3×1 3×1 0.5 | "
        "b Conv2d 1×4 1 0 1 16×8 16×5 1×2 1×2 3×1 3×7 3×7 0.5×3.5",
    ),
    "slice": (
        lambda _, x: x[:, :, 1::2, 3:12:4],
        {},
        "slice slice 1 2×4 -1×-3 1 16 8×3 1 2×4 1 1 1 1.5×3.5",
    ),
    "channels": (
        lambda net, x: net.a(F.pad(x[:, :1, None][:, :, 0], (0, 0, 0, 0, 1, 0))),
        dict(a=conv(3)),
        "a Conv2d 3 1 0 1 16 14 1 1 1 3 3 1.5",
    ),
    "pad": (
        lambda _, x: F.max_pool2d(F.relu(F.pad(x, (1, 2, 3, 3))), 2),
        {},
        "pad pad 1 1 3×1 1 16 22×19 1 1 1 1 1 -2.5×-0.5 behind: (3, 2) | "
        "max_pool2d max_pool2d 2 2 0 1 22×19 11×9 1 2 1 2 2 -2×0",
    ),
    "flatten": (
        lambda net, x: net.line(torch.flatten(net.conv(x), 1)),
        dict(conv=conv(9, 7), line=nn.Linear(8, 5)),
        "conv Conv2d 9 7 0 1 16 2 1 7 1 9 9 4.5 | "
        "line Linear – – – – 2 1 7 7 9 9 9 4.5 mixes 2×2 positions, together 16×16",
    ),
    "mean": (
        lambda net, x: net.line(net.conv(x).mean((2, 3))),
        dict(conv=conv(5, 2, 2), line=nn.Linear(2, 5)),
        "conv Conv2d 5 2 2 1 16 8 1 2 1 5 5 0.5 | mean mean 8 8 0 1 8 1 2 16 5 19 19 7.5 | "
        "line Linear – – – – 1 1 16 16 19 19 19 7.5",
    ),
    "same": (
        lambda net, x: net.a(x),
        dict(a=conv((4, 2), padding="same")),
        "a Conv2d 4×2 1 1×0 1 16 16 1 1 1 4×2 4×2 1",
    ),
    "ceil": (
        lambda net, x: net.a(net.p(x)[0]),
        dict(p=nn.MaxPool2d(3, 2, 0, 1, True, True), a=conv(3)),
        "p MaxPool2d 3 2 0 1 16 8 1 2 1 3 3 1.5 | a Conv2d 3 1 0 1 8 6 2 2 3 7 7 3.5",
    ),
    "adaptive": (
        lambda net, x: net.p(x),
        dict(p=nn.AdaptiveMaxPool2d((4, 6))),
        "p AdaptiveMaxPool2d 4 4×2.66667 0 1 16 4×6 1 4×2.66667 1 4 4 2 "
        "uneven windows, the largest is shown",
    ),
    "norms": (
        lambda net, x: net.group(net.a(net.batch(net.drop(F.gelu(x))))) / 2 + 1,
        dict(drop=nn.Dropout2d(0.5), batch=nn.BatchNorm2d(2), a=conv(3), group=nn.GroupNorm(1, 2)),
        "a Conv2d 3 1 0 1 16 14 1 1 1 3 3 1.5 | "
        "group GroupNorm – – – – 14 14 1 1 3 3 3 1.5 statistics of the whole image left out",
    ),
    "used twice": (
        lambda net, x: net.a(F.relu(net.a(x))),
        dict(a=conv(3, 2, 1)),
        "a Conv2d 3 2 1 1 16 8 1 2 1 3 3 0.5 | a (2) Conv2d 3 2 1 1 8 4 2 4 3 7 7 0.5",
    ),
    "reflecting": (
        lambda net, x: net.a(x),
        dict(a=conv(3, 1, 1, padding_mode="reflect")),
        "a.pad pad 1 1 1 1 16 18 1 1 1 1 1 -0.5 | a Conv2d 3 1 0 1 18 16 1 1 1 3 3 0.5",
    ),
    "jumps": (
        lambda net, x: net.a(x) + x[..., :8, :8],
        dict(a=conv(2, 2)),
        "a Conv2d 2 2 0 1 16 8 1 2 1 2 2 1 | slice slice 1 1 0 1 16 8 1 1 1 1 1 0.5 | "
        "add add – – – – 8 8 2 2 9 9 1 1 paths of different jumps; paths of different centres",
    ),
    "centres": (
        lambda net, x: torch.cat((net.a(x), x[..., 4:, 4:]), 1),
        dict(a=conv(5)),
        "a Conv2d 5 1 0 1 16 12 1 1 1 5 5 2.5 | slice slice 1 1 -4 1 16 12 1 1 1 1 1 4.5 | "
        "concat concat – – – – 12 12 1 1 5 5 1 2.5 paths of different centres",
    ),
    "gate": (
        lambda net, x: net.b(
            (y := net.a(x)) * torch.sigmoid(net.c(y.mean(dim=(-1, -2), keepdim=True)))
        ),
        dict(a=conv(3, 1, 1), c=conv(1), b=conv(3, 1, 1)),
        "a Conv2d 3 1 1 1 16 16 1 1 1 3 3 0.5 | mean mean 16 16 0 1 16 1 1 16 3 18 18 8 | "
        "c Conv2d 1 1 0 1 1 1 16 16 18 18 18 8 | "
        "mul mul – – – – 16 16 1 1 3 3 3 0.5 gate left out: c | "
        "b Conv2d 3 1 1 1 16 16 1 1 3 5 5 0.5",
    ),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", ROWS)
def test_rows_equal_those_made_by_hand(name: str) -> None:
    function, modules, wanted = ROWS[name]
    table = receptive_field_table(Net(function, **modules), (2, 16, 16))
    assert [" ".join(line.split()) for line in str(table).splitlines()[1:]] == wanted.split(" | ")


def test_document_003s_table_comes_out_cell_by_cell() -> None:
    table = receptive_field_table(compact_net(), (1, 28, 28))
    head, rule, *lines = [line.strip("| ").split(" | ") for line in table.markdown().splitlines()]
    assert head[0] == "Layer" and " ".join(head[1:]) == (
        "receptive-field_in n_in j_in stride padding kernel_size receptive-field_out n_out j_out"
    )
    assert rule == ["---", *["---:"] * 9] and [line[1:] for line in lines] == [
        row.split() for row in DOCUMENT_003.split(",")
    ]
    kinds = ["Conv2d", "Conv2d", "MaxPool2d", *["Conv2d"] * 6, "AvgPool2d", "Conv2d"]
    assert [line[0].split()[0] for line in lines] == [row.kind for row in table] == kinds
    page = re.sub(" style=[^>]*", "", table._repr_html_())
    assert repr(table) == str(table) and "<td>Conv2d</td><td>3</td>" in page
    assert {
        type(size) for row in table for size in (row.rf, row.jump, row.n_out, row.kernel_size)
    } == {int}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_nets_have_their_known_fields_in_time(name: str) -> None:
    given = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model, side = (
        getattr(torchvision.models, name)(weights=None, **given),
        299 if name == "inception_v3" else 224,
    )
    start = time.perf_counter()
    table = receptive_field_table(model, (3, side, side))
    assert time.perf_counter() - start < 3
    last = table[
        [row.kind.lower().replace("_", "") for row in table].index("adaptiveavgpool2d") - 1
    ]
    assert (last.rf, last.jump) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("words", "function", "modules"),
    [
        ("conv_transpose2d", lambda net, x: net.up(x), dict(up=nn.ConvTranspose2d(2, 2, 2))),
        (
            "multi_head_attention_forward",
            lambda net, x: net.attend(*[x.mean((2, 3))] * 3),
            dict(attend=nn.MultiheadAttention(2, 1)),
        ),
        ("interpolate", lambda net, x: net.up(x), dict(up=nn.Upsample(scale_factor=2))),
        ("permute", lambda _, x: x.permute(0, 2, 3, 1), {}),
        ("attribute mT", lambda _, x: x.mT, {}),
        ("bool", lambda _, x: x if x.sum() > 0 else -x, {}),
        ("bool", lambda _, x: x if x[:, :1] else -x, {}),
        ("item", lambda _, x: x * x.mean((1, 2, 3)).item(), {}),
        ("setitem", lambda _, x: operator.setitem(x, 0, 0), {}),
        ("matmul", lambda _, x: x @ x, {}),
        ("circular", lambda net, x: net.a(x), dict(a=conv(3, 1, 1, padding_mode="circular"))),
        ("linear layer over the columns", lambda net, x: net.line(x), dict(line=nn.Linear(16, 4))),
        ("an index that is no slice", lambda _, x: x[:, :, 3], {}),
        ("add of sizes", lambda _, x: x + x[:, :, :1], {}),
        (
            "add in place, into a part",
            lambda net, x: (y := net.a(x))[:, :1].add_(net.b(y)[:, :1]) + y,
            dict(a=conv(3, 1, 1), b=conv(5, 1, 2)),
        ),
        ("add in place, into a part", lambda _, x: torch.zeros(1, 3, 16, 16)[:, :2].add_(x), {}),
        (
            "conv2d after uneven adaptive",
            lambda net, x: net.a(F.adaptive_avg_pool2d(x, 6)),
            dict(a=conv(3)),
        ),
        ("clamp with a limit", lambda net, x: torch.clamp(x, max=net.a(x)), dict(a=conv(3, 1, 1))),
        ("pow with a limit", lambda net, x: x ** net.a(x), dict(a=conv(3, 1, 1))),
        ("conv2d with weights", lambda _, x: F.conv2d(x, x[:, :, :3, :3]), {}),
        ("sub of sizes", lambda _, x: x - x[:, :, :1, :1], {}),
        ("split over rows", lambda _, x: x.split(8, 2)[0], {}),
        ("mul of sizes", lambda _, x: x * x.mean(3, keepdim=True), {}),
        ("softmax over rows", lambda _, x: F.softmax(x, -1), {}),
        ("cat to (1, 2, 20, 16)", lambda _, x: torch.cat((x, torch.zeros(1, 2, 4, 16)), 2), {}),
    ],
)
def test_what_is_not_understood_is_named_in_one_line(
    words: str, function: Callable, modules: dict
) -> None:
    with pytest.raises(CourseError, match=r"\Areceptive field: .* \(in 1.*\Z") as error:
        receptive_field_table(nn.Sequential(conv(1), Net(function, **modules)), (2, 16, 16))
    assert words in str(error.value)


@pytest.mark.parametrize("function", [receptive_field_table, effective_receptive_field])
@pytest.mark.parametrize(
    "shape",
    [
        (28, 28),
        (1, -1, 28),
        (1, 28.0, 28),
        (1, 0, 28),
        (1, 1, 28, 28),
        28,
        "wide",
        (3, 28, 28),
        (1, 2, 28),
        (1, 8, 8),
    ],
)
def test_a_shape_that_does_not_fit_is_an_error_of_one_line(
    function: Callable, shape: object
) -> None:
    with pytest.raises(
        CourseError, match=r"\A(input_shape is|the net does not run on images of) .*\Z"
    ) as error:
        function(compact_net(), shape)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(
    "norm, measured",
    [
        (nn.BatchNorm2d(2), False),
        (nn.BatchNorm2d(2, track_running_stats=False), True),
        (nn.GroupNorm(1, 2), True),
        (nn.InstanceNorm2d(2), True),
        (nn.InstanceNorm2d(2, track_running_stats=True), False),
    ],
)
def test_a_normalisation_that_looks_at_the_whole_image_is_named(
    norm: nn.Module, measured: bool
) -> None:
    rows = receptive_field_table(nn.Sequential(conv(3), norm, conv(3)), (2, 16, 16))
    assert [row.rf for row in rows if row.kind == "Conv2d"] == [3, 5]
    assert [row.note for row in rows if row.name == "1"] == [
        "statistics of the whole image left out"
    ] * measured


def test_channels_may_be_split_and_reduced_and_gates_may_stand_on_maps_with_dropped_edges() -> None:
    def function(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        first, second = net.a(x).chunk(2, 1)
        return first * second.mean((2, 3), keepdims=True) + net.b(x)[:, :1].max(1, keepdim=True)[0]

    rows = {
        row.kind: row
        for row in receptive_field_table(Net(function, a=conv(3, 2), b=conv(5, 2, 1)), (2, 16, 16))
    }
    assert rows["mul"].note == "gate left out: mean" and rows["mul"].rf == 3
    assert (rows["add"].rf, rows["add"].rf_min) == (5, 3)


@pytest.mark.parametrize("function", [receptive_field_table, effective_receptive_field])
@pytest.mark.parametrize(
    "words, model",
    [
        (r"Conv2d is a class, and no net: give an object, such as Conv2d\(\)", nn.Conv2d),
        (r"give a net, such as first_net\(\), not something of type function", conv),
        ("give a net, .* not the class int", int),
        ("lazy layers", nn.Sequential(nn.LazyConv2d(2, 3))),
        ("KeyError: 'a'", Net(lambda net, x: {}["a"])),
        ("no attribute 'b'", Net(lambda net, x: net.b(x))),
    ],
)
def test_what_cannot_be_run_is_an_error_of_one_line(
    function: Callable, words: str, model: object
) -> None:
    with pytest.raises(CourseError, match=rf"\A.*({words}).*\Z"):
        function(model, (2, 8, 8))


def test_hooks_of_others_and_the_random_state_are_left_alone() -> None:
    model, met = nn.Sequential(conv(3), Net(lambda _, x: F.dropout(x))), []
    handle, state = model.register_forward_hook(lambda *_: met.append(1)), torch.get_rng_state()
    receptive_field_table(model, (2, 8, 8)), effective_receptive_field(model, (2, 8, 8))
    assert not met and torch.equal(torch.get_rng_state(), state) and len(model._forward_hooks) == 1
    handle.remove()


def test_a_net_without_a_window_is_an_error() -> None:
    with pytest.raises(CourseError, match=r"\Athe net has no convolution.*\Z"):
        receptive_field_table(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU()), (1, 8, 8))


def state(model: nn.Module) -> tuple:
    return (
        torch.get_rng_state().tolist(),
        *[repr(vars(module)) for module in model.modules()],
        [
            (
                id(value),
                value.dtype,
                value.device,
                value.tolist(),
                value.grad is not None and value.grad.tolist(),
            )
            for value in (*model.parameters(), *model.buffers())
        ],
    )


@pytest.mark.parametrize("function", [receptive_field_table, effective_receptive_field])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_the_net_is_only_read_in_any_precision(function: Callable, dtype: torch.dtype) -> None:
    model = compact_net(dropout=0.5)
    model(torch.rand(4, 1, 28, 28)).sum().backward()
    model.to(dtype)[1].eval()
    model[0].weight.requires_grad_(False)
    before, shape = state(model), torch.Size((1, 28, 28))
    found = function(model, shape)
    assert state(model) == before
    assert function is effective_receptive_field or found == function(
        compact_net().to("meta"), [1, 28, 28]
    )


@pytest.mark.parametrize(
    ("model", "given", "box"),
    [
        (nn.Sequential(conv((3, 5), (1, 2)), conv(2, 3)), {}, (15, 12, 18, 18)),
        (
            nn.Sequential(conv((3, 5), (1, 2)), conv(2, 3)),
            {"layer": "0", "position": (3, 10)},
            (3, 20, 5, 24),
        ),
        (
            Net(lambda net, x: net.a(x).add_(net.b(x)), a=conv(1), b=conv(5, 1, 2)),
            {"layer": "a"},
            (16, 16, 16, 16),
        ),
        (nn.Sequential(nn.ReLU(inplace=True), conv(3)), {}, (15, 15, 17, 17)),
        (
            nn.Sequential(conv(3), nn.Flatten(), nn.Linear(1800, 5), nn.Linear(5, 3)),
            {},
            (0, 0, 31, 31),
        ),
        (
            nn.Sequential(conv(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)),
            {},
            (0, 0, 31, 31),
        ),
        (Net(lambda net, x: (net.a(x), x), a=conv(3)), {"layer": "a"}, (15, 15, 17, 17)),
        (
            Net(lambda net, x: net.a(x) + x[..., :16, :16], a=conv(2, 2)),
            {"position": (1, 15)},
            (1, 15, 3, 31),
        ),
    ],
)
def test_a_linear_nets_measured_field_is_its_box(
    model: nn.Module, given: dict, box: tuple[int, ...]
) -> None:
    images = 0.5 + torch.rand(2, 2, 32, 32)
    before = images.clone()
    field = effective_receptive_field(positive(model), (2, 32, 32), images, threshold=0, **given)
    assert (
        field.map.shape == (32, 32)
        and field.seen == field.box == box
        and torch.equal(images, before)
    )
    assert field.extent == (box[2] - box[0] + 1, box[3] - box[1] + 1) and field.layer == given.get(
        "layer", ""
    )


def test_the_map_is_the_mean_over_images_equal_for_equal_seeds_and_cut_at_the_threshold() -> None:
    model, images = (
        nn.Sequential(conv(3), nn.Tanh(), conv(3)),
        torch.randn(3, 2, 9, 9, requires_grad=True),
    )
    gradients = torch.autograd.grad(model(images)[:, :, 2, 2].sum(), images)[0]
    maps = [
        effective_receptive_field(model, (2, 9, 9), images[:count].detach()).map for count in (1, 3)
    ]
    assert torch.allclose(maps[0], gradients[0].abs().sum(0))
    assert torch.allclose(maps[1], gradients.abs().sum(1).mean(0))
    maps = [
        effective_receptive_field(model, (2, 9, 9), samples=2, seed=seed).map for seed in (1, 1, 2)
    ]
    assert torch.equal(maps[0], maps[1]) and not torch.equal(maps[0], maps[2])
    model = conv((1, 3))
    model.weight.data.copy_(torch.tensor([0.04, 1, 0.05]).expand(2, 2, 1, 3))
    fields = [
        effective_receptive_field(model, (2, 5, 5), **given) for given in ({}, {"threshold": 0})
    ]
    assert [field.extent for field in fields] == [(1, 2), (1, 3)]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (
            "position (6, 0) is outside the 6×6 positions (row, column) of conv",
            {"layer": "conv", "position": (6, 0)},
        ),
        (
            "position (0, -1) is outside the 8×8 positions (row, column) of tail",
            {"layer": "tail", "position": (0, -1)},
        ),
        ("unknown layer 'comv'; choose one of: conv", {"layer": "comv"}),
        ("spare gives a NoneType", {"layer": "spare"}),
        ("the net gives a dict, and one tensor", {}),
        ("pair gives a tuple, and one tensor", {"layer": "pair"}),
        ("images are [N, 2, 8, 8], not [1, 2, 9, 8]", {"images": torch.ones(1, 2, 9, 8)}),
        ("images are [N, 2, 8, 8], not [0, 2, 8, 8]", {"images": torch.ones(0, 2, 8, 8)}),
        ("samples=0: give a whole number of images to draw, at least 1", {"samples": 0}),
        ("samples=-3: give a whole number of images to draw, at least 1", {"samples": -3}),
    ],
)
def test_what_does_not_fit_the_measured_field_is_an_error(words: str, given: dict) -> None:
    model = Net(
        lambda net, x: {"maps": net.conv(net.tail(net.pair(x)[0]))},
        conv=conv(3),
        spare=conv(3),
        tail=conv(1),
        pair=Net(lambda _, x: (x, x)),
    )
    with pytest.raises(CourseError, match=rf"\A{re.escape(words)}.*\Z"):
        effective_receptive_field(model, (2, 8, 8), **given)
