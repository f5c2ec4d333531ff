"""Path B in use: synthetic angiograms with their pseudo-masks, and the cycle back through path A."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from torch import Tensor

from napari_darl.darl.device import is_out_of_memory
from napari_darl.errors import DarlError, FileError, InputError
from napari_darl.evaluation.metrics import score
from napari_darl.frames.arrays import showing
from napari_darl.frames.normalisation import decode, encode, intensity_range, normalise
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.reverse import ReverseProcess
from napari_darl.inference.tiling import pad_to_multiple
from napari_darl.io.atomic import replacing
from napari_darl.io.output import write_frames, write_mask
from napari_darl.synthetic.trees import FRAME, TreeConfig, draw_trees

Frame = npt.NDArray[np.float32]

_BACKGROUND = 1  # seed of sampled backgrounds, beside that of the pair: its mask doesn't depend on how they are made
_KEPT = 40  # of a chain of all timesteps, every 40th frame is kept
_KINDS = ("angiograms", "backgrounds", "masks", "cycle_masks")


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
        backgrounds = showing(backgrounds, "background")
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


def save_pairs(
    folder: Path,
    pairs: Iterable[SyntheticPair],
    settings: Mapping[str, str | float],
    *,
    overwrite: bool = False,
) -> Iterator[str]:
    """Write pairs as TIFFs of the same name into `angiograms`, `masks`, `backgrounds` and `cycle_masks`.

    Frames are uint8 from 0 to 255, masks 0 and 255. Each file holds the settings. When the pairs end, or the caller
    stops, `pairs.json` is written: the settings, and for each pair the agreement of its pseudo-mask with the mask by
    path A (Dice and clDice).

    Parameters
    ----------
    folder : Path
        The target; created if missing.
    pairs : iterable of SyntheticPair
        What `synthesize` yields.
    settings : mapping
        How the pairs are made: model, seed and the like.
    overwrite : bool
        Whether existing files may be replaced. The remaining pairs of an earlier call are deleted at the end.

    Yields
    ------
    str
        File name of the pair that was written.

    Raises
    ------
    FileError
        If a file exists already and may not be overwritten, or can't be written.
    """
    index_file = folder / "pairs.json"
    if index_file.exists() and not overwrite:
        raise FileError(f"{index_file} exists already. Choose another folder, or pass --overwrite (overwrite=True).")
    former = _listed(index_file) if overwrite else set()
    written: list[dict[str, str | float]] = []
    try:
        for index, pair in enumerate(pairs):
            name = f"{index:05d}.tif"
            _write_pair(folder, name, pair, dict(settings) | {"index": index}, overwrite=overwrite)
            agreement = score(pair.cycle_probability > 0.5, pair.mask)
            written.append({"file": name, "index": index, "dice": agreement.dice, "cldice": agreement.cldice})
            yield name
    finally:
        if written:
            with replacing(index_file) as file:
                file.write(json.dumps({"settings": dict(settings), "pairs": written}, indent=2).encode())
            for name in former - {str(pair["file"]) for pair in written}:
                for kind in _KINDS:
                    (folder / kind / name).unlink(missing_ok=True)


def _listed(index_file: Path) -> set[str]:
    """Return the file names of an earlier call's pairs."""
    try:
        names = {str(pair["file"]) for pair in json.loads(index_file.read_text())["pairs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if re.fullmatch(r"\d{5,}\.tif", name)}


def _write_pair(
    folder: Path,
    name: str,
    pair: SyntheticPair,
    provenance: Mapping[str, str | float],
    *,
    overwrite: bool,
) -> None:
    for kind, frame in zip(_KINDS[:2], (pair.angiogram, pair.background), strict=True):
        grey = np.rint((frame + 1) * 127.5).astype(np.uint8)
        write_frames(folder / kind / name, grey, provenance=provenance, overwrite=overwrite)
    for kind, mask in zip(_KINDS[2:], (pair.mask, pair.cycle_probability > 0.5), strict=True):
        write_mask(folder / kind / name, mask, provenance=provenance, overwrite=overwrite)


def write_chain(
    path: Path,
    model: Model,
    process: ReverseProcess,
    settings: Mapping[str, str | float],
    *,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Write how the background of the first pair develops from noise, as a float32 TIFF (steps + 1, H, W).

    Of ancestral sampling, which visits all timesteps, every 40th frame is kept.

    Raises
    ------
    FileError
        If the file exists already and may not be overwritten, or can't be written.
    """
    frames = list(chain(model, process, seed))
    write_frames(path, np.stack(frames), provenance=settings, overwrite=overwrite)


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
