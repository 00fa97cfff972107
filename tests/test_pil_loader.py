"""A DataLoader over PIL images is what document 004 wrote, repeats itself, and can be resumed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler
from torchvision import transforms

from helpers.augment.affine import RandomAffine
from helpers.data import Batches, ImageSplit, load
from helpers.data.known import KNOWN
from helpers.data.pil_loader import PilImages, pil_batches, pil_transform
from helpers.environment import CourseError, seed_everything
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.reach import code_digest
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import train_net, training_batches
from helpers.models.small import PointwiseNet

RECIPE = EXPERIMENTS["pointwise-as-written"]
CPU = torch.device("cpu")

# The document's own text, with its comments left out.
WRITTEN = """
train_transforms = transforms.Compose([
    transforms.RandomRotation((-7.0, 7.0), fill=(1,)),
    transforms.RandomAffine(degrees=7, shear=10, translate=(0.1, 0.1), scale=(0.8, 1.2)),
    transforms.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.40, hue=0.1),
    transforms.ToTensor(),
    transforms.Normalize((0.1307,), (0.3081,))
])
"""
WRITTEN_NET = """
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False) # 26 * 26 * 8
        self.bn1 = nn.BatchNorm2d(8) # 26 * 26 * 8
        self.conv2 = nn.Conv2d(8, 16, 3, bias=False) # 24 * 24 * 16
        self.bn2 = nn.BatchNorm2d(16) # 24 * 24 * 16
        self.pool1 = nn.MaxPool2d(2, 2) # 12 * 12 * 16
        self.conv3 = nn.Conv2d(16, 8, 1, bias=False) # 12 * 12 * 8
        self.bn3 = nn.BatchNorm2d(8) # 12 * 12 * 8

        self.conv4 = nn.Conv2d(8, 16, 3, bias=False) # 10 * 10 * 16
        self.bn4 = nn.BatchNorm2d(16) # 10 * 10 * 16
        self.conv5 = nn.Conv2d(16, 24, 3, bias=False) # 8 * 8 * 24
        self.bn5 = nn.BatchNorm2d(24) # 8 * 8 * 24



        self.pool2 = nn.AvgPool2d(8) # 1 * 1 * 24

        self.conv6 = nn.Conv2d(24, 32, 1, bias=False) # 1 * 1 * 32
        self.bn6 = nn.BatchNorm2d(32) # 1 * 1 * 32
        self.conv7 = nn.Conv2d(32, 16, 1, bias=False) # 1 * 1 * 16
        self.bn7 = nn.BatchNorm2d(16) # 1 * 1 * 16
        self.conv8 = nn.Conv2d(16, 10, 1, bias=False) # 1 * 1 * 10

        self.dropout = nn.Dropout(0.03)


    def forward(self, x):
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.dropout(x)
        x = F.relu(x)

        x = self.conv2(x)
        x = self.bn2(x)
        x = self.dropout(x)
        x = self.pool1(x)

        x = self.conv3(x)
        x = self.bn3(x)
        x = self.dropout(x)

        x = self.conv4(x)
        x = F.relu(x)
        x = self.bn4(x)
        x = self.dropout(x)

        x = self.conv5(x)
        x = F.relu(x)
        x = self.bn5(x)
        x = self.dropout(x)
        x = self.pool2(x)

        x = self.conv6(x)
        x = F.relu(x)
        x = self.bn6(x)
        x = self.dropout(x)

        x = self.conv7(x)
        x = F.relu(x)
        x = self.bn7(x)
        x = self.dropout(x)

        x = self.conv8(x)
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)
"""


def written(text: str, name: str):
    """What a text of the document's makes."""
    names = {"transforms": transforms, "nn": nn, "F": nn.functional}
    exec(text, names)
    return names[name]


def digits(count: int) -> ImageSplit:
    return load("mnist", validation=0).train.subset(range(count))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The images.


# The document's transforms, each with nothing to draw from.
STILL = (
    ("RandomRotation", {"degrees": [0, 0], "fill": [1]}),
    ("RandomAffine", {"degrees": 0, "shear": [0, 0], "translate": [0, 0], "scale": [1, 1]}),
    ("ColorJitter", {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}),
)


