"""Checkpoints like the released ones, with random weights that depend on the names of the parameters only."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FIXTURES = Path(__file__).parents[1] / "fixtures"


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return values for a parameter: kernels of variance 1 / fan_in, scales near 1, biases near 0."""
    if name.endswith(("weight_u", "weight_v")):
        return np.full(shape, 1 / np.sqrt(np.prod(shape)), dtype=np.float32)
    draw = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        draw /= np.sqrt(np.prod(shape[1:]))
        if name.endswith("weight_orig"):
            draw += 2 / np.sqrt(np.prod(shape))
    elif name.endswith("weight"):
        draw = 1 + 0.1 * draw
    else:
        draw *= 0.1
    return draw.astype(np.float32)


def write_checkpoints(folder: Path) -> Path:
    """Write X_G.pth, X_Ds.pth and X_Da.pth; return the path of X_G.pth."""
    keys = json.loads((FIXTURES / "published_keys.json").read_text())
    for part in keys:
        prefix = "" if part == "G" else f"{part}."
        state: dict[str, Tensor] = {
            name: torch.from_numpy(fill(prefix + name, tuple(shape))) for name, shape in keys[part].items()
        }
        torch.save(state, folder / f"X_{part}.pth")
    return folder / "X_G.pth"
