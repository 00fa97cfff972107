"""The same augmentation in Albumentations, image by image, as most people write it."""

import os
from typing import Any

from helpers.environment import CourseError, short_reason, unknown


def albumentations_pipeline(name: str) -> Any:
    """The same recipe in Albumentations 2, normalised, as it is taught elsewhere.

    ``mnist`` is report 004's, ``cifar10`` crop, flip and cutout. Call it as
    ``pipeline(image=array)["image"]`` with uint8 arrays [H, W, C]; it returns float32 [H, W, C]. It
    shifts by whole pixels, and draws from a state of its own: ``pipeline.set_random_seed(seed)``.

    Raises ``CourseError`` for another name, or where Albumentations cannot be imported.
    """
    from helpers.data.known import KNOWN

    if name not in KNOWN:
        raise unknown("pipeline", name, KNOWN)
    A = import_albumentations()
    # The steps for MNIST or for CIFAR-10; the fill of the latter is the mean colour.
    mean = KNOWN[name].mean
    std = KNOWN[name].std
    if name == "mnist":
        steps = [
            A.Rotate(7, p=1),
            A.Affine(
                rotate=(-7, 7),
                translate_percent=(-0.1, 0.1),
                scale=(0.8, 1.2),
                keep_ratio=True,  # one factor for both axes
                shear={"x": (-10, 10), "y": 0},
                p=1,
            ),
            A.ColorJitter(
                brightness=(0.6, 1.4),
                contrast=(0.6, 1.4),
                saturation=(1, 1),
                hue=(0, 0),
                p=1,
            ),
        ]
    else:
        steps = [
            A.PadIfNeeded(40, 40, border_mode=0, fill=0),
            A.RandomCrop(32, 32),
            A.HorizontalFlip(p=0.5),
            # Older arguments, as max_holes and max_height, are only warned of, and then ignored.
            A.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=(8, 8),
                hole_width_range=(8, 8),
                fill=[255 * value for value in mean],
                p=1,
            ),
        ]
    # From bytes to numbers with a mean of 0 and a deviation of 1, as Batches does.
    steps.append(A.Normalize(mean=mean, std=std, max_pixel_value=255))
    return A.Compose(steps)


def import_albumentations() -> Any:
    """The module ``albumentations``; a ``CourseError`` that names the real cause where it fails."""
    # Its import would ask the network for a newer version.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ModuleNotFoundError as problem:
        if problem.name == "albumentations":
            raise CourseError(
                "albumentations is not installed: pip install 'albumentations>=2,<3'"
            ) from None
        raise CourseError(
            f"albumentations needs {problem.name}, which is not installed: "
            "pip install --force-reinstall 'albumentations>=2,<3'"
        ) from problem
    except ImportError as problem:
        # OpenCV, which it stands on, wants libraries of the system that servers often lack.
        cause = short_reason(problem)
        help_text = "pip install --force-reinstall 'albumentations>=2,<3'"
        if ".so" in cause:
            help_text = (
                "pip uninstall -y opencv-python opencv-contrib-python, then "
                "pip install --force-reinstall opencv-python-headless"
            )
        raise CourseError(
            f"albumentations is installed, but cannot be imported ({cause}): {help_text}"
        ) from problem
    return albumentations
