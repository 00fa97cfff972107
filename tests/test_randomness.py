"""Every generator that a loader leads to: found, kept, and left alone by a range test."""

from __future__ import annotations

import functools
import io
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_runs import batches_of, same_state, sgd, small_net, split_of, without_times
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from helpers import augment
from helpers.augment.library import albumentations_pipeline
from helpers.data import Batches
from helpers.lr_finder import lr_range_test
from helpers.training import fit
from helpers.training.randomness import (
    ITEMS,
    LEVELS,
    OtherGenerator,
    generators_of,
    random_states,
    set_random_states,
)

# Loaders of 40 images, each of which draws from a generator that is hidden somewhere.


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Digits(Dataset):
    """The images one by one, changed by ``transform``."""

    def __init__(self, transform=None):
        self.images, self.labels = next(iter(Batches(split_of(40), 40)))
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, at):
        if isinstance(at, list):  # bulk loading
            return self.images[at], self.labels[at]
        image = self.images[at]
        return (self.transform(image) if self.transform else image), self.labels[at]


class WrappedSampler:
    """A sampler that takes every index from another one."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        return iter(self.sampler)

    def __len__(self):
        return len(self.sampler)


class OtherName:
    """A sampler whose generator has a name of its own."""

    def __init__(self, count):
        self.count, self.g = count, seeded()

    def __iter__(self):
        return iter(torch.randperm(self.count, generator=self.g).tolist())

    def __len__(self):
        return self.count


class WrappedLoader:
    """A loader around a loader."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return iter(self.loader)

    def __len__(self):
        return len(self.loader)


def lighter(images, number):
    """The upper half of the images lighter: batch norm would take away what all pixels get."""
    half = torch.zeros_like(images)
    half[..., :4, :] = number
    return images + half


class Noise:
    """A transform with noise of a generator of its own: any that has a method ``draw``."""

    def __init__(self, generator):
        self.rng = generator

    def draw(self):
        if isinstance(self.rng, torch.Generator):
            return torch.rand((), generator=self.rng).item()
        return self.rng.random()  # NumPy's generators and Python's

    def __call__(self, images, generator=None):
        return lighter(images, self.draw())

    def noisy(self, images, generator):
        return self(images)


class Slotted:
    __slots__ = ("noise",)

    def __init__(self):
        self.noise = Noise(np.random.default_rng(3))

    def __call__(self, images, generator=None):
        return self.noise(images)


