"""The background work of the Inspect widget: generators for `Task`, one for each button."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from napari_darl._napari.stacks import Reading
from napari_darl._napari.task import warm_up
from napari_darl.errors import InputError
from napari_darl.inference.options import SegmentOptions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_darl.evaluation.robustness import Robustness
    from napari_darl.inference.noise import NoisyView
    from napari_darl.inference.synthesize import SyntheticPair
    from napari_darl.inference.trust import Trust

SIDE = 512
"""Side of sampled backgrounds, in pixels."""


@dataclass(frozen=True)
class PairSettings:
    """How pairs are synthesised.

    Attributes
    ----------
    model, device : str
        As `load_model` takes them.
    count : int
        Number of pairs.
    noise_level : int
        Timestep up to which backgrounds are noised; 0 adds no noise.
    backgrounds : callable, optional
        Reads the backgrounds. Without it, the denoiser samples them from noise.
    """

    model: str
    device: str
    count: int
    noise_level: int
    backgrounds: Reading | None = None


@dataclass(frozen=True)
class FrameSettings:
    """How a model is tested on real frames.

    Attributes
    ----------
    model : str
        As `load_model` takes it.
    options : SegmentOptions
        How each frame is segmented.
    frames : callable
        Reads the frames.
    """

    model: str
    options: SegmentOptions
    frames: Reading


@dataclass(frozen=True, eq=False)
class JudgedPair:
    """A pair, with Dice and clDice (0 to 1) of the cycle mask against the pseudo-mask."""

    pair: "SyntheticPair"
    dice: float
    cldice: float


@dataclass(frozen=True, eq=False)
class NoisyResult:
    """A frame under one kind of noise, and how its mask compares with the mask of the clean frame."""

    view: "NoisyView"
    robustness: "Robustness"


def make_pairs(settings: PairSettings, stop: Event) -> Generator[JudgedPair, None, None]:
    """Yield pairs of one size, judged."""
    warm_up()
    from napari_darl.evaluation.metrics import score

    for pair in _pairs(settings, same_size=True):
        if stop.is_set():
            return
        scores = score(pair.cycle_probability > 0.5, pair.mask)
        yield JudgedPair(pair, scores.dice, scores.cldice)


def save_pairs(settings: PairSettings, folder: Path, stop: Event) -> Generator[str, None, None]:
    """Write pairs into a folder; yield the name of each."""
    warm_up()
    from napari_darl.inference import pair_files
    from napari_darl.inference.loading import as_model

    provenance = as_model(settings.model, settings.device).provenance(noise_level=settings.noise_level, seed=0)
    for name in pair_files.save_pairs(folder, _pairs(settings, same_size=False), provenance):
        yield name
        if stop.is_set():
            return


def _pairs(settings: PairSettings, *, same_size: bool) -> Iterator["SyntheticPair"]:
    from napari_darl.inference.reverse import ReverseProcess
    from napari_darl.inference.synthesize import synthesize

    options: dict[str, Any] = {"noise_level": settings.noise_level, "device": settings.device}
    if settings.backgrounds is None:
        yield from synthesize(settings.model, ReverseProcess((SIDE, SIDE)), settings.count, **options)
        return
    stack = settings.backgrounds()
    frames = stack.frames
    if same_size:
        frames = [frame for frame in frames if frame.shape == frames[0].shape]
    yield from synthesize(settings.model, frames, settings.count, bits=stack.bits, **options)


def sample_background(model: str, device: str, stop: Event) -> Generator["npt.NDArray[np.float32]", None, None]:
    """Yield the steps of the reverse process from noise to the background of the first pair."""
    warm_up()
    from napari_darl.inference.loading import as_model
    from napari_darl.inference.reverse import ReverseProcess
    from napari_darl.inference.synthesize import chain

    for frame in chain(as_model(model, device), ReverseProcess((SIDE, SIDE))):
        if stop.is_set():
            return
        yield frame


def try_noise(
    settings: FrameSettings, index: int, levels: Sequence[int], stop: Event
) -> Generator[NoisyResult, None, None]:
    """Segment frame `index` without noise, at the timesteps `levels`, and with Gaussian noise; yield each result."""
    warm_up()
    from napari_darl.evaluation.robustness import robustness
    from napari_darl.inference.noise import noisy_views

    stack = settings.frames()
    clean = None
    options = settings.options.updated(bits=stack.bits)
    for view in noisy_views(stack.frames[index], settings.model, options, noise_levels=levels):
        if stop.is_set():
            return
        mask = view.probability > 0.5
        clean = mask if clean is None else clean
        yield NoisyResult(view, robustness({"none": clean, view.noise: mask})[-1])


def assess_frames(settings: FrameSettings, stop: Event) -> Generator["Trust", None, None]:
    """Yield how far the model's masks of each frame agree with each other."""
    warm_up()
    from napari_darl.inference.trust import assess

    stack = settings.frames()
    frames = stack.frames
    if any(frame.shape != frames[0].shape for frame in frames):
        raise InputError("The frames differ in size. Choose frames of one size.")
    for frame in frames:
        if stop.is_set():
            return
        yield assess(frame, settings.model, settings.options.updated(bits=stack.bits))
