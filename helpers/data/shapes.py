"""The ten shapes of the practice data: which points (x, y) belong to each.

Every shape lies about the middle (0, 0), within a circle of radius 1.25. A function takes the
points' places, two tensors of equal shape, and returns truth values of that shape.
"""

import math

import torch


def largest(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The larger of the distances from both axes: its lines of equal value are squares."""
    return torch.maximum(x.abs(), y.abs())


def smallest(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The smaller of the distances from both axes: its lines of equal value are crosses."""
    return torch.minimum(x.abs(), y.abs())


def half_planes(x: torch.Tensor, y: torch.Tensor, sides: int, distance: float) -> torch.Tensor:
    """On how many of ``sides`` half planes each point lies.

    They are turned evenly, and their edges are ``distance`` away from the middle.
    """
    count = torch.zeros_like(x, dtype=torch.int32)
    for side in range(sides):
        turn = 2 * math.pi * side / sides
        reach = x * math.cos(turn) + y * math.sin(turn)
        count += reach <= distance
    return count


# Round shapes. The numbers make all shapes about equally large.


def disc(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.hypot(y) < 0.85


def ring(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    radius = x.hypot(y)
    return (radius < 1.0) & (radius > 0.6)


# Square shapes.


def square(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return largest(x, y) < 0.75


def frame(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (largest(x, y) < 0.85) & (largest(x, y) > 0.5)


# Shapes with straight edges: the points inside of all edges, or of all but one.


def triangle(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return half_planes(x, y, sides=3, distance=0.5) == 3


def star(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return half_planes(x, y, sides=5, distance=0.33) >= 4


# The rest: thin shapes, and shapes that a part is cut out of.


def cross(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (smallest(x, y) < 0.25) & (largest(x, y) < 0.95)


def crescent(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    bite = (x - 0.5).hypot(y) > 0.8
    return (x.hypot(y) < 1.0) & bite


def bar(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x.abs() < 0.25) & (y.abs() < 1.0)


def corner(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    outer = torch.minimum(x, y) < -0.2
    return (largest(x, y) < 0.75) & outer


# In the order of the labels, from 0 to 9.
SHAPES = (disc, ring, square, frame, triangle, star, cross, crescent, bar, corner)
