"""Path A in use: images of any kind in, probabilities and masks of their shape out."""

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.device import is_out_of_memory
from napari_darl.darl.model import Darl
from napari_darl.errors import DarlError, DarlWarning, InputError
from napari_darl.frames.arrays import MIN_SIZE, as_image, check_frame, check_image, iter_frames, to_grey
from napari_darl.frames.normalisation import encode, intensity_range, normalise
from napari_darl.inference.cleaning import Cleaning, clean_mask
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.scale import checked_resize
from napari_darl.inference.tiling import apply_tiled, tile_grid

Index = tuple[int, ...]

_PIXELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**23, "mps": 2**22}


def segment(
    image: object,
    model: Model | str | Path | None = None,
    threshold: float = 0.5,
    *,
    rgb: bool = False,
    channel: Literal["green", "luminance"] = "green",
    bright: bool = False,
    bits: int | None = None,
    resize: float | None = None,
    tile: int | None = None,
    device: str = "auto",
) -> npt.NDArray[np.uint8]:
    """Segment vessels.

    Parameters
    ----------
    threshold : float
        Pixels of a greater probability count as vessel; between 0 and 1.

    image, model, rgb, channel, bright, bits, resize, tile, device
        As in `segment_probability`.

    Returns
    -------
    numpy.ndarray of uint8
        1 in vessels and 0 elsewhere, of the image's shape without its channel axis.

    Raises
    ------
    DarlError
        As `segment_probability`; InputError, too, for a threshold outside of 0 to 1.
    """
    check_threshold(threshold)
    probability = segment_probability(
        image, model, rgb=rgb, channel=channel, bright=bright, bits=bits, resize=resize, tile=tile, device=device
    )
    return clean_mask(probability, Cleaning(threshold=threshold))


def segment_probability(
    image: object,
    model: Model | str | Path | None = None,
    *,
    rgb: bool = False,
    channel: Literal["green", "luminance"] = "green",
    bright: bool = False,
    bits: int | None = None,
    resize: float | None = None,
    tile: int | None = None,
    device: str = "auto",
) -> npt.NDArray[np.float32]:
    """Probability of vessel, pixel by pixel.

    Parameters
    ----------
    image : array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Frames of at least 32 x 32 pixels of any real dtype; leading axes (T, Z) are segmented frame by frame.
    model : Model, str or Path, optional
        What `load_model` returned or takes; none is the bundled model `default`.
    rgb : bool
        Whether the last axis holds colours.
    channel : {"green", "luminance"}
        How colours become grey.
    bright : bool
        Whether vessels are brighter than their surroundings.
    bits : int, optional
        Bits that an integer image uses where fewer than its dtype has, say 12.
    resize : float, optional
        Factor by which frames are resized before path A; probabilities are resampled back. None guesses it from their
        size (`guess_resize`).
    tile : int, optional
        Side of the tiles in which frames are segmented, in pixels, where memory is short; by default the model's own.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`; a `Model` stays on its own.

    Returns
    -------
    numpy.ndarray of float32
        (tanh + 1) / 2 of path A at t = 0, in [0, 1], of the image's shape without its channel axis.

    Raises
    ------
    InputError
        If image or options can't be worked with.
    CheckpointError
        If the model's file is damaged.

    Warns
    -----
    DarlWarning
        If the device ran out of memory and the CPU took over.
    """
    array = check_image(image, rgb=rgb)
    shape = array.shape[:-1] if rgb else array.shape
    probability = np.zeros(shape, np.float32)
    for index, frame in iter_probability(
        array, model, rgb=rgb, channel=channel, bright=bright, bits=bits, resize=resize, tile=tile, device=device
    ):
        probability[index] = frame
    return probability


