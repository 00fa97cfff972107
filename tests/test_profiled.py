"""A profiler's operations have times that add up, and know what is around them."""

from __future__ import annotations

import torch
from torch.profiler import record_function

from helpers.training.profiled import own_times


def work():
    matrix = torch.randn(200, 200)
    with record_function("outer"):
        torch.nn.functional.linear(matrix, matrix)


def test_own_times_count_nothing_twice():
    events = own_times(work, torch.device("cpu"))
    times = {event.name: own for event, own in events}
    assert {"outer", "aten::linear", "aten::randn"} <= times.keys()
    assert all(own >= 0 for own in times.values())
    outermost = [event.cpu_time_total for event, _ in events if event.cpu_parent is None]
    assert abs(sum(own for _, own in events) - sum(outermost)) <= 0.01 * sum(outermost)


def test_an_operation_knows_what_is_around_it():
    for event, _ in own_times(work, torch.device("cpu")):
        if event.name == "aten::linear":
            assert event.cpu_parent.name == "outer"
            break
    else:
        raise AssertionError("aten::linear was not seen")
