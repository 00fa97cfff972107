"""The net and the recipes of session 08, and images that grow, against counts and means by hand."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from small_experiments import goes_on_with_the_same_numbers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers import augment
from helpers.data import Batches, load
from helpers.data.growing import GrowingBatches, growing_batches, shrunk, size_in
from helpers.environment import CourseError
from helpers.experiments import speed
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, SEARCHES, for_practice
from helpers.experiments.reach import PACKAGE, reached_files
from helpers.experiments.runs import train, training_batches
from helpers.experiments.speed_searches import SEARCHES as SPEED_SEARCHES
from helpers.models import count_parameters
from helpers.models.speed import SpeedNet, WhitenedPatches
from helpers.models.whitening import WhitenedConv, patches_of, whitening_filters
from helpers.training.falling import build as falling

CPU = torch.device("cpu")
SPLIT = load("cifar10", validation=0).train.subset(range(96))
NARROW = {"widths": [4, 8, 6]}
WIDTHS = [(64, 256, 256), (32, 256, 256), (4, 8, 6)]


def named(recipes):
    return pytest.mark.parametrize("recipe", recipes, ids=[recipe.name for recipe in recipes])


def colours(count=6, size=32, seed=0):
    """Smooth images: neighbouring pixels and the three colours go together."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 3, size, size, generator=generator)
    return F.avg_pool2d(noise, 3, stride=1, padding=1) + noise.mean(1, keepdim=True) / 2


def kinds(net, kind):
    return [part for part in net.modules() if isinstance(part, kind)]


# The net.


def layers_of(widths, patch=2):
    """Of each convolution in a group: inputs, outputs."""
    before, found = 6 * patch**2, []
    for width in widths:
        found += [(before, width), (width, width)]
        before = width
    return found


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_its_parameters_are_counted_by_hand(widths, patch):
    kernels = sum(9 * before * after for before, after in layers_of(widths, patch))
    biases = 6 * patch**2 + 2 * sum(widths)
    trained = kernels + biases + 10 * widths[-1]
    whitening = 6 * patch**2 * 3 * patch**2
    scales = 2 * sum(widths)
    net = SpeedNet(widths, patch)
    assert count_parameters(net) == trained
    assert sum(each.numel() for each in net.parameters()) == trained + whitening + scales
    learned = SpeedNet(widths, patch, whitened=False, frozen_scale=False)
    assert count_parameters(learned) == trained + whitening + scales


def test_the_count_and_the_claim_are_those_of_the_docstring():
    assert count_parameters(SpeedNet()) == 1_971_352 < 2e6
    assert "1,971,352" in SpeedNet.__doc__ and "288 weights" in SpeedNet.__doc__
    assert SpeedNet().first[0].weight.numel() == 288


@pytest.mark.parametrize("size, last", [(9, 1), (17, 2), (20, 2), (24, 2), (25, 3), (32, 3)])
def test_images_of_any_size_come_to_ten_logits(size, last):
    net, seen = SpeedNet(**NARROW), []
    net.pool.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    assert net(colours(2, size)).shape == (2, 10)
    assert seen == [(2, 6, last, last)]


@pytest.mark.parametrize("training", [True, False])
def test_its_logits_are_those_of_the_formula(training):
    torch.manual_seed(0)
    net = SpeedNet(**NARROW)
    net(colours(8))  # the first layer's filters are made, the running statistics move
    for layer in kinds(net, nn.BatchNorm2d):
        nn.init.normal_(layer.bias)
    net.train(training)
    kept = {name: values.clone() for name, values in net.state_dict().items()}

    def normed(x, name):
        mean, variance = kept[f"{name}.running_mean"], kept[f"{name}.running_var"]
        if training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        by_channel = [each.view(1, -1, 1, 1) for each in (mean, variance, kept[f"{name}.bias"])]
        return (x - by_channel[0]) / (by_channel[1] + 1e-5).sqrt() + by_channel[2]

    def gelu(x):
        return x * (1 + torch.erf(x / 2**0.5)) / 2

    images = colours(5, seed=3)
    x = gelu(F.conv2d(images, kept["first.0.weight"], kept["first.0.bias"]))
    for group in range(3):
        for part in range(2):
            x = F.conv2d(x, kept[f"groups.{group}.{part}.0.weight"], padding=1)
            if part == 0:
                x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))
            x = gelu(normed(x, f"groups.{group}.{part}.{2 - part}"))
    wanted = x.amax((2, 3)) @ kept["linear.weight"].T / 9
    torch.testing.assert_close(net(images), wanted, atol=1e-5, rtol=1e-4)