@pytest.mark.parametrize("name, steps", [("mnist", ()), ("mnist", STILL), ("cifar10", ())])
def test_with_transforms_that_do_nothing_the_batches_are_those_of_batches(name, steps):
    split = load(name, validation=0).train.subset(range(50))
    plain = replace(RECIPE, augment=steps, batch_size=16)
    loader = pil_batches(split, plain, CPU, seeded(3))
    mine, theirs = list(loader), list(Batches(split, 16))
    assert len(loader) == len(mine) == 4 and loader.dataset[7][1] == split.labels[7]
    assert [images.dtype for images, _ in mine] == [torch.float32] * 4
    assert [labels.dtype for _, labels in mine] == [torch.int64] * 4

    # In another order: the images of a label and place are found again by their pixels.
    found = torch.cat([images for images, _ in mine])
    wanted = torch.cat([images for images, _ in theirs])
    places = torch.cdist(found.flatten(1), wanted.flatten(1)).argmin(1)
    assert sorted(places.tolist()) == list(range(50)) != places.tolist()
    torch.testing.assert_close(found, wanted[places])
    assert torch.equal(torch.cat([labels for _, labels in mine]), split.labels[places])


def test_every_image_is_torchvisions_own_of_the_same_pixels():
    """As torchvision's MNIST hands it out: ``Image.fromarray`` of the grey bytes."""
    split = digits(20)
    seen = PilImages(split, lambda image: image)
    for index in range(20):
        image, label = seen[index]
        assert image.mode == "L" and image.size == (28, 28) and type(label) is int
        assert image.tobytes() == Image.fromarray(split.images[index, 0].numpy()).tobytes()


# The document's transforms.


def test_the_transforms_are_the_documents_in_its_order_and_with_its_arguments():
    mine = pil_transform(RECIPE.augment, digits(1)).transforms
    theirs = written(WRITTEN, "train_transforms").transforms
    assert [type(each) for each in mine] == [type(each) for each in theirs] and len(mine) == 5
    for one, other in zip(mine, theirs):
        # A recipe has lists, because a record has them.
        public = {key: value for key, value in vars(other).items() if not key.startswith("_")}
        same = {key: vars(one)[key] for key in public}
        assert json.dumps(same, default=str) == json.dumps(public, default=str)
    nearest = transforms.InterpolationMode.NEAREST
    assert [each.interpolation for each in mine[:2]] == [nearest] * 2
    assert KNOWN["mnist"].mean == (0.1307,) and KNOWN["mnist"].std == (0.3081,)


def test_the_batches_are_those_of_the_documents_loader_with_equal_random_numbers():
    split, theirs = digits(40), written(WRITTEN, "train_transforms")
    torch.manual_seed(5)
    mine = list(pil_batches(split, replace(RECIPE, batch_size=16), CPU, seeded(3)))

    # The oracle: the document's transform on one picture after the other, in torch's own order.
    order = DataLoader(torch.arange(40), batch_size=16, shuffle=True, generator=seeded(3))
    torch.manual_seed(5)
    for (images, labels), places in zip(mine, order, strict=True):
        pictures = [Image.fromarray(split.images[place, 0].numpy()) for place in places]
        assert torch.equal(images, torch.stack([theirs(picture) for picture in pictures]))
        assert torch.equal(labels, split.labels[places])


def test_a_loader_shuffles_on_this_process_alone():
    loader = pil_batches(digits(10), RECIPE, CPU, seeded())
    assert loader.num_workers == 0 and loader.drop_last is False and loader.pin_memory is False
    assert not isinstance(loader.sampler, SequentialSampler) and loader.batch_size == 128


def test_a_loader_repeats_itself_with_its_seed_and_goes_on_with_other_images():
    split = digits(20)

    def epochs(seed):
        loader = pil_batches(split, RECIPE, CPU, seed_everything(seed))
        return [next(iter(loader))[0] for _ in range(2)]

    first, second = epochs(1)
    again = epochs(1)
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    assert not torch.equal(first, second) and not torch.equal(first, epochs(2)[0])


@pytest.mark.parametrize(
    "steps, words",
    [
        ([("RandomRotatoin", {"degrees": 7})], "RandomRotatoin'; choose one of: RandomRotation"),
        ([("functional", {})], "unknown transform of torchvision 'functional'"),
        ([("RandomRotation", {"degree": 7})], "torchvision's RandomRotation: .*'degree'"),
        ([("RandomRotation", {"degrees": -7})], "torchvision's RandomRotation: .*positive"),
    ],
)
def test_a_transform_that_torchvision_does_not_have_is_one_line(steps, words):
    with pytest.raises(CourseError, match=words) as error:
        pil_transform(steps, digits(1))
    assert "\n" not in str(error.value)


# The recipe.


def test_the_recipe_differs_from_ours_in_its_images_alone():
    mine, other = (
        EXPERIMENTS[name].hyperparameters()
        for name in ("pointwise-as-written", "pointwise-document")
    )
    changed = {key for key in mine if mine[key] != other[key]}
    assert changed == {"name", "batches", "augment"} and mine.keys() == other.keys()
    assert (
        RECIPE.baseline == "pointwise-document"
        and RECIPE.claim == EXPERIMENTS["pointwise-document"].claim
    )


