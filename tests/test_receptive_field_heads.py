"""Receptive fields behind the image: heads, several scales, flips, softmax, and what nets keep."""

from __future__ import annotations

import re
from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import settings
from hypothesis import strategies as st
from test_receptive_field import Draw, Net, conv, positive, seen
from torch import nn
from torch.nn.utils import prune

from helpers.environment import CourseError
from helpers.models.resnet9 import ResNet9
from helpers.receptive_field.measured import effective_receptive_field
from helpers.receptive_field.table import Row, receptive_field_table, recurrence


def row_box(row: Row) -> tuple[float, ...]:
    """First row, first column, last row, last column of what a row's first position sees."""
    ends = []
    for start, rf in zip(np.broadcast_to(row.start, 2), np.broadcast_to(row.rf, 2)):
        ends.append((start - rf / 2, start + rf / 2 - 1))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def gradient_box(model: nn.Module, images: torch.Tensor) -> tuple[int, ...]:
    """The same of all that the pixels of an image move, by the gradient of the sum of outputs."""
    images = images.clone().requires_grad_()
    gradient = torch.autograd.grad(model(images).sum(), images)[0]
    (top, bottom), (left, right) = seen(gradient[0])
    return top, left, bottom, right


class DrawHead(Draw):
    """Random windows without padding, under random heads, of one scale or of several."""

    def body(self, channels: int = 2) -> list[nn.Module]:
        self.channels, modules = channels, []
        for _ in range(self.randint(0, 3)):
            kernel, stride = self.sizes(1, 2, 3, 4), self.sizes(1, 2, 3)
            if self.jump * max(stride) > 9:
                stride = (1, 1)
            self.jump *= max(stride)
            modules.append(nn.Conv2d(self.channels, 2, kernel, stride, bias=False))
            if self.random() < 0.3:
                modules += self.flip()
        return modules or [nn.Conv2d(channels, 2, 2, bias=False)]

    def head(self) -> tuple[list[nn.Module], bool]:
        """Modules that give [N, K], and whether the last row repeats what one position sees."""
        count = self.choice([(3, 5), (6, 7), (4, 4)])
        if self.random() < 0.25:
            return [nn.Flatten(), nn.LazyLinear(3, bias=False)], True
        if self.random() < 0.3:
            pool = nn.AdaptiveAvgPool2d(count)
            return [pool, nn.Flatten(), nn.LazyLinear(3, bias=False)], True
        means = [
            lambda _, x: x.flatten(2).mean(-1),
            lambda _, x: x.view(x.shape[0], x.shape[1], -1).mean(2),
            lambda _, x: x.view(x.size(0), x.size(1), -1).sum(dim=2, keepdim=True).squeeze(2),
            lambda _, x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1),
            lambda _, x: x.mean(-1).mean(-1),
            lambda _, x: x.sum(2, keepdim=True).mean(3).flatten(1),
            lambda _, x: F.avg_pool2d(x, x.shape[2:]).flatten(1),
            lambda _, x: F.adaptive_avg_pool2d(x, count).mean((-2, -1)),
            lambda _, x: torch.stack([x, x]).sum(0).unflatten(1, (1, -1)).flatten(3).mean(3)[:, 0],
        ]
        return [Net(self.choice(means)), nn.LazyLinear(3, bias=False)], False

    def model(self) -> tuple[nn.Module, bool]:
        self.jump = 1
        if self.random() < 0.4:
            head, repeats = self.head()
            return nn.Sequential(*self.body(), *head), repeats
        stem, scales, jump = self.body(), [], self.jump
        for _ in range(self.randint(2, 3)):
            self.jump = jump
            head, _ = self.head()
            scales.append(nn.Sequential(*self.body(), *head[: self.choice([-1, None])]))
        net = Net(
            lambda net, x: net.line(torch.cat([scale(net.stem(x)) for scale in net.scales], 1)),
            stem=nn.Sequential(*stem),
            scales=nn.ModuleList(scales),
            line=nn.LazyLinear(3, bias=False),
        )
        return net, True


