"""The batched transforms against torchvision, hand-made copies, and the draws of Albumentations."""

from __future__ import annotations

import math
import sys
import warnings

import numpy
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandomRotation
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as V

from helpers import augment
from helpers.augment import Compose
from helpers.augment.affine import RandomAffine, affine
from helpers.augment.library import albumentations_pipeline
from helpers.augment.pixels import ColorJitter, Cutout, RandomCrop, RandomHorizontalFlip
from helpers.data import Batches, ImageSplit
from helpers.data.known import KNOWN
from helpers.environment import CourseError

EVERY = (
    RandomAffine(10, (0.1, 0.1), (0.8, 1.2), 5),
    ColorJitter(0.4, 0.4),
    RandomCrop(4),
    RandomCrop(4, "reflect"),
    RandomHorizontalFlip(),
    Cutout(8),
    augment.build(augment.DOCUMENT_004),
    Compose(RandomCrop(4), RandomHorizontalFlip(), Cutout(8, [0.5])),
)
NAMES = ["affine", "jitter", "crop", "reflect", "flip", "cutout", "document_004", "compose"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int) -> torch.Tensor:
    """Smooth random images in [0, 1], on which a misplaced pixel shows."""
    noise = torch.rand(*shape[:2], 6, 6, generator=seeded(7))
    return F.interpolate(noise, size=shape[2:], mode="bicubic").clamp(0, 1)


def chi_square(counts: torch.Tensor) -> float:
    """Pearson's statistic against equal expectations, in deviations above its mean.

    Its degrees of freedom are the cells - 1.
    """
    expected, freedom = counts.sum() / counts.numel(), counts.numel() - 1
    return ((((counts - expected) ** 2).sum() / expected - freedom) / math.sqrt(2 * freedom)).item()


