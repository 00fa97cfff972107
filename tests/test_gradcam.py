"""Grad-CAM against class activation maps, and against a gradient that is worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.environment import CourseError
from helpers.interpret.gradcam import ORANGE, STRENGTH, coloured, grad_cam
from helpers.models.resnet9 import ResNet9


class Averaged(nn.Module):
    """A convolution, the mean over all places, one linear layer: CAM is defined for this alone."""

    def __init__(self, channels=5, classes=4):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.ReLU())
        self.linear = nn.Linear(channels, classes)

    def forward(self, images):
        return self.linear(self.features(images).mean((2, 3)))


@pytest.fixture
def images():
    return torch.randn(6, 3, 7, 5, generator=torch.Generator().manual_seed(1))


def test_with_a_global_average_it_is_the_class_activation_map_up_to_a_factor(images):
    torch.manual_seed(0)
    net = Averaged()
    classes = torch.tensor([0, 1, 2, 3, 0, 1])
    found = grad_cam(net, net.features, images, classes)
    # CAM (Zhou and others, 2016): the class's own weights times the maps.
    with torch.no_grad():
        maps = net.features(images)
        weights = net.linear.weight[classes]
        activation = torch.einsum("nc,nchw->nhw", weights, maps).relu()
    # The mean over 35 places divides every gradient by 35.
    assert torch.allclose(35 * found, activation, atol=1e-5)
    assert found.max() > 0 and found.shape == (6, 7, 5)


def test_with_max_pooling_the_gradient_is_at_the_highest_place(images):
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU())
    net = nn.Sequential(features, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    found = grad_cam(net, features, images, [2] * 6)
    with torch.no_grad():
        maps = features(images)
        # A map's gradient is its weight at one place and 0 at the 34 others, if it answers at all.
        alive = (maps.amax((2, 3)) > 0).float()
        weights = net[3].weight[2] / 35 * alive
        by_hand = (weights[:, :, None, None] * maps).sum(1).clamp(min=0)
    assert torch.allclose(found, by_hand, atol=1e-6)


def test_numerical_differences_give_the_same_map(images):
    torch.manual_seed(3)
    features = nn.Conv2d(3, 2, 3)
    rest = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(2 * 5 * 3, 3)).double()
    net = nn.Sequential(features.double(), rest)
    one = images[:1].double()
    found = grad_cam(net, features, one, [1])[0]
    with torch.no_grad():
        maps = features(one)
        weights = torch.zeros(2, dtype=torch.float64)
        for channel in range(2):
            for row in range(5):
                for column in range(3):
                    moved = maps.clone()
                    moved[0, channel, row, column] += 1e-5
                    slope = (rest(moved) - rest(maps))[0, 1] / 1e-5
                    weights[channel] += slope / 15
    expected = (weights[:, None, None] * maps[0]).sum(0).clamp(min=0)
    assert torch.allclose(found, expected, atol=1e-4)


def test_each_image_has_the_map_that_it_has_alone(images):
    torch.manual_seed(0)
    net = ResNet9(width=4).train()
    images = torch.randn(3, 3, 32, 32)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    together = grad_cam(net, net.layer3, images, [0, 5, 9])
    alone = [grad_cam(net, net.layer3, images[i : i + 1], [c]) for i, c in enumerate((0, 5, 9))]
    assert together.shape == (3, 4, 4)
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)
    # Modes, statistics and gradients are as they were.
    assert net.training and all(each.training for each in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_it_works_inside_no_grad_and_on_frozen_weights(images):
    net = Averaged().requires_grad_(False)
    with torch.no_grad():
        assert grad_cam(net, net.features, images, [0] * 6).shape == (6, 7, 5)
    assert not net.features._forward_hooks


def test_what_is_no_layer_of_maps_is_refused(images):
    net = Averaged()
    with pytest.raises(CourseError, match="net.layer3"):
        grad_cam(net, net.linear, images, [0] * 6)
    with pytest.raises(CourseError, match="used once"):
        grad_cam(net, nn.Conv2d(3, 1, 1), images, [0] * 6)
    with pytest.raises(CourseError, match="2 classes for 6 images"):
        grad_cam(net, net.features, images, [0, 1])
    assert not net.features._forward_hooks


@pytest.mark.parametrize(
    "classes, words",
    [
        (3, r"the classes are int64 \[\]"),
        ([2.7] * 6, r"the classes are float32 \[6\]"),
        ([True] * 6, r"the classes are bool \[6\]"),
        (torch.zeros(6, 1, dtype=torch.int64), r"the classes are int64 \[6, 1\]"),
        ("cat", "the classes are something of type str"),
        (["cat"] * 6, "the classes are something of type list"),
        (None, "the classes are something of type NoneType"),
    ],
)
def test_classes_are_a_whole_number_for_each_image(images, classes, words):
    net = Averaged()
    net.register_forward_hook(lambda *_: pytest.fail("the net ran"))
    with pytest.raises(CourseError, match=f"^grad_cam: {words}: .* for each of the 6 images$"):
        grad_cam(net, net.features, images, classes)
    assert not net.features._forward_hooks


def test_classes_may_be_whole_numbers_of_any_type(images):
    net = Averaged()
    classes = [0, 1, 2, 3, 0, 1]
    wanted = grad_cam(net, net.features, images, classes)
    for dtype in (torch.uint8, torch.int32):
        given = torch.tensor(classes, dtype=dtype)
        assert torch.equal(grad_cam(net, net.features, images, given), wanted)


def test_images_are_a_tensor_of_floats(images):
    net = Averaged()
    wanted = r"give a tensor of floats \[N, C, H, W\], normalised"
    for wrong, found in (
        ((255 * images).byte(), r"uint8 \[6, 3, 7, 5\]"),
        (images[0], r"float32 \[3, 7, 5\]"),
        (list(images), "something of type list"),
        (images.numpy(), "something of type ndarray"),
    ):
        with pytest.raises(CourseError, match=f"^grad_cam: the images are {found}: {wanted}"):
            grad_cam(net, net.features, wrong, [0] * 6)


def test_maps_of_more_images_than_were_given_are_no_maps_of_these(images):
    class Twice(Averaged):
        def forward(self, images):
            return super().forward(images.repeat(2, 1, 1, 1))[:6]

    net = Twice()
    with pytest.raises(CourseError, match="of its N images"):
        grad_cam(net, net.features, images, [0] * 6)


def test_the_colour_is_strongest_at_the_highest_place():
    images = torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)
    maps = torch.zeros(2, 2, 2)
    maps[0, 1, 1] = 3.0
    drawn = coloured(images, maps)
    assert drawn.dtype == torch.uint8 and drawn.shape == images.shape
    # The highest corner is orange, as far as the colour covers; the opposite one stays grey.
    expected = [round((1 - STRENGTH) * 200 + STRENGTH * value) for value in ORANGE]
    assert drawn[0, :, 7, 7].tolist() == expected
    assert drawn[0, :, 0, 0].tolist() == [200, 200, 200]
    assert (drawn[1] == 200).all()


def test_an_image_loses_its_colours_and_keeps_its_light():
    image = torch.tensor([[[[30]], [[60]], [[90]]]], dtype=torch.uint8)
    assert coloured(image, torch.zeros(1, 1, 1)).flatten().tolist() == [60, 60, 60]
    grey = torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)
    assert coloured(grey, torch.zeros(1, 1, 1)).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_relu_that_writes_into_its_input_changes_no_map(images, layer):
    def net(inplace):
        torch.manual_seed(4)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )

    plain, writing = net(False), net(True)
    wanted = grad_cam(plain, plain[layer], images, [0, 1, 2, 0, 1, 2])
    found = grad_cam(writing, writing[layer], images, [0, 1, 2, 0, 1, 2])
    assert torch.equal(found, wanted) and wanted.max() > 0


def test_what_is_no_net_and_what_it_cannot_answer_is_refused(images):
    net = Averaged()
    with pytest.raises(CourseError, match="grad_cam: give a net, .* not something of type func"):
        grad_cam(lambda x: x, net.features, images, [0] * 6)
    with pytest.raises(CourseError, match="give a layer, such as net.layer3, not .* type str"):
        grad_cam(net, "features", images, [0] * 6)
    with pytest.raises(CourseError, match="the net cannot calculate with images float32"):
        grad_cam(net, net.features, images[:, :1], [0] * 6)
    for wrong in (4, -1):
        with pytest.raises(CourseError, match=f"no class {wrong} .* 4 logits: .* from 0 to 3"):
            grad_cam(net, net.features, images, [0, 1, wrong, 3, 0, 1])

    class Two(Averaged):
        def forward(self, images):
            return super().forward(images), images

    two = Two()
    with pytest.raises(CourseError, match="returns a tuple: .* the logits alone"):
        grad_cam(two, two.features, images, [0] * 6)
    assert not net.features._forward_hooks and not two.features._forward_hooks