def iter_probability(
    image: object,
    model: Model | str | Path | None = None,
    *,
    rgb: bool = False,
    channel: Literal["green", "luminance"] = "green",
    bright: bool = False,
    bits: int | None = None,
    resize: float | None = None,
    tile: int | None = None,
    device: str = "auto",
    noise_level: int = 0,
    first: Index | None = None,
    interrupt: Callable[[], None] | None = None,
) -> Iterator[tuple[Index, npt.NDArray[np.float32]]]:
    """Probability of vessel frame by frame, computed as they are asked for.

    Parameters and errors are those of `segment_probability`, and three more. Frames of a single value in a stack that
    has others, such as the black ones before a series begins, have probability 0.

    Parameters
    ----------
    noise_level : int
        Timestep at which path A looks at the frames, which are noised accordingly; 0 leaves them as they are.
    first : tuple of int, optional
        Place on the leading axes of the frame to begin with; those after it follow, then those before it.
    interrupt : callable, optional
        Called before each tile; what it raises ends the work.

    Yields
    ------
    tuple of int
        The frame's place on the leading axes; () for a single frame.
    numpy.ndarray of float32, shape (Y, X)
        Its probability.
    """
    known = as_image(image, rgb=rgb)
    alone = known.frame_count == 1
    height, width = known.frame_shape
    used = as_model(model, device)
    resize = checked_resize(resize, height, width, used.network.config.side)
    steps = used.network.config.schedule.steps
    if not 0 <= noise_level < steps:
        raise InputError(f"The noise level is {noise_level}: choose one from 0 to {steps - 1}.")
    predictor = Predictor(used.network, tile, interrupt, noise_level)
    normalisation = used.network.config.normalisation

    def prepared() -> Iterator[tuple[Index, npt.NDArray[np.float32]]]:
        for index, colours in iter_frames(known, first=first):
            frame = to_grey(colours, channel) if rgb else colours
            if alone or frame.min() != frame.max() or np.isinf(frame.flat[0]):
                check_frame(frame, f"frame {index}" if index else "the image")
            limits = intensity_range(frame, normalisation, bits)
            yield index, encode(normalise(frame, limits, bright), normalisation)

    pixels = max(1, round(height * width * resize**2))
    at_once = max(1, _PIXELS_AT_ONCE[predictor.device.type] // pixels)
    frames = prepared()
    while group := list(itertools.islice(frames, at_once)):
        try:
            results = predictor(np.stack([frame for _, frame in group]), resize)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DarlError(
                f"Memory ran out for frames of {height} x {width} pixels resized by {resize}: choose a smaller factor."
            ) from error
        for (index, frame), result in zip(group, results, strict=True):
            yield index, result * bool(np.ptp(frame) > 0)


def check_threshold(threshold: float) -> None:
    """Raise InputError unless the threshold lies between 0 and 1."""
    if not 0 < threshold < 1:
        raise InputError(f"The threshold is {threshold}: choose one between 0 and 1.")


def _tiles(config: ModelConfig, tile: int | None) -> tuple[int, int]:
    """Side and overlap of the tiles: the model's, or those asked for."""
    if tile is None:
        return config.tile, config.overlap
    if tile < 64 or tile % config.stride:
        raise InputError(f"The tile is {tile} pixels: choose a multiple of {config.stride}, of at least 64.")
    return tile, min(config.overlap, tile // 2)


class Predictor:
    """Runs path A on normalised frames, in smaller batches and at last on the CPU when memory runs out."""

    def __init__(
        self,
        network: Darl,
        tile: int | None = None,
        interrupt: Callable[[], None] | None = None,
        noise_level: int = 0,
    ) -> None:
        self.network, self.noise_level = network, noise_level
        self.device = next(network.parameters()).device
        self.tile, self.overlap = _tiles(network.config, tile)
        self.interrupt = interrupt

    @torch.inference_mode()
    def __call__(self, frames: npt.NDArray[np.float32], resize: float) -> npt.NDArray[np.float32]:
        """Probabilities of frames (N, H, W) in [-1, 1]."""
        tensor = torch.from_numpy(frames)[:, None]
        size = tensor.shape[2:]
        if resize != 1:
            resized = [max(MIN_SIZE, round(length * resize)) for length in size]
            tensor = F.interpolate(tensor, resized, mode="bilinear", antialias=True).clamp(-1, 1)
        if self.noise_level:
            # The same noise for every frame and call: what differs between two results is never its draw.
            noise = np.random.default_rng(self.noise_level).standard_normal(tensor.shape[2:], np.float32)
            step = torch.tensor([self.noise_level])
            tensor = copy.deepcopy(self.network.schedule).cpu().add_noise(tensor, step, torch.from_numpy(noise))
        height, width = tensor.shape[2:]
        tiles = tile_grid((height, width), self.tile, self.overlap)
        result = apply_tiled(lambda window, _: self.run(window), tensor, tiles, self.network.config.stride)
        if resize != 1:
            result = F.interpolate(result, size, mode="bilinear", antialias=True)
        return result.clamp(0, 1)[:, 0].numpy()

    @torch.inference_mode()
    def run(self, tiles: Tensor) -> Tensor:
        """Probabilities of tiles (N, 1, h, w), whose sides are multiples of the network's stride."""
        if self.interrupt:
            self.interrupt()
        try:
            found: Tensor = self.network(tiles.to(self.device), self.noise_level).float().cpu()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if not found.isfinite().all():
                raise DarlError("The model makes no numbers of this image: get its file again, or train another one.")
            return found
        # Outside of the handler, so that the failed call's tensors are free.
        if len(tiles) > 1:
            return torch.cat([self.run(half) for half in tiles.chunk(2)])
        if self.device.type == "cpu":
            raise DarlError(f"Memory ran out for a tile of {tuple(tiles.shape[2:])} pixels: close other programs.")
        warnings.warn(
            f"{self.device} ran out of memory: going on with the CPU, which is slower.",
            DarlWarning,
            stacklevel=2,
        )
        self.network = copy.deepcopy(self.network).cpu()
        self.device = torch.device("cpu")
        return self.run(tiles)