@pytest.mark.parametrize("group", range(8))
def test_boxes_behind_random_heads_equal_the_gradients(group: int) -> None:
    for seed in range(group * 20, group * 20 + 20):
        draw = DrawHead(seed)
        model, repeats = draw.model()
        size = draw.randint(70, 80), draw.randint(70, 80)
        images = torch.ones(1, 2, *size, dtype=torch.float64)
        model.double()(images)
        wanted = gradient_box(positive(model), images)
        case = f"seed {seed}, {size}: {model}"

        field = effective_receptive_field(model, (2, *size), images.float(), threshold=0)
        assert field.box == field.seen == wanted, case
        row = receptive_field_table(model, (2, *size))[-1]
        together = f"together {wanted[2] - wanted[0] + 1}×{wanted[3] - wanted[1] + 1}"
        if "mixes" in row.note:
            assert repeats and row.note.endswith(together), (row, case)
        else:
            assert row_box(row) == wanted, (row, case)


def two_scales(first: str, second: str) -> nn.Module:
    return Net(
        lambda net, x: net.line(
            torch.cat((getattr(net, first)(x).flatten(1), getattr(net, second)(x).flatten(1)), 1)
        ),
        fine=conv(4, 4),
        coarse=conv(6, 9),
        line=nn.Linear(98 + 18, 3),
    )


@pytest.mark.parametrize("order", [("fine", "coarse"), ("coarse", "fine")])
def test_two_flattened_scales_are_seen_together_in_any_order(order: tuple[str, str]) -> None:
    model = two_scales(*order)
    *_, joined, line = receptive_field_table(model, (2, 28, 28))
    assert (joined.name, joined.n_out, line.n_in) == ("concat", 1, 1)
    assert line.rf == joined.rf == 28 and line.start == 14 and line.rf_min == 4
    field = effective_receptive_field(positive(model), (2, 28, 28), threshold=0)
    assert field.box == field.seen == row_box(line) == (0, 0, 27, 27)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.one(net.a(x).flatten(1)) + net.two(net.b(x).flatten(1)),
        lambda net, x: torch.stack([net.one(net.a(x).flatten(1)), net.two(net.b(x).flatten(1))]),
        lambda net, x: torch.cat([net.a(x)[..., :1, :1].flatten(1), net.b(x).flatten(1)], 1),
    ],
)
def test_sums_and_stacks_of_flattened_scales_are_unions(function: Callable) -> None:
    model = Net(
        function,
        a=conv(3, 9, 0),
        b=conv(5, 20),
        one=nn.Linear(2 * 9, 4),
        two=nn.Linear(2 * 4, 4),
    )
    row = receptive_field_table(model, (2, 28, 28))[-1]
    wanted = gradient_box(positive(model), torch.ones(1, 2, 28, 28))
    assert row_box(row) == wanted == (0, 0, 24, 24)


def test_uneven_adaptive_pooling_is_told_in_whole_pixels() -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(72, 3))
    pool, line = receptive_field_table(model, (2, 16, 16))
    assert (pool.rf, line.rf, line.start) == (4, 16, 8)
    assert line.note == "mixes 6×6 positions, together 16×16"
    assert gradient_box(positive(model), torch.ones(1, 2, 16, 16)) == (0, 0, 15, 15)

    # Each single window too: number 1 of 6 over 16 positions has the pixels 2 to 5.
    for position, box in (((0, 0), (0, 0, 2, 2)), ((1, 5), (2, 13, 5, 15))):
        field = effective_receptive_field(model, (2, 16, 16), layer="0", position=position)
        assert field.box == field.seen == box


def test_vgg_11_on_small_images_sees_150_pixels() -> None:
    model = torchvision.models.vgg11(weights=None, init_weights=False)
    rows = receptive_field_table(model, (3, 32, 32))
    lines = [row for row in rows if row.kind == "Linear"]
    assert lines[0].note == "mixes 7×7 positions, together 150×150"
    assert [line.rf for line in lines] == [150] * 3
    # 150 pixels are more than the image: a gradient confirms them on a larger one, with the same
    # layers of four channels, and means in place of maxima, which leave out pixels.
    widths = [4, "M", 4, "M", 4, 4, "M", 4, 4, "M", 4, 4]
    body = positive(torchvision.models.vgg.make_layers(widths).double())
    layers = [nn.AvgPool2d(2) if isinstance(each, nn.MaxPool2d) else each for each in body]
    images = torch.ones(1, 3, 320, 320, dtype=torch.float64, requires_grad=True)
    pooled = nn.Sequential(*layers, nn.AvgPool2d(2))(images)
    gradient = torch.autograd.grad(pooled[:, :, 5, 5].sum(), images)[0]
    assert [last - first + 1 for first, last in seen(gradient[0])] == [150, 150]