class Layer(nn.Module):
    """A transform that is a module, as torchvision's are."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Identity(), Inner())

    def forward(self, images, generator=None):
        return self.inner(images)


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = seeded()

    def forward(self, images):
        return images + torch.rand(images.shape, generator=self.generator)


def noisy(images, generator=None, noise=None):
    return noise(images)


def augmented(transform):
    return Batches(split_of(40), 10, transform)


def with_closure():
    rng = np.random.default_rng(3)
    return augmented(lambda images, generator: lighter(images, rng.random()))


# What a notebook's cell defines: global names.
RNG = np.random.default_rng(3)
GLOBAL_NOISE = Noise(seeded())


def global_noise(images, generator=None):
    return lighter(images, RNG.random())


def global_object(images, generator=None):
    return GLOBAL_NOISE(images)


def with_global_names():
    RNG.bit_generator.state = np.random.default_rng(3).bit_generator.state
    GLOBAL_NOISE.rng.manual_seed(3)
    composed = augment.Compose(global_noise, global_object)
    return augmented(composed)


def random_sampler():
    return RandomSampler(Digits(), generator=seeded())


def albumentations_loader():
    pipeline = albumentations_pipeline("mnist")
    pipeline.set_random_seed(3)

    def transform(image):
        array = (50 * image[0] + 100).clamp(0, 255).to(torch.uint8).numpy()
        changed = pipeline(image=np.stack([array] * 3, axis=-1))["image"]
        return torch.from_numpy(changed[None, :, :, 0])

    return DataLoader(Digits(transform), 10)


LOADERS = {
    "bulk loading": lambda: DataLoader(
        Digits(), batch_size=None, sampler=BatchSampler(random_sampler(), 10, False)
    ),
    "a sampler in a sampler": lambda: DataLoader(
        Digits(), 10, sampler=WrappedSampler(random_sampler())
    ),
    "another name": lambda: DataLoader(Digits(), 10, sampler=OtherName(40)),
    "a batch sampler of an own kind": lambda: DataLoader(
        Digits(), batch_sampler=WrappedSampler(BatchSampler(OtherName(40), 10, False))
    ),
    "a wrapped loader": lambda: WrappedLoader(batches_of(40, 10)),
    "a loader wrapped twice": lambda: WrappedLoader(WrappedLoader(batches_of(40, 10))),
    "a transform of torch's": lambda: augmented(Noise(seeded())),
    "default_rng": lambda: augmented(Noise(np.random.default_rng(3))),
    "Philox": lambda: augmented(Noise(np.random.Generator(np.random.Philox(3)))),
    "MT19937": lambda: augmented(Noise(np.random.Generator(np.random.MT19937(3)))),
    "RandomState": lambda: augmented(Noise(np.random.RandomState(3))),
    "random.Random": lambda: augmented(Noise(random.Random(3))),
    "composed": lambda: augmented(
        augment.Compose(augment.Cutout(2), augment.Compose(Noise(random.Random(3))))
    ),
    "a data set's": lambda: DataLoader(Digits(Noise(np.random.default_rng(3))), 10),
    "a data set's, composed": lambda: WrappedLoader(
        DataLoader(Digits(augment.Compose(Noise(seeded()), Slotted())), 10, shuffle=True)
    ),
    "slots": lambda: augmented(Slotted()),
    "a module": lambda: augmented(Layer()),
    "a method": lambda: augmented(Noise(seeded()).noisy),
    "partial": lambda: augmented(functools.partial(noisy, noise=Noise(seeded()))),
    "a closure": with_closure,
    "global names": with_global_names,
    "albumentations": albumentations_loader,
}


# A stopped run goes on with the same numbers.


class Stopped(Exception):
    """The run is killed here."""


def run(loader, path=None, stop_after: int = 0):
    """Three epochs from fresh objects, perhaps stopped; the rows, and the net."""

    def stop(row):
        if row["epoch"] == stop_after:
            raise Stopped

    model = small_net()
    test = Batches(split_of(20, seed=1), 20)
    optimizer = sgd(model)
    history = fit(model, loader, test, 3, optimizer, checkpoint=path, show=False, on_epoch=stop)
    return without_times(history), model


@pytest.mark.parametrize("kind", LOADERS)
def test_a_stopped_run_goes_on_where_its_generators_were(tmp_path, kind):
    path = tmp_path / "run.checkpoint"
    torch.manual_seed(1)
    rows, model = run(LOADERS[kind]())

    torch.manual_seed(1)
    with pytest.raises(Stopped):
        run(LOADERS[kind](), path, stop_after=1)
    torch.manual_seed(77)
    resumed_rows, resumed = run(LOADERS[kind](), path)
    assert resumed_rows == rows and same_state(resumed, model)


@pytest.mark.parametrize("kind", LOADERS)
def test_without_its_generators_a_run_would_go_on_otherwise(kind):
    """What the test above holds is not an accident: the second epoch has other numbers."""
    torch.manual_seed(1)
    loader = LOADERS[kind]()
    first, second = images_of(loader), images_of(loader)
    assert not torch.equal(first, second)


def images_of(loader):
    """All images of an epoch."""
    return torch.cat([images for images, _ in loader])


# The range test leaves no trace.


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("orders", [1, 2])
def test_a_range_test_leaves_every_generator_as_it_was(kind, orders):
    torch.manual_seed(1)
    expected = images_of(LOADERS[kind]())

    torch.manual_seed(1)
    loader, model = LOADERS[kind](), small_net()
    torch.manual_seed(1)
    result = lr_range_test(
        model, loader, F.cross_entropy, sgd(model), 1e-4, 1e-2, steps=10, orders=orders
    )
    assert torch.equal(images_of(loader), expected)
    assert len(result.curves) == orders


@pytest.mark.parametrize("kind", ["default_rng", "RandomState", "random.Random", "MT19937"])
def test_another_order_has_other_numbers(kind):
    model = small_net()
    loader = LOADERS[kind]()
    result = lr_range_test(
        model, loader, F.cross_entropy, sgd(model), 1e-4, 1e-2, steps=10, orders=3
    )
    firsts = {curve[0, 0] for curve in result.curves}
    assert len(firsts) == 3


# Which are found.


@pytest.mark.parametrize("kind", LOADERS)
def test_two_processes_find_the_same_in_the_same_order(kind):
    one, other = generators_of(LOADERS[kind]()), generators_of(LOADERS[kind]())
    assert len(one) > 0
    assert [named(generator) for generator in one] == [named(generator) for generator in other]


def named(generator):
    inner = getattr(generator, "generator", generator)
    return type(inner).__name__, type(getattr(inner, "bit_generator", None)).__name__


def test_each_is_found_once_and_the_loaders_own_comes_first():
    shared, own = seeded(), np.random.default_rng(1)
    batches = Batches(split_of(20), 10, Noise(own), generator=shared)
    again = Batches(split_of(20), 10, Noise(own), generator=shared)
    found = generators_of(batches, again, WrappedLoader(batches))
    assert found[0] is shared and found[1].generator is own and len(found) == 2


def test_what_holds_itself_is_no_endless_way():
    batches = batches_of(20, 10)
    batches.itself = [batches, {"again": batches}]
    assert generators_of(batches) == [batches.generator]


def test_what_is_kept_anyway_or_has_no_state_is_not_listed():
    holder = Noise(random.SystemRandom())
    holder.more = [np.random.rand, random.gauss, np.random, random, torch.Generator, None, 3, "g"]
    holder.tensor = torch.zeros(3)
    assert generators_of(holder, [], None, iter([])) == []


def test_how_deep_and_how_far_they_are_looked_for():
    def nested(levels):
        value = seeded()
        for _ in range(levels):
            value = [value]
        return value

    assert len(generators_of(nested(LEVELS - 1))) == 1
    assert generators_of(nested(LEVELS)) == []
    names = [f"{number}.png" for number in range(ITEMS)]
    assert len(generators_of([*names[1:], seeded()])) == 1
    assert generators_of([*names, seeded()]) == []


def test_workers_that_stay_are_not_looked_into():
    """In a notebook, the same loader finds as many before and after an interrupted run."""
    loader = DataLoader(Digits(), 10, generator=seeded())
    before = len(generators_of(loader))
    loader._iterator = Noise(random.Random(1))
    assert len(generators_of(loader)) == before == 1


def test_a_variable_without_a_value_yet_is_no_error():
    def transform(images, generator):
        return later

    assert generators_of(transform) == []
    later = seeded()
    assert generators_of(transform) == [later]


# Their states.

GENERATORS = {
    "torch": seeded,
    "PCG64": lambda: OtherGenerator(np.random.default_rng(3)),
    "PCG64DXSM": lambda: OtherGenerator(np.random.Generator(np.random.PCG64DXSM(3))),
    "Philox": lambda: OtherGenerator(np.random.Generator(np.random.Philox(3))),
    "SFC64": lambda: OtherGenerator(np.random.Generator(np.random.SFC64(3))),
    "MT19937": lambda: OtherGenerator(np.random.Generator(np.random.MT19937(3))),
    "RandomState": lambda: OtherGenerator(np.random.RandomState(3)),
    "RandomState of PCG64": lambda: OtherGenerator(np.random.RandomState(np.random.PCG64(3))),
    "random.Random": lambda: OtherGenerator(random.Random(3)),
}


def draws(generator):
    """Some numbers of every kind: half a 64-bit number, and half a pair of normal ones, stay."""
    if isinstance(generator, torch.Generator):
        return torch.randn(3, generator=generator).tolist()
    inner = generator.generator
    if isinstance(inner, random.Random):
        return [inner.random(), inner.gauss(0, 1)]
    if isinstance(inner, np.random.RandomState):
        return [inner.random_sample(), inner.standard_normal()]
    return [inner.random(), inner.standard_normal(), inner.integers(9, dtype=np.int32)]


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_state_goes_through_a_file_and_back(kind):
    generator = GENERATORS[kind]()
    draws(generator)
    file = io.BytesIO()
    torch.save(random_states([generator]), file)
    expected = draws(generator), draws(generator)

    states = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    other = GENERATORS[kind]()
    set_random_states(states, [other])
    assert (draws(other), draws(other)) == expected


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_seed_begins_anew_in_the_same_object(kind):
    one, other = GENERATORS[kind](), GENERATORS[kind]()
    draws(other)
    one.manual_seed(2**62 + 5)
    other.manual_seed(2**62 + 5)
    assert draws(one) == draws(other) != draws(GENERATORS[kind]())
    assert 0 <= one.initial_seed() < 2**63
    assert GENERATORS[kind]().initial_seed() == GENERATORS[kind]().initial_seed()
