"""Path B in use: synthetic angiograms with their pseudo-masks, and the cycle back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_darl.darl.device import is_out_of_memory
from napari_darl.data.frames import check_frame, decode, encode, intensity_range, normalise
from napari_darl.data.masks import FRAME, TreeConfig, draw_trees
from napari_darl.data.output import write_frames, write_mask
from napari_darl.errors import DarlError, InputError
from napari_darl.inference.models import Model, as_model
from napari_darl.inference.tiling import pad_to_multiple

Frame = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SyntheticPair:
    """A synthetic angiogram and what it was made from.

    Attributes
    ----------
    background, angiogram : numpy.ndarray of float32, shape (H, W)
        In [-1, 1].
    mask : numpy.ndarray of bool, shape (H, W)
        The pseudo-mask: the label of the angiogram.
    cycle_probability : numpy.ndarray of float32, shape (H, W)
        What path A finds in the synthetic angiogram, in [0, 1].
    """

    background: Frame
    mask: npt.NDArray[np.bool_]
    angiogram: Frame
    cycle_probability: Frame


def synthesize(
    model: Model | str | Path | None,
    backgrounds: Sequence[npt.NDArray[Any]],
    count: int,
    *,
    noise_level: int = 0,
    seed: int = 0,
    bits: int | None = None,
    trees: TreeConfig = TreeConfig(),  # noqa: B008 (frozen)
    device: str = "auto",
) -> Iterator[SyntheticPair]:
    """Make labelled pairs by path B, one after another.

    Pair `i` depends on `seed` and `i` only.

    Parameters
    ----------
    model : Model, str or Path, optional
        What `load_model` returned or takes; none is the bundled model `default`.
    backgrounds : sequence of numpy.ndarray
        Grey frames (H, W) without contrast, at least 32 x 32; taken in turn.
    count : int
        Pairs to make.
    noise_level : int
        Timestep t_b at which the background is noised, from 0 to below the schedule's steps.
    seed : int
        Key of the random draws.
    bits : int, optional
        Bits that integer backgrounds use where fewer than their dtype has.
    trees : TreeConfig
        Look of the pseudo-masks.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`; a `Model` stays on its own.

    Raises
    ------
    InputError
        If there are no backgrounds, one can't be used, or an option is out of range.
    """
    used = as_model(model, device)
    config = used.network.config
    if not backgrounds:
        raise InputError("There are no backgrounds: give at least one frame.")
    if count < 1:
        raise InputError(f"The count is {count}: ask for at least one pair.")
    if not 0 <= noise_level < config.schedule.steps:
        raise InputError(f"The noise level is {noise_level}: choose one from 0 to {config.schedule.steps - 1}.")
    for index, frame in enumerate(backgrounds):
        check_frame(frame, f"background {index}")
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        frame = backgrounds[index % len(backgrounds)]
        background = normalise(frame, intensity_range(frame, config.normalisation, bits))
        shape = (background.shape[0], background.shape[1])
        mask = draw_trees(shape, rng, trees, min(shape) / FRAME).mask
        noise = rng.standard_normal(shape, np.float32)
        angiogram, cycle = _path_b(used, encode(background, config.normalisation), mask, noise, noise_level)
        yield SyntheticPair(background, mask, decode(angiogram, config.normalisation), cycle)


def write_pair(
    folder: Path,
    name: str,
    pair: SyntheticPair,
    provenance: Mapping[str, str | float],
    *,
    overwrite: bool = False,
) -> None:
    """Write a pair as TIFFs of the same name in `angiograms`, `masks`, `backgrounds` and `cycle_masks`.

    Frames become uint8, 0 to 255, masks 0 and 255; the settings stand in each file.

    Raises
    ------
    FileError
        If a file is there already and may not be overwritten, or can't be written.
    """
    for kind, frame in (("angiograms", pair.angiogram), ("backgrounds", pair.background)):
        grey = np.rint((frame + 1) * 127.5).astype(np.uint8)
        write_frames(folder / kind / name, grey, provenance=provenance, overwrite=overwrite)
    for kind, mask in (("masks", pair.mask), ("cycle_masks", pair.cycle_probability > 0.5)):
        write_mask(folder / kind / name, mask, provenance=provenance, overwrite=overwrite)


@torch.inference_mode()
def _path_b(
    model: Model, background: Frame, mask: npt.NDArray[np.bool_], noise: Frame, noise_level: int
) -> tuple[Frame, Frame]:
    """Fake angiogram of a background and a mask, and the probability that path A finds in it."""
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
        raise DarlError(f"Memory ran out for a background of {background.shape} pixels: take smaller ones.") from error
