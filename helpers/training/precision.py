"""Mixed precision: forward passes in 16 bits where a device is fast at them, weights in 32.

Micikevicius and others, "Mixed Precision Training", 2018.
"""

import torch
from torch.amp import GradScaler

from helpers.environment import half_precision


def loss_scaler(device: torch.device) -> GradScaler:
    """A scaler that multiplies losses, so that small gradients do not become 0 in float16.

    On a device that does not train in float16 it does nothing. It begins at 1,024, so that the
    first step is taken: torch's 65,536 overflows for some nets, and a step whose gradients overflow
    is skipped.
    """
    # bfloat16 has the range of float32, and needs no scaling.
    enabled = half_precision(device) == torch.float16
    return GradScaler(device.type, init_scale=1024.0, enabled=enabled)


def forward_precision(scaler: GradScaler | None, device: torch.device) -> torch.autocast:
    """The context of a forward pass: in 16 bits with a scaler, where the device is fast at them."""
    # None stands for float32.
    half = None
    if scaler is not None:
        half = half_precision(device)
    return torch.autocast(device.type, half, enabled=half is not None)
