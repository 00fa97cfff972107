"""The notebooks run in the fast profile under pytest, also when only this folder is given to it."""

import os

os.environ.update(COURSE_SMOKE="1", NO_ALBUMENTATIONS_UPDATE="1")
os.environ.pop("COURSE_TRAIN", None)
