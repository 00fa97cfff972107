"""What is known of each data set before it is read: its names, its numbers, its published files."""

from typing import NamedTuple

import torch

from helpers.environment import DATA_PLACES, CourseError


class DataError(CourseError):
    """A data set that cannot be read or used as asked; the line says what is wrong."""


class Known(NamedTuple):
    """One data set, as its authors published it and as torchvision lays it out."""

    # What it is called, and what its labels 0, 1, … mean.
    title: str
    classes: tuple[str, ...]

    # Its pixels: mean and standard deviation of the training images, where white is 1.
    mean: tuple[float, ...]  # one value per channel
    std: tuple[float, ...]  # one value per channel
    shape: tuple[int, int, int]  # channels, height, width

    # Where it lies in the data folder.
    folder: str  # torchvision's files
    class_folder: str  # images in one folder per class
    train_zip: str  # a zip of such folders; that of the test images has test for train
    archive: str | None  # one file that packs all of torchvision's

    # The published files.
    reader: str  # the class in torchvision.datasets that downloads them
    starts: dict[str, str]  # how the names of a split's files begin
    md5: dict[str, str]  # all of them, with their md5 sums

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Images uint8 [N, C, H, W] as a net of this data set gets them, float32, same shape.

        A mean of 0 and a deviation of 1 in every channel, over the training images.
        """
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        std = torch.tensor(self.std).view(-1, 1, 1)
        return (images / 255 - mean) / std


MNIST = Known(
    title="MNIST",
    classes=tuple("0123456789"),
    mean=(0.1307,),
    std=(0.3081,),
    shape=(1, 28, 28),
    folder=DATA_PLACES["mnist"][0],
    class_folder=DATA_PLACES["mnist"][1],
    train_zip=DATA_PLACES["mnist"][2],
    archive=None,
    reader="MNIST",
    starts={"train": "train", "test": "t10k"},
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)

CIFAR10 = Known(
    title="CIFAR-10",
    classes=tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    shape=(3, 32, 32),
    folder=DATA_PLACES["cifar10"][0],
    class_folder=DATA_PLACES["cifar10"][1],
    train_zip=DATA_PLACES["cifar10"][2],
    archive=DATA_PLACES["cifar10"][3],
    reader="CIFAR10",
    starts={"train": "data_batch", "test": "test_batch"},
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)

KNOWN = {"mnist": MNIST, "cifar10": CIFAR10}