def test_the_recipe_is_that_of_the_documents_code():
    model = RECIPE.build_model()
    oracle = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    assert RECIPE.build_optimizer(model).defaults == oracle.defaults
    # Its StepLR is made, and its step() is commented out.
    assert RECIPE.build_scheduler(oracle, 469) is None
    assert (RECIPE.batch_size, RECIPE.epochs) == (128, 15)
    assert isinstance(model, PointwiseNet) and model.dropout.p == 0.03
    assert (RECIPE.label_smoothing, RECIPE.average, RECIPE.mixed) == (0.0, 0.0, False)


@pytest.mark.parametrize("training", [True, False])
def test_the_net_and_its_loss_are_those_of_the_documents_code(training):
    """With equal first weights, dropout and images: equal losses and gradients."""
    images, labels = next(iter(Batches(digits(16), 16)))
    torch.manual_seed(1)
    mine = PointwiseNet().train(training)
    torch.manual_seed(1)
    theirs = written(WRITTEN_NET, "Net")().train(training)
    torch.manual_seed(2)
    loss = RECIPE.loss(mine(images), labels)
    torch.manual_seed(2)
    wanted = nn.functional.nll_loss(theirs(images), labels)
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    wanted.backward()
    for number in range(8):
        gradient = getattr(theirs, f"conv{number + 1}").weight.grad
        torch.testing.assert_close(mine.convs[number].weight.grad, gradient)
    for number in range(7):
        gradient = getattr(theirs, f"bn{number + 1}").weight.grad
        torch.testing.assert_close(mine.norms[number].weight.grad, gradient)


def test_a_recipe_names_its_batches_by_a_path():
    loader = training_batches(RECIPE, digits(10), CPU, seeded())
    assert isinstance(loader, DataLoader) and RECIPE.part_paths() == [
        "models.small.PointwiseNet",
        "data.pil_loader.pil_batches",
    ]
    ours = training_batches(EXPERIMENTS["pointwise-document"], digits(10), CPU, seeded())
    assert isinstance(ours, Batches) and isinstance(ours.augment.transforms[0], RandomAffine)
    for path, words in (
        ("data.pil_loader.pil_batchs", "unknown batches .*choose one of: data.pil_loader.pil_b"),
        ("data.pil_loadr.pil_batches", "no module helpers.data.pil_loadr exists"),
        ("pil_batches", "unknown batches 'pil_batches'; choose one of: a path such as"),
    ):
        with pytest.raises(CourseError, match=words):
            training_batches(replace(RECIPE, batches=path), digits(10), CPU, seeded())


def test_an_older_record_has_no_batches_of_its_own():
    kept = FIRST.hyperparameters()
    del kept["batches"]
    assert Recipe.completed(kept) == FIRST.hyperparameters()
    assert Recipe.restored(kept).batches == ""
    written_down = json.loads(json.dumps(RECIPE.hyperparameters()))
    assert Recipe.restored(written_down).hyperparameters() == RECIPE.hyperparameters()


def test_the_loaders_file_counts_for_its_recipe_alone(tmp_path):
    package = tmp_path / "helpers"
    for name in ("experiments/runs.py", "data/pil_loader.py", "models/small.py", "__init__.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    ours = EXPERIMENTS["pointwise-document"]
    before = code_digest(RECIPE, package), code_digest(ours, package)
    (package / "data" / "pil_loader.py").write_text("# changed")
    after = code_digest(RECIPE, package), code_digest(ours, package)
    assert after[0] != before[0] and after[1] == before[1]


# Stopped and resumed.


class Stopped(Exception):
    """The run is killed here."""


def short_run(path, stop_after: int = 0):
    """Three epochs of two steps, perhaps stopped after an epoch: the weights and the rows."""

    def stop(row):
        if row["epoch"] == stop_after:
            raise Stopped

    recipe, split = replace(RECIPE, epochs=3, peak_epoch=1, batch_size=16), digits(32)
    options = {"checkpoint": path, "show": False, "on_epoch": stop}
    net, history = train_net(recipe, 0, split, split, **options)
    rows = []
    for row in history.epochs:
        rows.append(row | {"seconds": 0})
    return net.state_dict(), rows


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_stopped_run_goes_on_with_exactly_the_numbers_of_one_that_was_not(tmp_path, stop_after):
    weights, rows = short_run(tmp_path / "whole")
    with pytest.raises(Stopped):
        short_run(tmp_path / "stopped", stop_after)
    torch.rand(17)  # what happens in between does not count
    again, other = short_run(tmp_path / "stopped")
    assert other == rows and len({row["train_loss"] for row in rows}) == 3
    assert weights.keys() == again.keys()
    for name, value in weights.items():
        assert torch.equal(value, again[name])