def test_a_net_that_looks_at_the_mirror_image_too_is_understood() -> None:
    plain = receptive_field_table(ResNet9(width=4), (3, 32, 32))
    table = receptive_field_table(ResNet9(width=4, mirror=True), (3, 32, 32))
    assert [row.rf for row in table] == [row.rf for row in plain] + [1] + [row.rf for row in plain]
    flip = table[len(plain)]
    assert (flip.name, flip.jump, flip.start) == ("flip", (1, -1), (0.5, 31.5))

    # A layer that is used twice is measured in its last use: behind the flip.
    fields = []
    for mirror in (False, True):
        model = ResNet9(width=4, mirror=mirror)
        fields.append(
            effective_receptive_field(model, (3, 32, 32), layer="layer1.0", position=(3, 2))
        )
    top, left, bottom, right = fields[0].box
    field = fields[1]
    assert field.box == (top, 31 - right, bottom, 31 - left)
    assert field.seen[0] >= top and field.seen[3] <= 31 - left


@pytest.mark.parametrize(
    ("flip", "jump"),
    [
        (lambda x: x.flip(-1), (1, -1)),
        (lambda x: x.flip(2, 3), -1),
        (lambda x: torch.flip(x, [-2]), (-1, 1)),
        (lambda x: torch.flip(x, dims=(0, 3)), (1, -1)),
        (lambda x: torch.flip(torch.flip(x, (2,)), (2,)), 1),
    ],
)
def test_flips_of_rows_and_columns_turn_the_jump(flip: Callable, jump: object) -> None:
    model = Net(lambda net, x: net.b(flip(net.a(x))), a=conv(3, 2), b=conv((2, 3), 1, 1))
    row = receptive_field_table(model, (2, 33, 33))[-1]
    assert row.jump == (tuple(2 * each for each in jump) if isinstance(jump, tuple) else 2 * jump)
    for position in ((3, 4), (9, 11)):
        field = effective_receptive_field(
            positive(model), (2, 33, 33), torch.ones(1, 2, 33, 33), position=position, threshold=0
        )
        assert field.box == field.seen


@pytest.mark.parametrize(
    "flip",
    [lambda x: x.flip(1), torch.fliplr, torch.flipud, lambda x: x.flip((0, 1))],
)
def test_flips_of_channels_and_of_the_batch_are_pointwise(flip: Callable) -> None:
    model = Net(lambda net, x: net.a(flip(x)), a=conv(3))
    assert [row.kind for row in receptive_field_table(model, (2, 9, 9))] == ["Conv2d"]


def test_an_image_and_its_mirror_image_together_are_seen_as_a_union() -> None:
    model = Net(lambda net, x: net.a(x) + net.a(x.flip(3)), a=conv(3, 1, 1))
    row = receptive_field_table(model, (2, 16, 16))[-1]
    assert row.rf == (3, 18) and row.note == "paths of different jumps; paths of different centres"
    field = effective_receptive_field(
        positive(model), (2, 16, 16), torch.ones(1, 2, 16, 16), position=(8, 3), threshold=0
    )
    assert field.box == field.seen == (7, 2, 9, 13)


