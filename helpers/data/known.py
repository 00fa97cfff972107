"""What is known of each data set before it is read."""

from typing import NamedTuple

from helpers.environment import CourseError


class DataError(CourseError):
    """A data set that cannot be read or used as asked; one line that names the file or value and the way out."""


class Known(NamedTuple):
    """What is known of a data set before it is read; its reader, folder and published md5 sums are torchvision's."""

    title: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]  # per channel, 1 is white, as is std
    std: tuple[float, ...]
    shape: tuple[int, int, int]  # channels, height, width
    reader: str
    folder: str
    md5: dict[str, str]


KNOWN = {
    "mnist": Known(
        "MNIST",
        tuple("0123456789"),
        (0.1307,),
        (0.3081,),
        (1, 28, 28),
        "MNIST",
        "MNIST/raw",
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "cifar10": Known(
        "CIFAR-10",
        tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        (3, 32, 32),
        "CIFAR10",
        "cifar-10-batches-py",
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
}