def test_convolutions_begin_by_handing_on_as_many_channels_as_they_have():
    torch.manual_seed(0)
    net = SpeedNet((32, 40, 40))  # 24 → 32 → 32 → 40 → 40 → 40 → 40
    inner = kinds(net.groups, nn.Conv2d)
    assert [(layer.in_channels, layer.out_channels) for layer in inner] == layers_of((32, 40, 40))
    for layer in inner:
        x = torch.randn(2, layer.in_channels, 6, 6)
        torch.testing.assert_close(layer(x)[:, : layer.in_channels], x)
        assert all(filters.std() > 0 for filters in layer.weight[layer.in_channels :])
    # Switched off, the same numbers are drawn, and all of them are used.
    torch.manual_seed(0)
    plain = SpeedNet((32, 40, 40), dirac=False)
    for layer, other in zip(inner, kinds(plain.groups, nn.Conv2d)):
        count = layer.in_channels
        assert torch.equal(layer.weight[count:], other.weight[count:])
        assert other.weight[:count].std() > 0 and not torch.equal(layer.weight, other.weight)


def test_a_fixed_scale_gets_no_gradient_and_stays_one():
    net = SpeedNet(**NARROW)
    recipe = replace(speed.SPEED, model_options=NARROW)
    optimizer = recipe.build_optimizer(net)
    for seed in range(2):
        optimizer.zero_grad()
        recipe.loss(net(colours(seed=seed)), torch.arange(6)).backward()
        optimizer.step()
    norms = kinds(net, nn.BatchNorm2d)
    assert len(norms) == 6
    for norm in norms:
        assert norm.weight.grad is None and torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert norm.bias.grad.abs().sum() > 0 and norm.bias.abs().sum() > 0
    held = [id(each) for group in optimizer.param_groups for each in group["params"]]
    assert not {id(norm.weight) for norm in norms} & set(held)
    free = kinds(SpeedNet(**NARROW, frozen_scale=False), nn.BatchNorm2d)
    assert all(norm.weight.requires_grad for norm in free)


