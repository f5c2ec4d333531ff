"""Runs of small networks on small frames, for the tests of training."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from napari_darl.synthetic.phantom import phantom_angiogram
from napari_darl.training.config import TrainingConfig, training_config


def small(steps: int, *, preset: str = "lite", c_darl: bool = False, **changes: object) -> TrainingConfig:
    """Return the preset's recipe for networks of some thousand parameters on crops of 64 px, two a step."""
    config = training_config(preset, c_darl=c_darl, steps=steps, seed=3)
    published = preset == "published"
    denoiser = {"channels": 32 if published else 4, "multipliers": (1, 2), "attention_levels": ()}
    model = config.model.updated(
        side=96,
        denoiser=config.model.denoiser.updated(**denoiser, blocks=1),
        generator=config.model.generator.updated(widths=(4, 6), blocks=1, spade_channels=4),
        discriminator=config.model.discriminator.updated(widths=(4, 8)),
    )
    draws = config.draws.updated(size=64)
    return config.updated(model=model, draws=draws, batch=2, pool=4, preview_every=10, falling=0.0).updated(**changes)


def stack(count: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Return frames of different sizes and dtypes, vessels dark."""
    rng = np.random.default_rng(seed)
    frames = [phantom_angiogram((80 + 8 * i, 96), rng)[0] for i in range(count)]
    frames[0] = ((frames[0] + 1) * 127.5).astype(np.uint8)
    frames[1] = ((frames[1] + 1) * 2000).astype(np.uint16)
    return frames


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a run's checkpoint."""
    return load_file(folder / "checkpoint.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Return whether names and values are the same to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
