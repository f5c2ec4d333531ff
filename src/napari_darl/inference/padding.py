"""Enlarging of frames to sizes that a network can halve."""

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(frames: Tensor, stride: int) -> Tensor:
    """Enlarge (N, 1, H, W) at the bottom and the right, by reflection, to multiples of `stride`."""
    height, width = frames.shape[2:]
    below, right = -height % stride, -width % stride
    # PyTorch can't reflect more pixels than there are.
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(frames, (0, right, 0, below), mode=mode)
