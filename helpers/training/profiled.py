"""What a profiler saw: each operation with its own time."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def own_times(work: Callable[[], Any], device: torch.device) -> list[tuple[Any, float]]:
    """Call ``work``, and return each of torch's operations in it with its own microseconds.

    An operation's own time is what it takes without those that it calls, so that the sum over all
    of them counts nothing twice. On a CUDA device it is the time of the device, else the program's.
    An operation has a ``name``, and ``cpu_parent``, the one around it (None outermost).
    """
    # The profiler would write messages of its own between the lines of a notebook.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    on_gpu = device.type == "cuda"
    watched = [ProfilerActivity.CPU]
    if on_gpu:
        watched.append(ProfilerActivity.CUDA)
    with profile(activities=watched) as profiled:
        work()

    times = []
    for event in profiled.events():
        # What the device does is listed once more by itself, with nothing around it.
        if event.device_type != torch.autograd.DeviceType.CPU:
            continue
        own = event.self_cpu_time_total
        if on_gpu:
            own = event.self_device_time_total
        times.append((event, own))
    return times