ENDS = {
    "module": lambda net, x: nn.Softmax(1)(x),
    "log module": lambda net, x: nn.LogSoftmax(1)(x),
    "minimum": lambda net, x: nn.Softmin(dim=1)(x),
    "functional": lambda net, x: F.softmax(x, 1),
    "log functional": lambda net, x: F.log_softmax(x.view(-1, 5), dim=-1),
    "method": lambda net, x: x.softmax(-1).clamp(min=1e-7).log(),
    "special": lambda net, x: torch.special.log_softmax(x, 1),
    "reshaped": lambda net, x: x[:, :, None, None].softmax(1).squeeze(-1).flatten(1),
    "twice": lambda net, x: F.log_softmax(F.softmax(x, 1), 1),
    "in place": lambda net, x: F.softmax(x, 1).log_(),
    "scaled": lambda net, x: 1 - 100 * F.softmax(x, 1),
    "NumPy's name": lambda net, x: torch.softmax(x, axis=1),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_ends_in_a_softmax_is_measured_before_it(name: str) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(conv(3), nn.Tanh(), conv(3, 5), nn.Flatten(), nn.Linear(32, 5))
    wanted = effective_receptive_field(body, (2, 20, 20), samples=3)
    field = effective_receptive_field(
        nn.Sequential(body, Net(ENDS[name])), (2, 20, 20), samples=np.int64(3)
    )
    scale = 100 if name == "scaled" else 1
    assert torch.allclose(field.map, scale * wanted.map, rtol=1e-4)
    assert (field.box, field.seen) == (wanted.box, wanted.seen)


def test_a_softmax_at_each_position_is_measured_before_it_too() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(conv(3), nn.Tanh(), conv(3))
    images = torch.randn(3, 2, 12, 12)
    for end in (nn.Softmax(1), nn.Softmax2d(), nn.LogSoftmax(1)):
        field = effective_receptive_field(nn.Sequential(body, end), (2, 12, 12), images)
        assert torch.allclose(
            field.map, effective_receptive_field(body, (2, 12, 12), images).map, rtol=1e-5
        )
        assert field.position == (4, 4)
    # Averaged over positions, or over two nets, probabilities still sum to one.
    mean = Net(lambda _, x: x.mean((2, 3)))
    wanted = effective_receptive_field(nn.Sequential(body, mean), (2, 12, 12), images)
    for ending in (
        lambda _, x: F.softmax(x, 1).mean((2, 3)),
        lambda _, x: (F.softmax(x, 1) + torch.softmax(x, dim=1)).mean((2, 3)) / 2,
        lambda _, x: torch.stack([F.softmax(x, 1)] * 2).mean(0).mean((-1, -2)),
        lambda _, x: x.softmax(axis=1).mean(axis=(2, 3)),
    ):
        field = effective_receptive_field(nn.Sequential(body, Net(ending)), (2, 12, 12), images)
        assert torch.allclose(field.map, wanted.map, rtol=1e-5)


def test_a_softmax_inside_a_net_is_left_as_it_is() -> None:
    torch.manual_seed(0)
    model = Net(lambda net, x: net.a(x) * net.b(x).softmax(1), a=conv(3), b=conv(3))
    images = torch.randn(1, 2, 9, 9, requires_grad=True)
    gradient = torch.autograd.grad(model(images)[:, :, 3, 3].sum(), images)[0]
    field = effective_receptive_field(model, (2, 9, 9), images.detach(), position=(3, 3))
    assert torch.allclose(field.map, gradient[0].abs().sum(0))


@pytest.mark.parametrize(
    "end",
    [
        lambda net, x: x.exp() / x.exp().sum(1, keepdim=True),
        lambda net, x: nn.LayerNorm(5)(x),
        lambda net, x: x - x.mean(1, keepdim=True),
    ],
)
def test_outputs_that_sum_to_a_constant_are_refused_with_the_reason(end: Callable) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(conv(3, 5), nn.Flatten(), nn.Linear(72, 5))
    with pytest.raises(CourseError, match=r"\Awhat the net gives sums to a constant, .*\Z"):
        effective_receptive_field(nn.Sequential(body, Net(end)), (2, 30, 30))
    assert effective_receptive_field(nn.Sequential(body, Net(end)), (2, 30, 30), layer="0").seen


ACTIVATIONS = []
for name in nn.modules.activation.__all__:
    if name != "MultiheadAttention":
        ACTIVATIONS.append(name)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_torch_is_understood(name: str) -> None:
    needed = {"Threshold": (0.1, 0.0), "GLU": (1,)}
    if name.startswith(("Softm", "LogSoftm")) and name != "Softmax2d":
        needed[name] = (1,)
    activation = getattr(nn, name)(*needed.get(name, ()))
    model = nn.Sequential(nn.Conv2d(2, 4, 3), activation, nn.LazyConv2d(2, 3))
    model(torch.rand(1, 2, 16, 16))
    rows = receptive_field_table(model, (2, 16, 16))
    assert [(row.name, row.rf) for row in rows] == [("0", 3), ("2", 5)]
    field = effective_receptive_field(model, (2, 16, 16), threshold=0)
    assert field.box == field.seen == (6, 6, 10, 10)


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm([2, 14, 14]), nn.LayerNorm(14), nn.RMSNorm([14, 14])]
)
def test_a_layer_norm_over_the_image_is_named_and_left_out(norm: nn.Module) -> None:
    rows = receptive_field_table(nn.Sequential(conv(3), norm, conv(3)), (2, 16, 16))
    assert [row.rf for row in rows] == [3, 3, 5]
    assert rows[1].note == "statistics of the whole image left out"