def test_running_statistics_move_by_two_fifths():
    net = SpeedNet(**NARROW)
    seen = []
    first = net.groups[0][0][2]
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net(colours())
    mean = seen[0].mean((0, 2, 3))
    torch.testing.assert_close(first.running_mean, 0.4 * mean, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name, kind", [("relu", nn.ReLU), ("gelu", nn.GELU), ("celu", nn.CELU)])
def test_an_activation_is_used_everywhere(name, kind):
    net = SpeedNet(**NARROW, activation=name)
    assert [len(kinds(net, one)) for one in (nn.ReLU, nn.GELU, nn.CELU)].count(0) == 2
    assert len(kinds(net, kind)) == 7
    with pytest.raises(CourseError, match="unknown activation 'silu'.*relu, gelu, celu"):
        SpeedNet(**NARROW, activation="silu")


def test_pooling_comes_right_behind_the_first_convolution_of_a_group():
    wanted = (
        [nn.Conv2d, nn.MaxPool2d, nn.BatchNorm2d, nn.GELU],
        [nn.Conv2d, nn.BatchNorm2d, nn.GELU],
    )
    for group in SpeedNet(**NARROW).groups:
        assert tuple([type(layer) for layer in part] for part in group) == wanted


# Its first layer.


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_first_layer_has_all_patterns_of_the_first_batch_with_both_signs(size):
    images = colours(8, 20)
    layer = WhitenedPatches(3, size, eps=1e-3)
    answers = layer(images)
    count = 3 * size**2
    assert answers.shape == (8, 2 * count, 21 - size, 21 - size)
    filters = whitening_filters(patches_of(images, size), 1e-3).float()
    wanted = patches_of(images, size) @ filters.T
    found = answers.permute(0, 2, 3, 1).reshape(-1, 2 * count)
    torch.testing.assert_close(found[:, :count], wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[:, count:], -wanted, atol=1e-4, rtol=1e-4)


def test_its_answers_to_the_patches_are_not_correlated():
    images = colours(16, 20).double()
    layer = WhitenedPatches(3, 2, eps=0.0).double()
    answers = layer(images)[:, :12].permute(0, 2, 3, 1).reshape(-1, 12)
    centred = answers - answers.mean(0)
    covariance = centred.T @ centred / (len(centred) - 1)
    torch.testing.assert_close(covariance, torch.eye(12).double(), atol=1e-4, rtol=0)


def test_it_is_the_whitened_layer_that_is_there_with_other_patches():
    """What it is made of is written once: when filters are made, and from what."""
    assert issubclass(WhitenedPatches, WhitenedConv)
    own = {name for name in vars(WhitenedPatches) if not name.startswith("__")}
    assert own <= {"make"}
    files = {
        path.relative_to(PACKAGE).as_posix() for path in reached_files(["helpers.models.speed"])
    }
    assert {"models/whitening.py", "models/resnet9.py"} <= files


def test_its_filters_are_made_once_and_are_in_a_state():
    layer = WhitenedPatches(3)
    random = layer.weight.clone()
    layer.eval()(colours())
    assert torch.equal(layer.weight, random) and not layer.weight.requires_grad
    layer.train()(colours())
    made = layer.weight.clone()
    layer(colours(seed=1))
    assert torch.equal(layer.weight, made) and not torch.equal(made, random)
    fresh = WhitenedPatches(3)
    fresh.load_state_dict(layer.state_dict())
    fresh(colours(seed=1))
    assert torch.equal(fresh.weight, made)


def test_mixed_precision_makes_the_same_filters():
    plain, mixed = WhitenedPatches(3), WhitenedPatches(3)
    plain(colours())
    with torch.autocast("cpu", torch.bfloat16):
        mixed(colours())
    assert torch.equal(plain.weight, mixed.weight)


def test_without_whitening_the_first_layer_has_the_same_form_and_is_trained():
    first = SpeedNet(**NARROW, whitened=False).first[0]
    assert type(first) is nn.Conv2d and first.weight.shape == SpeedNet().first[0].weight.shape
    assert first.weight.requires_grad and first(colours()).shape == (6, 24, 31, 31)


# Its arithmetic.


def multiply_adds(widths, size):
    """Those of one image on its way forward, by hand."""
    count = 12 * 24 * (size - 1) ** 2
    side = size - 1
    for number, (before, after) in enumerate(layers_of(widths)):
        count += 9 * before * after * side**2
        if number % 2 == 0:
            side //= 2
    return count + 10 * widths[-1]


def on_the_way_back(widths, size):
    """Twice as many, but the first layer needs neither gradient; its bias needs no product."""
    return 2 * (multiply_adds(widths, size) - 12 * 24 * (size - 1) ** 2)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("size", [20, 32])
def test_its_arithmetic_is_that_of_the_formula(widths, size):
    net, images = SpeedNet(widths), torch.zeros(2, 3, size, size)
    net(images)  # the filters are made once, which is not counted
    with FlopCounterMode(display=False) as counter:
        loss = net(images).sum()
    assert counter.get_total_flops() == 2 * 2 * multiply_adds(widths, size)
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    assert counter.get_total_flops() == 2 * 2 * on_the_way_back(widths, size)


def whole_run(recipe):
    """Floating-point operations of a whole training on 50,000 images, without the optimizer's."""
    widths = recipe.model_options.get("widths", (64, 256, 256))
    sizes = recipe.options.get("sizes", [32])
    total = 0
    for epoch in range(recipe.epochs):
        size = size_in(epoch, sizes, recipe.epochs)
        total += 2 * (multiply_adds(widths, size) + on_the_way_back(widths, size))
    return 50_000 * total


@pytest.mark.parametrize(
    "recipe, petaflop",
    [
        (speed.SPEED, 0.283),
        (speed.CPU, 0.283),
        (speed.GROWING, 0.186),
        (speed.NARROW_FIRST, 0.139),
        (speed.SHORTER, 0.212),
        (speed.LONGER, 0.354),
        (speed.MINUTES, 0.071),
        (speed.LIVE, 0.029),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_whole_run_is_so_much_arithmetic(recipe, petaflop):
    assert whole_run(recipe) / 1e15 == pytest.approx(petaflop, abs=0.0006)


# Rates that fall.


def test_all_rates_fall_on_one_line_from_the_first_step_on():
    net = SpeedNet(**NARROW)
    recipe = replace(speed.SPEED, epochs=3)
    optimizer = recipe.build_optimizer(net)
    highest = [group["lr"] for group in optimizer.param_groups]
    schedule = falling(optimizer, recipe, 5)
    for step in range(15):
        for group, rate in zip(optimizer.param_groups, highest):
            assert group["lr"] == pytest.approx(rate * (15 - step) / 15)
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.0] * len(highest)


def test_the_rates_of_the_groups_are_those_of_the_recipe():
    optimizer = speed.SPEED.build_optimizer(SpeedNet(**NARROW))
    found = []
    for group in optimizer.param_groups:
        found.append((len(group["params"]), group["lr"], group["momentum"], group["muon"]))
    assert found == [
        (1, 1.6, 0.85, False),  # the last layer
        (7, 1.6 * 64, 0.85, False),  # the biases of the first layer and of six normalisations
        (6, 0.24, 0.6, True),  # the kernels
    ]
    # A step of any of these groups shrinks weights by the same share.
    decays = {round(group["lr"] * group["weight_decay"], 9) for group in optimizer.param_groups[:2]}
    assert decays == {0.004}


# Images that grow.


def mean_by_hand(image, size):
    """Each new pixel is the mean of the old ones that it lies over, in whole or in part."""
    channels, height, width = image.shape
    found = torch.zeros(channels, size, size)
    for row in range(size):
        top, bottom = row * height // size, math.ceil((row + 1) * height / size)
        for column in range(size):
            left, right = column * width // size, math.ceil((column + 1) * width / size)
            found[:, row, column] = image[:, top:bottom, left:right].mean((1, 2))
    return found


@pytest.mark.parametrize("side, size", [(32, 16), (32, 24), (32, 21), (31, 13), (9, 7), (15, 1)])
def test_a_smaller_image_has_the_means_of_what_its_pixels_lie_over(side, size):
    images = torch.rand(3, 3, side, side)
    wanted = torch.stack([mean_by_hand(image, size) for image in images])
    torch.testing.assert_close(shrunk(images, size), wanted)
    assert shrunk(images, side) is images


@pytest.mark.parametrize(
    "sizes, epochs, wanted",
    [
        ([20, 24, 28, 32], 8, [20, 20, 24, 24, 28, 28, 32, 32]),
        ([20, 32], 5, [20, 20, 32, 32, 32]),
        ([20, 24, 32], 8, [20, 20, 24, 24, 24, 32, 32, 32]),
        ([20, 24, 28, 32], 2, [24, 32]),
        ([20, 24, 28, 32], 1, [32]),
        ([24], 3, [24, 24, 24]),
    ],
)
def test_sizes_take_turns_and_the_last_epoch_has_the_last(sizes, epochs, wanted):
    assert [size_in(epoch, sizes, epochs) for epoch in range(epochs)] == wanted
    assert size_in(epochs, sizes, epochs) == wanted[-1]


def test_growing_batches_are_the_batches_made_smaller():
    """The same images in the same order, augmented alike: a shift is made at full size."""

    def transform():
        return augment.build(speed.IN_TURN)

    def seeded():
        return torch.Generator().manual_seed(5)

    plain = Batches(SPLIT, 40, transform(), True, CPU, seeded())
    options = {"augment": transform(), "shuffle": True, "device": CPU, "generator": seeded()}
    growing = GrowingBatches(SPLIT, 40, [20, 32], 2, **options)
    assert len(growing) == len(plain) == 3
    for epoch, size in enumerate((20, 32)):
        plain.set_epoch(epoch), growing.set_epoch(epoch)
        for (images, labels), (small, same) in zip(plain, growing, strict=True):
            assert torch.equal(labels, same) and small.shape == (len(labels), 3, size, size)
            torch.testing.assert_close(small, F.interpolate(images, size, mode="area"))


def test_a_recipe_that_grows_names_its_batches_and_their_sizes():
    recipe = replace(speed.GROWING, batch_size=40)
    batches = training_batches(recipe, SPLIT, CPU, torch.Generator())
    assert isinstance(batches, GrowingBatches) and batches.sizes == [20, 24, 28, 32]
    assert batches.batch_size == 40 and batches.shuffle and batches.epochs == 8
    assert batches.augment.wants_indices


@pytest.mark.parametrize(
    "sizes, words",
    [
        ([], r"sizes=\[\]: give a list of sizes, such as \[24, 32\]"),
        ("24", "sizes='24': give a list of sizes"),
        (24, "sizes=24: give a list of sizes"),
        ([24, 33], r"sizes=\[24, 33\]: .* from 1 to 32, which is .*, and not 33"),
        ([0, 32], "and not 0$"),
        ([24.5, 32], "and not 24.5$"),
        ([True, 32], "and not True$"),
    ],
)
def test_sizes_that_cannot_be_are_told_in_one_line(sizes, words):
    recipe = replace(speed.GROWING, options={"sizes": sizes})
    with pytest.raises(CourseError, match=words) as error:
        growing_batches(SPLIT, recipe, CPU, torch.Generator())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("epochs", [0, -2, None, 2.5])
def test_growing_batches_know_how_many_epochs_there_are(epochs):
    with pytest.raises(CourseError, match=f"epochs={epochs!r}: give a whole number of at least 1"):
        GrowingBatches(SPLIT, 40, [20, 32], epochs)


def test_growing_batches_without_sizes_are_told():
    recipe = replace(speed.GROWING, options={})
    with pytest.raises(CourseError, match="sizes=None: give a list of sizes"):
        growing_batches(SPLIT, recipe, CPU, torch.Generator())


# The recipes.


def changes(recipe):
    """The fields, the net's options and the parts' options in which it differs from its parent."""
    mine = recipe.hyperparameters()
    other = EXPERIMENTS[recipe.baseline].hyperparameters()
    found = set()
    for field, word in (("model_options", "net's "), ("options", "")):
        one, two = mine.pop(field), other.pop(field)
        for option in {*one, *two}:
            if one.get(option) != two.get(option):
                found.add(word + option)
    return found | {key for key in mine if mine[key] != other[key]} - {"name"}


MUON = {"optimizer", "muon_rate", "muon_momentum"}
GROWS = {"batches", "sizes"}
ROWS = {
    "no-whitening": {"net's whitened"},
    "no-dirac": {"net's dirac"},
    "relu": {"net's activation"},
    "free-scale": {"net's frozen_scale"},
    "slow-bias": {"bias_factor"},
    "no-muon": MUON,
    "no-alternating": {"augment"},
    "no-shift": {"augment"},
    "no-smoothing": {"label_smoothing"},
    "one-view": {"views"},
    "cpu-float32": {"mixed"},
    "cpu-growing": GROWS,
    "cpu-narrow": {"net's widths"},
    "cpu-longer": {"epochs", "peak_epoch"},
    "cpu-shorter": {"epochs", "peak_epoch"},
    "minutes-no-whitening": {"net's whitened"},
    "minutes-no-dirac": {"net's dirac"},
    "minutes-no-muon": MUON,
    "minutes-relu": {"net's activation"},
    "minutes-growing": GROWS,
    "minutes-narrow": {"net's widths"},
}


@pytest.mark.parametrize("name, changed", ROWS.items())
def test_a_row_switches_off_what_it_is_named_after(name, changed):
    assert changes(EXPERIMENTS[f"speed-{name}"]) - {"peak_epoch"} == changed - {"peak_epoch"}


def test_the_loss_asks_for_82_percent_of_the_label():
    logits, labels = torch.randn(6, 10), torch.arange(6)
    asked = torch.full((6, 10), 0.02)
    asked[labels, labels] = 0.82
    by_hand = -(asked * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(speed.SPEED.loss(logits, labels), by_hand)


def test_every_recipe_is_a_row_or_the_beginning_of_a_table():
    beginnings = {"speed", "speed-cpu", "speed-minutes", "speed-live"}
    names = [recipe.name for recipe in speed.RECIPES]
    assert len(set(names)) == len(names)
    assert set(names) == beginnings | {f"speed-{name}" for name in ROWS}
    assert {name for name in names if not EXPERIMENTS[name].baseline} == beginnings
    assert GROUPS["speed-rows"] == ["speed", *(f"speed-{name}" for name in list(ROWS)[:10])]
    assert {recipe.epochs for recipe in speed.IN_MINUTES} == {2}
    assert EXPERIMENTS["speed-one-view"].trains_as(speed.SPEED)


def test_the_recipe_for_a_cpu_makes_as_much_of_an_image():
    """Per image the same rates of SGD and the same decay; Muon's steps are halved."""
    assert speed.CPU.learning_rate / speed.CPU.batch_size == 1.6 / 2000
    assert speed.CPU.options["muon_rate"] == speed.SPEED.options["muon_rate"] / 2
    same = ("weight_decay", "momentum", "epochs", "augment", "schedule", "views", "label_smoothing")
    for name in same:
        assert getattr(speed.CPU, name) == getattr(speed.SPEED, name)


def test_a_search_changes_one_rate_at_a_time():
    assert SPEED_SEARCHES.items() <= SEARCHES.items()
    for name in ("speed-rates", "speed-cpu-rates"):
        first, *others = SPEED_SEARCHES[name]

        def rates(recipe):
            optimizer = recipe.build_optimizer(SpeedNet(**NARROW))
            head, biases, kernels = optimizer.param_groups
            shrinking = head["lr"] * head["weight_decay"]
            return head["lr"], biases["lr"], kernels["lr"], round(shrinking, 9)

        assert len(others) == 8
        for recipe in others:
            changed = [one != two for one, two in zip(rates(recipe), rates(first), strict=True)]
            assert sum(changed) == 1, recipe.name
            assert recipe.name.startswith(f"{first.name}/")
    counted = [count_parameters(each.build_model()) for each in SPEED_SEARCHES["speed-arithmetic"]]
    assert max(counted) == 1_971_352
    work = [whole_run(recipe) for recipe in SPEED_SEARCHES["speed-arithmetic"]]
    assert max(work) < 0.9 * whole_run(speed.CPU)


def short(recipe, epochs=2):
    return replace(for_practice(recipe, epochs), batch_size=40)


@pytest.mark.slow
@named([*speed.RECIPES, *SPEED_SEARCHES["speed-arithmetic"]])
def test_it_trains_and_is_measured(recipe):
    images = SPLIT.subset(range(60))
    assert count_parameters(short(recipe).build_model()) < 10_000
    net, history = train(short(recipe, 1), 0, images, images, show=False)
    assert len(history.epochs) == 1 and 0 < history.last["test_loss"] < 10
    with torch.no_grad():
        assert net.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.slow
@named(speed.RECIPES)
def test_a_stopped_run_goes_on_with_the_same_numbers(recipe, tmp_path):
    goes_on_with_the_same_numbers(short(recipe), SPLIT, tmp_path / "one.checkpoint")


@pytest.mark.slow
def test_the_pieces_together_learn_practice_data_faster_than_a_plain_net():
    """Two epochs of 600 images: what it is for, on a small scale."""
    practice = load("cifar10", validation=0)
    images, unseen = practice.train.subset(range(600)), practice.test.subset(range(300))
    fast = replace(speed.CPU.shortened(2), batch_size=50, model_options={"widths": [8, 16, 16]})
    fast = replace(fast, learning_rate=0.04, options=fast.options | {"muon_rate": 0.06})
    off = {"whitened": False, "dirac": False, "activation": "relu", "frozen_scale": False}
    plain = replace(
        fast,
        model_options=fast.model_options | off | {"scale": 1.0},
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.9,
    )
    accuracies = []
    for recipe in (fast, plain):
        _, history = train(recipe, 0, images, unseen, show=False)
        accuracies.append(history.last["test_accuracy"])
    assert accuracies[0] > accuracies[1] + 5, accuracies


# What cannot be, and the smallest images


@pytest.mark.parametrize("size", [0, 4, 2.5, True, "2"])
def test_whitened_patches_are_small(size):
    with pytest.raises(CourseError, match=f"patches of {size!r} pixels a side: give 1, 2 or 3"):
        SpeedNet(**NARROW | {"patch": size})


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_the_smallest_images_are_those_of_the_docstring(patch):
    net = SpeedNet(**NARROW | {"patch": patch})
    assert net(colours(4, 7 + patch)).shape == (4, 10)
    with pytest.raises(RuntimeError, match="too small"):
        net(colours(4, 6 + patch))
    assert "7 + patch" in SpeedNet.__doc__
