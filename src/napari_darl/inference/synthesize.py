"""Path B in use: synthetic angiograms with their pseudo-masks, and the cycle back through path A."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from torch import Tensor

from napari_darl.darl.device import is_out_of_memory
from napari_darl.errors import DarlError, InputError
from napari_darl.frames.arrays import showing
from napari_darl.frames.missing import filled
from napari_darl.frames.normalisation import decode, encode, intensity_range, normalise
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.padding import pad_to_multiple
from napari_darl.inference.reverse import ReverseProcess
from napari_darl.synthetic.tree_config import FRAME, TreeConfig
from napari_darl.synthetic.trees import draw_trees

Frame = npt.NDArray[np.float32]

_BACKGROUND = 1  # seed of sampled backgrounds, beside that of the pair: its mask doesn't depend on how they are made
_KEPT = 40  # of a chain of all timesteps, every 40th frame is kept


@dataclass(frozen=True, eq=False)
class SyntheticPair:
    """A synthetic angiogram and what it was made from.

    Attributes
    ----------
    background, angiogram : numpy.ndarray of float32, shape (H, W)
        Linear intensities in [-1, 1].
    mask : numpy.ndarray of bool, shape (H, W)
        The pseudo-mask, which is the angiogram's label.
    cycle_probability : numpy.ndarray of float32, shape (H, W)
        Probability of vessel by path A on the synthetic angiogram, in [0, 1].
    """

    background: Frame
    mask: npt.NDArray[np.bool_]
    angiogram: Frame
    cycle_probability: Frame


def synthesize(
    model: Model | str | Path | None,
    backgrounds: Sequence[npt.NDArray[Any]] | ReverseProcess,
    count: int,
    *,
    noise_level: int = 0,
    seed: int = 0,
    bits: int | None = None,
    trees: TreeConfig | None = None,
    device: str = "auto",
) -> Iterator[SyntheticPair]:
    """Yield synthetic angiograms with their labels, made by path B (Kim et al. 2023, figure 2).

    Pair `i` depends on `seed` and `i` only.

    Parameters
    ----------
    model : Model, str or Path, optional
        What `load_model` returned or takes; by default the bundled model `default`.
    backgrounds : sequence of numpy.ndarray, or ReverseProcess
        Grey frames (H, W) without contrast, of at least 32 x 32 pixels, used in turn; frames of a single value are
        left out. Or how to sample backgrounds from noise.
    count : int
        Number of pairs.
    noise_level : int
        Timestep t_b at which backgrounds are noised, from 0 to one less than the schedule's steps.
    seed : int
        Seed of the random draws.
    bits : int, optional
        Bits that the values of integer backgrounds use, where fewer than their dtype has.
    trees : TreeConfig, optional
        Shape of the vessel trees; by default that of the model's training if its file says so.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`; a loaded `Model` stays on its device.

    Yields
    ------
    SyntheticPair
        Pair 0, 1, ...

    Raises
    ------
    InputError
        If there are no backgrounds, one can't be used, or an option is out of range.

    Examples
    --------
    >>> from napari_darl import synthesize
    >>> from napari_darl.samples import sample_angiogram
    >>> [pair] = synthesize("default", [sample_angiogram()[:128, :128]], count=1)
    >>> pair.angiogram.shape, pair.mask.dtype
    ((128, 128), dtype('bool'))
    """
    used = as_model(model, device)
    config = used.network.config
    trees = trees or _trees_of(used)
    if count < 1:
        raise InputError(f"The number of pairs is {count}. Choose at least 1.")
    if not 0 <= noise_level < config.schedule.steps:
        raise InputError(f"The noise level is {noise_level}. Choose a timestep from 0 to {config.schedule.steps - 1}.")
    if isinstance(backgrounds, ReverseProcess):
        backgrounds.check(config.schedule.steps)
    elif not backgrounds:
        raise InputError("There are no backgrounds. Pass at least one frame.")
    else:
        backgrounds = [filled(frame) for frame in showing(backgrounds, "background")]
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        if isinstance(backgrounds, ReverseProcess):
            background = backgrounds.sample(used, (seed, index, _BACKGROUND))
        else:
            frame = backgrounds[index % len(backgrounds)]
            background = normalise(frame, intensity_range(frame, config.normalisation, bits))
        shape = (background.shape[0], background.shape[1])
        mask = draw_trees(shape, rng, trees, min(shape) / FRAME).mask
        noise = rng.standard_normal(shape, np.float32)
        angiogram, cycle = _path_b(used, encode(background, config.normalisation), mask, noise, noise_level)
        yield SyntheticPair(background, mask, decode(angiogram, config.normalisation), cycle)


def _trees_of(model: Model) -> TreeConfig:
    """Return the vessel trees that a model was trained with, or the default."""
    try:
        return TreeConfig.model_validate(model.info["training"]["draws"]["trees"])
    except (KeyError, TypeError, ValidationError):  # a model that was imported, or trained by another version
        return TreeConfig()


def chain(model: Model, process: ReverseProcess, seed: int = 0) -> Iterator[Frame]:
    """Yield the frames x_t of the reverse process that samples the first pair's background: noise first, x_0 last.

    Of ancestral sampling, which visits all timesteps, every 40th frame is kept.
    """
    count = model.network.config.schedule.steps
    for index, frame in enumerate(process.chain(model, (seed, 0, _BACKGROUND))):
        if process.steps is not None or index % _KEPT == 0 or index == count:
            yield frame


@torch.inference_mode()
def _path_b(
    model: Model, background: Frame, mask: npt.NDArray[np.bool_], noise: Frame, noise_level: int
) -> tuple[Frame, Frame]:
    """Return the synthetic angiogram of a background and a mask, and its probability of vessel by path A."""
    network = model.network
    device = next(network.parameters()).device
    height, width = background.shape

    def tensor(array: npt.NDArray[Any]) -> Tensor:
        frame = torch.from_numpy(array.astype(np.float32))[None, None]
        return pad_to_multiple(frame, network.config.stride).to(device)

    def array(image: Tensor) -> Frame:
        return image[0, 0, :height, :width].float().cpu().numpy()

    try:
        angiogram = network.synthesize(tensor(background), 2 * tensor(mask) - 1, tensor(noise), noise_level)
        return array(angiogram), array(network(angiogram))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DarlError(f"Memory ran out for a background of {height} x {width} pixels. Use smaller ones.") from error