def test_a_layer_norm_of_a_flattened_image_has_no_row() -> None:
    model = nn.Sequential(conv(3, 5), nn.Flatten(), nn.LayerNorm(18), nn.Linear(18, 2))
    assert [row.name for row in receptive_field_table(model, (2, 16, 16))] == ["0", "3"]


def test_a_gate_of_linear_layers_is_named_and_left_out() -> None:
    def gate(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = net.conv(x)
        weights = torch.sigmoid(net.line(y.flatten(2).mean(2)))
        return y * weights[:, :, None, None] + y * weights.view(-1, 2, 1, 1)

    model = Net(gate, conv=conv(3), line=nn.Linear(2, 2))
    rows = receptive_field_table(model, (2, 16, 16))
    assert [row.rf for row in rows] == [3, 16, 16, 3, 3, 3]
    assert [row.note for row in rows if row.kind == "mul"] == ["gate left out: line"] * 2


def test_the_larger_of_two_paths_is_their_union() -> None:
    for function in (torch.max, torch.maximum, torch.min):
        model = Net(lambda net, x: function(net.a(x), net.b(x)), a=conv(3), b=conv(5, 1, 1))  # noqa: B023
        row = receptive_field_table(model, (2, 16, 16))[-1]
        assert (row.rf, row.rf_min) == (5, 3)
    model = Net(lambda net, x: torch.max(net.a(x), torch.zeros(1)), a=conv(3))
    assert len(receptive_field_table(model, (2, 16, 16))) == 1


def test_a_flattened_image_made_one_position_again_sees_all_that_was_mixed() -> None:
    model = Net(
        lambda net, x: net.b(net.line(net.a(x).flatten(1)).view(-1, 2, 1, 1)),
        a=conv(9, 14),
        line=nn.Linear(8, 2),
        b=conv(1),
    )
    row = receptive_field_table(model, (2, 28, 28))[-1]
    assert row_box(row) == gradient_box(positive(model), torch.ones(1, 2, 28, 28)) == (0, 0, 22, 22)


@pytest.mark.parametrize(
    ("words", "function"),
    [
        ("softmax over rows", lambda _, x: x.flatten(2).softmax(-1)),
        ("glu over rows", lambda _, x: F.glu(x)),
        ("linear layer", lambda net, x: net.line(x.flatten(2))),
        ("an index of the positions", lambda _, x: x.flatten(2)[:, :, 3]),
        ("an index of the positions", lambda _, x: x.flatten(2)[..., ::2]),
        ("flip of a flattened", lambda _, x: x.flatten(2).flip(2)),
        ("view to (1, 2, 8, 32)", lambda _, x: x.flatten(2).view(1, 2, 8, 32)),
        ("stack over rows", lambda _, x: torch.stack([x] * 16, -1)),
        ("stack over rows", lambda _, x: torch.stack([x.flatten(2)] * 2, 3)),
        ("cat of sizes", lambda _, x: torch.cat([x.flatten(2), x.flatten(2)], 2)),
        ("linear layer", lambda _, x: F.linear(x.mean(3), torch.ones(4, 16))),
        (
            "linear with a second argument",
            lambda _, x: F.linear(x.mean((2, 3)), x.flatten(1)[:, :2]),
        ),
        ("unsqueeze to (1, 512, 1)", lambda _, x: x.flatten(1).unsqueeze(2)),
    ],
)
def test_what_has_no_field_behind_the_image_is_refused(words: str, function: Callable) -> None:
    model = Net(function, line=nn.Linear(256, 4))
    with pytest.raises(CourseError, match=r"\Areceptive field: .*\Z") as error:
        receptive_field_table(nn.Sequential(conv(1), model), (2, 16, 16))
    assert words in str(error.value)


class Keeps(nn.Module):
    """Keeps its features, as a tensor, in a list and in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3)
        self.line = nn.Linear(2, 3)
        self.kept, self.named, self.pair = [], {}, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.features = self.conv(x)
        self.kept.append(self.features)
        self.named["deep"] = {"first": [self.features.mean((2, 3))]}
        self.pair = (self.features, 3)
        return self.line(self.named["deep"]["first"][0])


def test_a_net_that_keeps_its_features_is_copied_and_left_alone() -> None:
    torch.manual_seed(0)
    model, images = Keeps(), torch.randn(2, 2, 9, 9)
    model(images)
    features = model.features
    plain = nn.Sequential(model.conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.line)
    rows = receptive_field_table(model, (2, 9, 9))
    assert [(row.name, row.rf) for row in rows] == [("conv", 3), ("mean", 9), ("line", 9)]
    field = effective_receptive_field(model, (2, 9, 9), images)
    assert torch.allclose(field.map, effective_receptive_field(plain, (2, 9, 9), images).map)
    assert model.features is features and len(model.kept) == 1 and features.requires_grad


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
)
@pytest.mark.parametrize("trained", [False, True])
def test_weights_that_a_hook_makes_are_made_in_the_copy_too(wrap: Callable, trained: bool) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 2, 9, 9)
    model = nn.Sequential(wrap(conv(3)), nn.Tanh(), conv(3))
    if trained:  # the weight that is kept is older than what it is made of
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        model(images).square().mean().backward()
        optimizer.step()
    field = effective_receptive_field(model, (2, 9, 9), images)

    # The same by a plain layer with the weight that the hook makes.
    plain = nn.Sequential(conv(3), nn.Tanh(), conv(3))
    model.eval()(images)
    plain[0].weight.data.copy_(model[0].weight)
    plain[2].load_state_dict(model[2].state_dict())
    rows = receptive_field_table(model, (2, 9, 9))
    assert [(row.rf, row.n_out) for row in rows] == [(3, 7), (5, 5)]
    wanted = effective_receptive_field(plain, (2, 9, 9), images)
    assert torch.allclose(field.map, wanted.map) and field.box == wanted.box


@pytest.mark.parametrize("function", [receptive_field_table, effective_receptive_field])
def test_what_cannot_be_copied_is_an_error_of_one_line(function: Callable) -> None:
    endless: list = []
    endless.append(endless)
    for kept in ((number for number in range(3)), endless):
        model = conv(3)
        model.kept = kept
        with pytest.raises(
            CourseError, match=r"\Athe net \w+ cannot be copied .*: build it anew, .*\Z"
        ):
            function(model, (2, 9, 9))


def test_hooks_on_gradients_are_not_called_by_a_measurement() -> None:
    model, called = nn.Sequential(conv(3), conv(3)), []
    model[0].register_full_backward_hook(lambda *given: called.append(given))
    model[1].register_full_backward_pre_hook(lambda *given: called.append(given))
    assert effective_receptive_field(model, (2, 9, 9)).box == (2, 2, 6, 6)
    assert receptive_field_table(model, (2, 9, 9))[-1].rf == 5
    assert not called and len(model[0]._backward_hooks) == 1


def test_numpy_integers_are_whole_numbers_everywhere() -> None:
    model = nn.Sequential(conv(3), conv(3))
    shape = np.array([2, 9, 11])
    for given in (shape, tuple(shape), [np.uint8(2), np.int16(9), 11]):
        assert receptive_field_table(model, given) == receptive_field_table(model, (2, 9, 11))
    field = effective_receptive_field(
        model,
        shape,
        position=(np.int64(1), np.uint8(2)),
        samples=np.int32(3),
        seed=np.int64(7),
    )
    wanted = effective_receptive_field(model, (2, 9, 11), position=(1, 2), samples=3, seed=7)
    assert torch.equal(field.map, wanted.map) and field.box == wanted.box == (1, 2, 5, 6)
    assert field.position == (1, 2) and {type(place) for place in field.position} == {int}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("samples=2.5: give a whole number", {"samples": 2.5}),
        ("samples=True: give a whole number", {"samples": True}),
        ("a seed is a whole number from 0 to 4294967295, not '1'", {"seed": "1"}),
        (f"a seed is a whole number from 0 to 4294967295, not {2**70}", {"seed": 2**70}),
        ("position (1.0, 2) is outside", {"position": (1.0, 2)}),
        ("position (True, 2) is outside", {"position": (True, 2)}),
        ("position (1, 2, 3) is outside", {"position": (1, 2, 3)}),
        ("position 3 is outside", {"position": 3}),
        ("position () is outside", {"position": ()}),
        ("images are [N, 2, 9, 9], not ndarray", {"images": np.ones((1, 2, 9, 9))}),
    ],
)
def test_what_is_no_whole_number_is_an_error_of_one_line(words: str, given: dict) -> None:
    with pytest.raises(CourseError, match=rf"\A{re.escape(words)}.*\Z"):
        effective_receptive_field(conv(3), (2, 9, 9), **given)
    with pytest.raises(CourseError, match=r"\Ainput_shape is .*\Z"):
        receptive_field_table(conv(3), (2, True, 9))


@settings(deadline=None, max_examples=60)
@hypothesis.given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3)),
        min_size=1,
        max_size=5,
    ),
    st.integers(150, 160),
)
def test_the_recurrence_is_the_table_of_a_chain(layers: list, side: int) -> None:
    chain = [nn.Conv2d(2, 2, k, s, p, d, bias=False, device="meta") for k, s, p, d in layers]
    net = nn.Sequential(*chain)
    try:
        wanted = list(recurrence(side, layers))
    except CourseError:
        # A window that does not fit is none for torch either.
        with pytest.raises(CourseError, match="larger than|too small|greater than|output size"):
            receptive_field_table(net, (2, side, side))
        return
    rows = receptive_field_table(net, (2, side, side))
    assert [(row.n_out, row.jump, row.rf, row.start) for row in rows] == wanted


@pytest.mark.parametrize(
    "side, layer, words",
    [
        (4, (7, 1, 0, 1), "a window over 7 positions does not fit into 4"),
        (4, (3, 1, 0, 2), "a window over 5 positions does not fit into 4"),
        (4, (7, 1, 1, 1), "a window over 7 positions does not fit into 6"),
        (4, (3, 0, 0, 1), "a stride is at least 1, not 0"),
    ],
)
def test_a_window_that_does_not_fit_or_move_is_told(side: int, layer: tuple, words: str) -> None:
    with pytest.raises(CourseError, match=words):
        list(recurrence(side, [layer]))
    assert list(recurrence(7, [(7, 1, 0, 1)]))[0][0] == 1


class DrawPaths(DrawHead):
    """Paths that meet: flipped or not, pooled to one size by adaptive windows, even or not."""

    def net(self) -> nn.Module:
        self.jump = 1
        count = self.randint(1, 9), self.randint(1, 9)
        paths = []
        for _ in range(self.randint(1, 3)):
            path = [*self.body(), nn.AdaptiveAvgPool2d(count)]
            if self.random() < 0.4:
                path += self.flip()
            paths.append(nn.Sequential(*path))
        join = self.choice([sum, lambda each: torch.cat(each, 1)])
        return Net(lambda net, x: join([path(x) for path in net.paths]), paths=nn.ModuleList(paths))


@pytest.mark.parametrize("group", range(4))
def test_single_positions_of_paths_that_meet_see_what_gradients_say(group: int) -> None:
    for seed in range(group * 20, group * 20 + 20):
        draw = DrawPaths(seed)
        model = positive(draw.net())
        size = draw.randint(40, 60), draw.randint(40, 60)
        images = torch.ones(1, 2, *size)
        rows, columns = model(images).shape[2:]
        for _ in range(3):
            position = draw.randrange(rows), draw.randrange(columns)
            field = effective_receptive_field(
                model, (2, *size), images, position=position, threshold=0
            )
            assert field.box == field.seen, f"seed {seed}, {size}, {position}: {model}"