def maps(count: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """Random affine parameters, one an image, far beyond what the recipes use."""
    draw = torch.rand(5, count, generator=seeded(seed)) * 2 - 1
    return {
        "angle": draw[0] * 0.8,
        "shift_x": draw[1] * 6,
        "shift_y": draw[2] * 6,
        "scale": 1.05 + draw[3] * 0.4,
        "shear": draw[4] * 0.5,
    }


def by_torchvision(images: torch.Tensor, parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """Each image through torchvision's affine, one by one."""
    rows = zip(images, *(values.tolist() for values in parameters.values()))
    return torch.stack(
        [
            V.affine(
                image,
                math.degrees(angle),
                [x, y],
                scale,
                [math.degrees(shear), 0.0],
                InterpolationMode.BILINEAR,
            )
            for image, angle, x, y, scale, shear in rows
        ]
    )


# Affine


@pytest.mark.parametrize(
    "shape", [(6, 1, 28, 28), (6, 3, 32, 32), (5, 1, 20, 33), (5, 3, 31, 18), (1, 1, 28, 28)]
)
def test_affine_equals_torchvision_image_by_image(shape):
    images, parameters = pictures(*shape), maps(shape[0])
    torch.testing.assert_close(
        affine(images, **parameters), by_torchvision(images, parameters), atol=2e-5, rtol=0
    )


@settings(deadline=None, max_examples=60)
@given(
    degrees=st.floats(-180, 180),
    x=st.floats(-12, 12),
    y=st.floats(-12, 12),
    scale=st.floats(0.3, 3),
    shear=st.floats(-60, 60),
    height=st.integers(3, 24),
    width=st.integers(3, 24),
)
def test_any_affine_map_is_torchvisions(degrees, x, y, scale, shear, height, width):
    images = pictures(1, 2, height, width)
    names = ("angle", "shift_x", "shift_y", "scale", "shear")
    values = (math.radians(degrees), x, y, scale, math.radians(shear))
    parameters = {name: torch.tensor([value]) for name, value in zip(names, values)}
    torch.testing.assert_close(
        affine(images.double(), **{name: each.double() for name, each in parameters.items()}),
        by_torchvision(images, parameters).double(),
        atol=5e-4,
        rtol=0,
    )


@pytest.mark.parametrize("shape", [(6, 1, 28, 28), (4, 3, 20, 33)])
def test_fill_equals_a_wide_frame_of_that_brightness(shape):
    images, parameters = pictures(*shape), maps(shape[0])
    framed = by_torchvision(F.pad(images, [40] * 4, value=0.3), parameters)[..., 40:-40, 40:-40]
    torch.testing.assert_close(affine(images, **parameters, fill=0.3), framed, atol=2e-5, rtol=0)


def test_a_shift_by_whole_pixels_is_a_shifted_copy():
    images, zero, one = pictures(3, 1, 28, 24), torch.zeros(3), torch.ones(3)
    moved = affine(
        images, zero, torch.tensor([3.0, 0.0, -2.0]), torch.tensor([0.0, -5.0, 4.0]), one, zero
    )
    wanted = torch.zeros_like(images)
    wanted[0, :, :, 3:] = images[0, :, :, :-3]
    wanted[1, :, :-5] = images[1, :, 5:]
    wanted[2, :, 4:, :-2] = images[2, :, :-4, 2:]
    torch.testing.assert_close(moved, wanted, atol=1e-5, rtol=0)


def test_random_affine_without_ranges_changes_nothing():
    images = pictures(4, 3, 32, 28)
    torch.testing.assert_close(RandomAffine()(images, seeded()), images, atol=1e-5, rtol=0)


def test_random_affine_draws_in_the_ranges_it_names(monkeypatch):
    drawn = {}

    def remember(images, *parameters):
        drawn.update(zip(("angle", "shift_x", "shift_y", "scale", "shear", "fill"), parameters))
        return images

    monkeypatch.setattr("helpers.augment.affine.affine", remember)
    transform = RandomAffine(degrees=7, translate=(0.1, 0.2), scale=(0.8, 1.3), shear=10, fill=0.25)
    transform(torch.zeros(4000, 1, 20, 40), seeded())
    ranges = {
        "angle": (-math.radians(7), math.radians(7)),
        "shear": (-math.radians(10), math.radians(10)),
        "shift_x": (-4, 4),
        "shift_y": (-4, 4),
        "scale": (0.8, 1.3),
    }
    for name, (low, high) in ranges.items():
        share = (drawn[name] - low) / (high - low)
        assert 0 <= share.min() < 0.01 and 0.99 < share.max() <= 1, name
        assert chi_square(torch.histc(share, 20, 0, 1)) < 4, name
    independent = torch.stack([drawn[name] for name in ranges]).corrcoef() - torch.eye(5)
    assert independent.abs().max() < 0.06 and drawn["fill"] == 0.25


# Colour


@pytest.mark.parametrize(
    ("amounts", "which"),
    [
        ((0.4, 0.0), V.adjust_brightness),
        ((0.0, 0.4), V.adjust_contrast),
        ((0.4, 0.4), None),
        ((1.5, 1.5), None),
    ],
)
def test_jitter_equals_torchvision_on_grey_images(amounts, which):
    images, jitter = pictures(8, 1, 28, 28), ColorJitter(*amounts)
    factors = [
        torch.rand(8, generator=generator) * (1 + amount - max(0, 1 - amount)) + max(0, 1 - amount)
        for generator in [seeded(3)]
        for amount in amounts
    ]
    wanted = torch.stack(
        [
            V.adjust_contrast(V.adjust_brightness(image, brightness), contrast)
            for image, brightness, contrast in zip(images, *(factor.tolist() for factor in factors))
        ]
    )
    torch.testing.assert_close(jitter(images, seeded(3)), wanted, atol=1e-6, rtol=0)
    if which is not None:  # one alone leaves the other at exactly 1
        alone = (factors[0] if amounts[0] else factors[1]).tolist()
        only = torch.stack([which(image, factor) for image, factor in zip(images, alone)])
        torch.testing.assert_close(only, wanted, atol=1e-6, rtol=0)


def test_contrast_in_colour_is_about_the_plain_mean_of_all_channels():
    images = pictures(8, 3, 16, 16) * 0.4 + 0.3
    factors = torch.rand(16, generator=seeded(3))[8:] * 0.8 + 0.6
    mean = images.sum(dim=(1, 2, 3)) / (3 * 16 * 16)
    wanted = torch.stack(
        [image * factor + m * (1 - factor) for image, factor, m in zip(images, factors, mean)]
    )
    torch.testing.assert_close(
        ColorJitter(contrast=0.4)(images, seeded(3)), wanted, atol=1e-6, rtol=0
    )
    grey = images.mean(dim=1, keepdim=True).expand(
        -1, 3, -1, -1
    )  # where the channels agree, so do we and torchvision
    wanted = torch.stack(
        [V.adjust_contrast(image, factor) for image, factor in zip(grey, factors.tolist())]
    )
    torch.testing.assert_close(
        ColorJitter(contrast=0.4)(grey, seeded(3)), wanted, atol=1e-4, rtol=0
    )


# Crop, flip, cutout


def found_in(crop: torch.Tensor, padded: torch.Tensor) -> list[tuple[int, int]]:
    """Every place at which ``crop`` [C, h, w] lies in ``padded`` [C, H, W]."""
    windows = padded.unfold(1, crop.shape[1], 1).unfold(2, crop.shape[2], 1)
    return [
        tuple(place)
        for place in (windows.permute(1, 2, 0, 3, 4) == crop).flatten(2).all(2).nonzero().tolist()
    ]


@pytest.mark.parametrize(
    ("mode", "oracle"), [("constant", {}), ("reflect", {"padding_mode": "reflect"})]
)
@pytest.mark.parametrize("shape", [(40, 3, 32, 32), (40, 1, 18, 25)])
def test_every_crop_is_a_window_of_the_padded_image(mode, oracle, shape):
    images = torch.rand(shape, generator=seeded())
    crops = RandomCrop(4, mode)(images, seeded(1))
    assert crops.shape == images.shape
    places = [found_in(crop, V.pad(image, [4], **oracle)) for crop, image in zip(crops, images)]
    assert all(len(place) == 1 for place in places) and len({place[0] for place in places}) > 20


def test_crop_offsets_are_uniform_over_all_81_places():
    rows, columns = torch.meshgrid(torch.arange(1.0, 33), torch.arange(1.0, 33), indexing="ij")
    images = torch.stack([rows, columns]).expand(8100, 2, 32, 32)
    middle = (
        RandomCrop(4)(images, seeded())[:, :, 16, 16].long() - 13
    )  # at offset (0, 0) the middle shows pixel 13
    counts = torch.bincount(middle[:, 0] * 9 + middle[:, 1], minlength=81)
    assert len(counts) == 81 and counts.min() > 0 and abs(chi_square(counts.float())) < 4


def test_half_of_the_images_are_mirrored_each_wholly_or_not_at_all():
    images = torch.rand(4000, 2, 5, 6, generator=seeded())
    results = RandomHorizontalFlip()(images, seeded(1))
    mirrored = (results == images.flip(-1)).flatten(1).all(1)
    assert ((results == images).flatten(1).all(1) ^ mirrored).all()
    assert abs(mirrored.float().mean() - 0.5) < 4 * math.sqrt(0.25 / 4000)


@pytest.mark.parametrize(("p", "share"), [(0.0, 0.0), (1.0, 1.0), (0.2, 0.2)])
def test_the_share_of_mirrored_images_is_p(p, share):
    images = torch.rand(4000, 1, 2, 4, generator=seeded())
    mirrored = (
        (RandomHorizontalFlip(p)(images, seeded(1)) == images.flip(-1))
        .flatten(1)
        .all(1)
        .float()
        .mean()
    )
    assert abs(mirrored - share) <= 4 * math.sqrt(p * (1 - p) / 4000)


@pytest.mark.parametrize(
    ("size", "height", "width"), [(8, 32, 32), (3, 6, 9), (1, 4, 4), (5, 5, 7)]
)
def test_cutout_makes_one_square_hole_wholly_inside_at_every_place(size, height, width):
    places = (height - size + 1) * (width - size + 1)
    images = torch.rand(20 * places, 1, height, width, generator=seeded()) + 1
    covered = Cutout(size, fill=0.0)(images, seeded(1))
    hole = (covered == 0)[:, 0]
    assert torch.equal(covered[~hole[:, None]], images[~hole[:, None]])
    rows, columns = hole.any(2), hole.any(1)
    assert (
        (rows.sum(1) == size).all()
        and (columns.sum(1) == size).all()
        and (hole.sum((1, 2)) == size * size).all()
    )
    top, left = rows.int().argmax(1), columns.int().argmax(1)
    bottom, right = height - rows.flip(1).int().argmax(1), width - columns.flip(1).int().argmax(1)
    assert (bottom - top == size).all() and (right - left == size).all()
    counts = torch.bincount(top * (width - size + 1) + left, minlength=places)
    assert len(counts) == places and counts.min() > 0
    assert places == 1 or abs(chi_square(counts.float())) < 4


def test_a_fill_for_each_channel_fills_each_with_its_own():
    fill = [0.1, 0.2, 0.3]
    covered = Cutout(8, fill)(torch.ones(5, 3, 32, 32), seeded())
    for channel, value in enumerate(fill):
        assert (covered[:, channel] == torch.tensor(value)).sum((1, 2)).tolist() == [64] * 5
        assert ((covered[:, channel] == torch.tensor(value)) | (covered[:, channel] == 1)).all()


# All of them


@pytest.mark.parametrize("transform", EVERY, ids=NAMES)
def test_the_same_seed_gives_the_same_images_and_another_does_not(transform):
    images = pictures(16, 1, 28, 28)
    before = images.clone()
    first, again, other = (transform(images, seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert (
        torch.equal(images, before) and first.shape == images.shape and first.dtype == images.dtype
    )


@pytest.mark.parametrize("transform", EVERY, ids=NAMES)
def test_images_of_one_batch_get_parameters_of_their_own(transform):
    results = transform(pictures(1, 1, 28, 28).expand(16, -1, -1, -1), seeded())
    different = len({result.numpy().tobytes() for result in results})
    assert different == 2 if isinstance(transform, RandomHorizontalFlip) else different > 9


@pytest.mark.parametrize("transform", EVERY, ids=NAMES)
def test_a_generator_is_drawn_from_alone_and_without_one_torchs_own_state(transform):
    images, generator = pictures(9, 1, 28, 28), seeded(5)
    torch.manual_seed(0)
    before, own = torch.get_rng_state(), generator.get_state()
    given = transform(images, generator)
    assert torch.equal(torch.get_rng_state(), before) and not torch.equal(
        generator.get_state(), own
    )
    torch.manual_seed(5)
    assert torch.equal(transform(images), given) and not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("transform", EVERY, ids=NAMES)
def test_one_image_alone_is_a_batch(transform):
    assert transform(pictures(1, 1, 28, 28), seeded()).shape == (1, 1, 28, 28)


def test_what_is_drawn_and_in_which_order_is_fixed():
    """Every recorded result stands on it: the draws are repeated here, one by one."""
    images, drawn = torch.rand(30, 2, 12, 10, generator=seeded(1)), seeded(5)

    # A crop draws all rows, then all columns.
    rows, columns = (torch.randint(7, (30,), generator=drawn) for _ in "rc")
    padded = F.pad(images, [3] * 4)
    wanted = torch.stack(
        [image[:, r : r + 12, c : c + 10] for image, r, c in zip(padded, rows, columns)]
    )
    assert torch.equal(RandomCrop(3)(images, seeded(5)), wanted)

    # A flip draws a number an image; cutout its top rows, then its left columns.
    drawn = seeded(5)
    flipped = torch.rand(30, generator=drawn) < 0.3
    wanted = torch.stack([i.flip(-1) if f else i for i, f in zip(images, flipped)])
    assert torch.equal(RandomHorizontalFlip(0.3)(images, seeded(5)), wanted)
    drawn = seeded(5)
    tops = torch.randint(9, (30, 1), generator=drawn)
    lefts = torch.randint(7, (30, 1), generator=drawn)
    wanted = images.clone()
    for image, top, left in zip(wanted, tops, lefts):
        image[:, top : top + 4, left : left + 4] = 0.5
    assert torch.equal(Cutout(4, 0.5)(images, seeded(5)), wanted)


class AddsPlace:
    """A transform that adds each image's place in its split."""

    wants_indices = True

    def __call__(self, images, generator, indices):
        return images + indices.view(-1, 1, 1, 1)


class CountsEpochs:
    def __init__(self) -> None:
        self.epoch = None

    def __call__(self, images, generator=None):
        return images

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def test_compose_passes_places_and_epochs_to_those_that_ask():
    images, places = pictures(4, 1, 8, 8), torch.tensor([7, 0, 3, 3])
    inner = CountsEpochs()
    both = Compose(RandomHorizontalFlip(), Compose(AddsPlace(), inner), AddsPlace())
    wanted = RandomHorizontalFlip()(images, seeded(2)) + 2 * places.view(-1, 1, 1, 1)
    torch.testing.assert_close(both(images, seeded(2), places), wanted)
    both.set_epoch(3)
    assert inner.epoch == 3
    assert both.wants_indices and not Compose(RandomCrop(4), inner).wants_indices


def test_compose_applies_in_order_from_one_stream_of_numbers():
    images, generator = pictures(6, 3, 32, 32), seeded(2)
    wanted = Cutout(8, 1.0)(RandomCrop(4)(images, generator), generator)
    assert torch.equal(Compose(RandomCrop(4), Cutout(8, 1.0))(images, seeded(2)), wanted)
    assert torch.equal(Compose()(images), images)


def test_build_makes_what_a_recipe_names():
    steps = (("RandomAffine", {"degrees": 7, "translate": [0.05, 0.05]}), ("Cutout", {"size": 4}))
    images = pictures(6, 1, 28, 28)
    wanted = Compose(RandomAffine(7, (0.05, 0.05)), Cutout(4))(images, seeded())
    assert torch.equal(augment.build(steps)(images, seeded()), wanted)
    assert augment.build(()) is None


def test_document_004_equals_its_torchvision_transforms_one_after_the_other():
    images, drawn = pictures(8, 1, 28, 28), seeded(4)

    def draw(low, high):
        return torch.rand(8, generator=drawn) * (high - low) + low

    angle, nothing, still = draw(-7, 7), draw(0, 0), (draw(0, 0), draw(0, 0), draw(1, 1))
    turn, shear, x, y, scale = (
        draw(-7, 7),
        draw(-10, 10),
        draw(-2.8, 2.8),
        draw(-2.8, 2.8),
        draw(0.8, 1.2),
    )
    bright, contrast = draw(0.6, 1.4), draw(0.6, 1.4)
    assert not nothing.any() and not still[0].any()
    wanted = []
    for i, image in enumerate(images):
        image = V.rotate(
            image, -angle[i].item(), InterpolationMode.BILINEAR
        )  # rotate turns the other way
        image = V.affine(
            image,
            turn[i].item(),
            [x[i].item(), y[i].item()],
            scale[i].item(),
            [shear[i].item(), 0.0],
            InterpolationMode.BILINEAR,
        )
        wanted.append(
            V.adjust_contrast(V.adjust_brightness(image, bright[i].item()), contrast[i].item())
        )
    transform = augment.build(augment.DOCUMENT_004)
    torch.testing.assert_close(transform(images, seeded(4)), torch.stack(wanted), atol=2e-5, rtol=0)


# Errors


@pytest.mark.parametrize("scale", [(0.0, 1.0), (-0.5, 1.0), (1.2, 0.8)])
def test_a_scale_that_is_no_range_is_refused(scale):
    with pytest.raises(CourseError, match=r"RandomAffine: scale is \(low, high\)"):
        RandomAffine(scale=scale)


@pytest.mark.parametrize(
    ("cutout", "words"), [(Cutout(29), "29 pixels"), (Cutout(8, [0.1, 0.2, 0.3]), "3 values")]
)
def test_a_cutout_that_does_not_fit_is_refused(cutout, words):
    with pytest.raises(CourseError, match=f"{words}.*1×28×28"):
        cutout(torch.rand(2, 1, 28, 28))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: RandomCrop(4, "slope"), "mode of RandomCrop 'slope'; .*: constant, reflect$"),
        (lambda: RandomCrop(-1), "padding is a whole number of at least 0, not -1$"),
        (lambda: RandomCrop(2.0), "not 2.0$"),
        (lambda: RandomAffine(translate=0.1), r"translate is \(right, down\), .* not 0.1$"),
        (lambda: RandomAffine(translate=(0.1,)), r"not \(0.1,\)$"),
        (lambda: RandomAffine(translate=(10, 10)), r"fractions from 0 to 1 .*, not \(10, 10\)$"),
        (lambda: RandomAffine(translate=(0.1, 1.01)), r"not \(0.1, 1.01\)$"),
        (lambda: RandomAffine(translate=(-0.1, 0.1)), r"not \(-0.1, 0.1\)$"),
        (lambda: RandomAffine(scale=1.2), r"scale is \(low, high\) .* not 1.2$"),
        (lambda: RandomAffine(scale=["a", "b"]), "scale is"),
        (lambda: RandomHorizontalFlip(p=3), "p lies between 0 and 1, not 3$"),
        (lambda: RandomHorizontalFlip(-0.1), "not -0.1$"),
        (lambda: RandomHorizontalFlip(float("nan")), "not nan$"),
        (
            lambda: augment.build([("RandomCrop", {"pading": 4})]),
            "unknown argument of RandomCrop 'pading'; choose one of: padding$",
        ),
    ],
)
def test_arguments_that_mean_nothing_are_refused_in_one_line(make, words):
    with pytest.raises(CourseError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


def test_the_outermost_arguments_are_taken():
    images = torch.rand(3, 1, 4, 4)
    assert torch.equal(RandomCrop(0)(images), images)
    assert torch.equal(RandomHorizontalFlip(0)(images), images)
    assert torch.equal(RandomHorizontalFlip(1)(images), images.flip(3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cutout(-1), "Cutout: size is a whole number of at least 0, not -1"),
        (lambda: Cutout(2.5), "Cutout: size is a whole number of at least 0, not 2.5"),
        (lambda: Cutout("8"), "Cutout: size is a whole number"),
        (lambda: Cutout(8, "grey"), "Cutout: fill is a finite number, or a list of them"),
        (lambda: Cutout(8, None), "Cutout: fill is a finite number"),
        (lambda: Cutout(8, [0.1, math.nan, 0.2]), "Cutout: fill is a finite number"),
        (lambda: ColorJitter(-1), "ColorJitter: brightness is at least 0, not -1"),
        (lambda: ColorJitter(0.2, math.inf), "ColorJitter: contrast is one finite number"),
        (lambda: ColorJitter((0.8, 1.2)), r"brightness is one finite number, not \(0.8, 1.2\)"),
        (lambda: RandomAffine(degrees=math.nan), "degrees, .*, is one finite number, not nan"),
        (
            lambda: RandomAffine(degrees=(-7, 7)),
            r"degrees, the largest angle to both sides, is one finite number, not \(-7, 7\)",
        ),
        (lambda: RandomAffine(shear=(-5, 5)), "shear, the largest angle .* one finite number"),
        (lambda: RandomAffine(scale=0.9), r"scale is \(low, high\) with 0 < low .* not 0.9"),
        (lambda: RandomAffine(scale=(0.9, math.inf)), r"scale is \(low, high\)"),
        (lambda: RandomAffine(translate=(math.nan, 0.1)), r"translate is \(right, down\)"),
        (lambda: RandomAffine(fill=None), "fill is one finite number"),
        (lambda: Compose([RandomCrop(2)]), r"\] is no transform: give Compose\(one, another\)"),
        (lambda: Compose(RandomCrop), "RandomCrop'> is no transform"),
        (
            lambda: Compose(RandomCrop(2), RandomRotation(7)),
            r"Compose: RandomRotation\(.* takes other arguments \(too many positional arguments\): "
            r"give Compose\(one, another\) of transforms .* as transform\(images, generator\)",
        ),
        (lambda: Compose(Compose(lambda images: images)), "takes other arguments"),
        (lambda: RandomCrop(2.5), "RandomCrop: padding is a whole number"),
        (lambda: RandomHorizontalFlip("often"), "p is one finite number, not 'often'"),
    ],
)
def test_amounts_that_mean_nothing_are_refused_in_one_line(make, words):
    with pytest.raises(CourseError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


EACH = [RandomAffine(7), ColorJitter(0.2), RandomCrop(1), RandomHorizontalFlip(), Cutout(2)]


@pytest.mark.parametrize("transform", EACH, ids=lambda transform: type(transform).__name__)
def test_images_that_no_transform_takes(transform):
    images = torch.rand(3, 1, 8, 8)
    for wrong in (images[0], images[:, 0], images.mul(255).byte(), images.long(), images.numpy()):
        with pytest.raises(CourseError, match=r"floats \[N, C, H, W\].*, not .*images / 255"):
            transform(wrong)
    for kind in (torch.float32, torch.float64):
        assert transform(images.to(kind)).dtype == kind


def test_a_frame_that_small_images_cannot_mirror():
    images = torch.rand(3, 1, 8, 9)
    with pytest.raises(CourseError, match="9 pixels cannot mirror images of 8×9: give at most 7"):
        RandomCrop(9, "reflect")(images)
    assert RandomCrop(7, "reflect")(images).shape == images.shape
    assert RandomCrop(9)(images).shape == images.shape


def test_a_fill_may_be_a_tensor_or_an_array():
    images = torch.rand(3, 3, 8, 8)
    colour = [0.1, 0.2, 0.3]
    expected = Cutout(4, colour)(images, torch.Generator().manual_seed(0))
    for fill in (torch.tensor(colour), numpy.array(colour)):
        assert torch.equal(Cutout(4, fill)(images, torch.Generator().manual_seed(0)), expected)


def test_unknown_names_are_answered_with_the_near_ones():
    with pytest.raises(
        CourseError, match="unknown transform 'RandomAfine'; choose one of: RandomAffine"
    ):
        augment.build([("RandomAfine", {})])
    with pytest.raises(CourseError, match="unknown pipeline 'mnits'; choose one of: mnist"):
        albumentations_pipeline("mnits")


@pytest.mark.parametrize(
    "raised, words",
    [
        (
            "ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
            ["cannot be imported (libGL.so.1: cannot open shared", "opencv-python-headless"],
        ),
        (
            "ImportError(\"cannot import name 'Self' from 'typing'\\nsecond line\")",
            [
                "cannot be imported (cannot import name 'Self' from 'typing' second line)",
                "--force-reinstall",
            ],
        ),
        ("ModuleNotFoundError(\"No module named 'cv2'\", name='cv2')", ["needs cv2, which is not"]),
    ],
)
def test_an_albumentations_that_cannot_be_imported_is_not_called_missing(
    monkeypatch, tmp_path, raised, words
):
    (tmp_path / "albumentations.py").write_text(f"raise {raised}\n")
    monkeypatch.delitem(sys.modules, "albumentations", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CourseError) as told:
        albumentations_pipeline("mnist")
    line = str(told.value)
    assert all(word in line for word in words) and "\n" not in line
    assert "is not installed: pip install 'alb" not in line


def test_a_missing_albumentations_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(CourseError, match="pip install 'albumentations>=2,<3'"):
        albumentations_pipeline("mnist")


# Albumentations


def both(name: str, image: torch.Tensor, transform, count: int) -> list[torch.Tensor]:
    """``count`` draws of an image uint8 [C, H, W] by Albumentations and Batches, unnormalised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = albumentations_pipeline(name)
        pipeline.set_random_seed(0)
        array = image.permute(1, 2, 0).numpy()
        drawn = torch.stack(
            [
                torch.from_numpy(pipeline(image=array)["image"]).permute(2, 0, 1)
                for _ in range(count)
            ]
        )
    known = KNOWN[name]
    split = ImageSplit(
        image.expand(count, -1, -1, -1),
        torch.zeros(count).long(),
        known.classes,
        known.mean,
        known.std,
    )
    batch = next(iter(Batches(split, count, transform, generator=seeded())))[0]
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (known.mean, known.std))
    return [images * std + mean for images in (drawn, batch)]


def test_albumentations_normalises_as_batches_do():
    for name, known in KNOWN.items():
        images = torch.randint(0, 256, (4, *known.shape), generator=seeded(), dtype=torch.uint8)
        split = ImageSplit(images, torch.zeros(4).long(), known.classes, known.mean, known.std)
        normalise = albumentations_pipeline(name).transforms[-1]
        arrays = [normalise(image=image.permute(1, 2, 0).numpy())["image"] for image in images]
        normalised = torch.stack([torch.from_numpy(array).permute(2, 0, 1) for array in arrays])
        torch.testing.assert_close(normalised, next(iter(Batches(split, 4)))[0], atol=1e-6, rtol=0)


def placement(image: torch.Tensor) -> tuple[torch.Tensor, bool, int, int]:
    """What was done to the card below: the hole [32, 32], mirrored or not, the offsets."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    hole = (image[2] - KNOWN["cifar10"].mean[2]).abs() < 0.01
    row, column = (
        image[:2] * 255 / 7
    ).round().long() - 1  # red counts rows and green columns; the frame is -1
    shown = (row >= 0) & ~hole
    down, right, left = (
        (place[shown]).unique() for place in (row - rows, column - columns, column + columns - 31)
    )
    mirrored = len(right) > 1
    right = left if mirrored else right
    return (
        hole,
        mirrored,
        down.item(),
        right.item(),
    )  # .item() fails where the card is anything but a shifted copy


def test_the_cifar10_pipeline_draws_from_the_same_distribution():
    rows, columns = torch.meshgrid(torch.arange(1, 33) * 7, torch.arange(1, 33) * 7, indexing="ij")
    card = torch.stack([rows, columns, torch.full((32, 32), 255)]).to(torch.uint8)
    recipe = Compose(RandomCrop(4), RandomHorizontalFlip(), Cutout(8, KNOWN["cifar10"].mean))
    for images in both("cifar10", card, recipe, 800):
        holes, mirrored, down, right = zip(*map(placement, images))
        hole = torch.stack(holes)
        assert (
            (hole.sum((1, 2)) == 64).all()
            and (hole.any(1).sum(1) == 8).all()
            and (hole.any(2).sum(1) == 8).all()
        )
        starts = [hole.any(axis).int().argmax(1) for axis in (1, 2)]
        offsets = [torch.tensor(values) + 4 for values in (down, right)]
        for values, places in zip(starts + offsets, (25, 25, 9, 9)):
            counts = torch.bincount(values, minlength=places).float()
            assert len(counts) == places and counts.min() > 0 and abs(chi_square(counts)) < 4
        assert abs(sum(mirrored) / 800 - 0.5) < 4 * math.sqrt(0.25 / 800)


def moments(images: torch.Tensor) -> torch.Tensor:
    """Brightness, centre and spread of each picture: [N, 6] (mass, x, y, xx, yy, xy)."""
    y, x = torch.meshgrid(torch.arange(28.0) - 13.5, torch.arange(28.0) - 13.5, indexing="ij")
    weights = (images[:, 0] - 0.1).clamp(min=0)  # the ground is rounded away in uint8
    mass = weights.sum((1, 2))
    mx, my = ((weights * place).sum((1, 2)) / mass for place in (x, y))
    second = [
        (weights * one * other).sum((1, 2)) / mass - a * b
        for one, other, a, b in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    ]
    return torch.stack([mass, mx, my, *second], dim=1)


def test_the_mnist_pipeline_draws_from_the_same_distribution():
    card = torch.zeros(1, 28, 28, dtype=torch.uint8)
    card[:, 7:21, 9:13], card[:, 17:21, 9:19] = (
        130,
        130,
    )  # an L: its moments tell turn, shear, shift and scale
    theirs, ours = (
        moments(images) for images in both("mnist", card, augment.build(augment.DOCUMENT_004), 2000)
    )
    assert (
        (ours.mean(0) - theirs.mean(0)).abs() / ((ours.var(0) + theirs.var(0)) / 2000).sqrt()
    ).max() < 5
    spread = ours.var(0)
    spread[1:3] -= (
        2.8**2 / 3 - (2 * 1 + 1.6 * 4) / 5.6
    )  # Albumentations cuts a shift of up to 2.8 to 0, ±1 or ±2
    assert (spread.sqrt() / theirs.std(0) - 1).abs().max() < 0.1


def test_the_mnist_pipelines_affine_scales_alike_along_both_axes_and_shears_along_x_alone():
    affine_step = albumentations_pipeline("mnist").transforms[1]
    affine_step.set_random_seed(0)
    drawn = [
        affine_step.get_params_dependent_on_data({"shape": (28, 28, 1)}, {}) for _ in range(1000)
    ]
    matrix = torch.stack([torch.from_numpy(draw["matrix"])[:2, :2] for draw in drawn])
    scale = torch.tensor([draw["scale"]["x"] for draw in drawn], dtype=torch.float64)
    torch.testing.assert_close(matrix.det(), scale**2)
    torch.testing.assert_close(
        matrix[:, 1].norm(dim=1), scale
    )  # a shear along y would stretch the second row
    angle = torch.atan2(matrix[:, 1, 0], matrix[:, 1, 1]).rad2deg()
    shear = ((matrix[:, 0] * matrix[:, 1]).sum(1) / scale**2).atan().rad2deg()
    for values, low, high in ((scale, 0.8, 1.2), (angle, -7, 7), (shear, -10, 10)):
        assert low <= values.min() and values.max() <= high
        assert abs(chi_square(torch.histc(values, 10, low, high))) < 4
