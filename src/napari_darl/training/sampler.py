"""Batches of unpaired frames and pseudo-masks, each draw keyed by (seed, step, sample)."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_darl.configuration import Config
from napari_darl.errors import InputError
from napari_darl.frames.arrays import showing
from napari_darl.frames.normalisation import Normalisation, encode, intensity_range, normalise
from napari_darl.synthetic.fractals import draw_fractal
from napari_darl.synthetic.phantom import render
from napari_darl.synthetic.trees import FRAME, PseudoMask, TreeConfig, draw_trees
from napari_darl.training.aperture import Aperture
from napari_darl.training.backgrounds import WIDTH, suppress_vessels
from napari_darl.training.teacher import TeacherConfig, agreed_labels, sure_labels

Frame = NDArray[np.float32]


class DrawConfig(Config):
    """How training crops are drawn.

    Attributes
    ----------
    size
        Side of a crop, px.
    zoom
        Least and greatest side of the window, in multiples of `size`, in a frame that was brought to the model's side;
        it is resized to `size`.
    grounded
        Share of samples, rounded down, whose fake angiogram in the cycle is rendered by attenuation instead of made by
        path B.
    transmission
        Least and greatest part of the intensity that passes the thickest vessel of a rendered angiogram.
    aperture
        Share of samples that are seen through a round field of view whose rim lies in the crop.
    exposure, shading
        Augmentation: natural logarithms of the greatest factor by which a crop is darkened as a whole, and by which one
        of its ends is darkened against the other.
    gamma, noise, blur
        Augmentation: greatest exponent (and its inverse) of the intensity, greatest standard deviations of added
        noise (in units of [-1, 1]) and of a Gaussian blur (px). Flips and transposition always take part.
    pseudo_masks
        Generated unless the user gives some: vessel-like `trees`, or the `fractals` of rectangles of the paper.
    trees
        Look of the trees.
    teacher
        Label what a ridge filter is sure of in the angiograms; none doesn't. Where no backgrounds were given, what it
        takes for vessel, or isn't sure of, is filled.
    """

    size: int = Field(default=512, ge=32, le=4096, multiple_of=32)
    zoom: tuple[float, float] = (1.0, 1.0)
    grounded: float = Field(default=0.0, ge=0, lt=1)
    transmission: tuple[float, float] = (0.25, 0.75)
    aperture: float = Field(default=0.0, ge=0, le=1)
    exposure: float = Field(default=0.0, ge=0)
    shading: float = Field(default=0.0, ge=0)
    gamma: float = Field(default=1.0, ge=1)
    noise: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0)
    pseudo_masks: Literal["trees", "fractals"] = "trees"
    trees: TreeConfig = TreeConfig()
    teacher: TeacherConfig | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("zoom", "transmission"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} takes two positive numbers, the lesser first")
        return self


class Draw(NamedTuple):
    """A batch: frames float32 in [-1, 1] and masks -1 / +1, all (N, H, W).

    The first `free` samples are for path B, the others are rendered. `labels` are the teacher's of the angiogram: -1
    and +1 where it is sure, else 0.
    """

    angiogram: Frame
    background: Frame
    mask: Frame
    rendered: Frame
    labels: Frame
    free: int


class Sampler:
    """Draws batches; the same (seed, step) gives the same batch, whatever was drawn before.

    Parameters
    ----------
    config : DrawConfig
        How to draw.
    normalisation : Normalisation
        How intensities become [-1, 1].
    side : int
        Shorter side, px, to which frames are brought before they are cropped.
    angiograms : sequence of numpy.ndarray
        Grey frames (H, W) of any sizes and real dtypes, vessels dark.
    backgrounds : sequence of numpy.ndarray, optional
        The same before contrast; without them, angiograms with their vessels filled up.
    masks : sequence of numpy.ndarray, optional
        Pseudo-masks, vessel above half of the maximum; without them, generated ones.
    bits : int, optional
        Bits that integer frames use where fewer than their dtype has.
    same : bool
        Whether the background is the very crop of the angiogram (C-DARL).
    seed : int
        The first part of every key.

    Raises
    ------
    InputError
        If a stack is empty or holds a frame that can't be used.
    """

    def __init__(
        self,
        config: DrawConfig,
        normalisation: Normalisation,
        side: int,
        angiograms: Sequence[NDArray[Any]],
        backgrounds: Sequence[NDArray[Any]] | None = None,
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        bits: int | None = None,
        same: bool = False,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.normalisation = normalisation
        self.seed = seed
        self.same = same
        self.angiograms = _Stack("angiogram", angiograms, normalisation, side, bits)
        self.backgrounds = self.masks = None
        if backgrounds is not None:
            self.backgrounds = _Stack("background", backgrounds, normalisation, side, bits)
        if masks is not None:
            self.masks = _Stack("mask", masks, Normalisation(kind="percentiles", low=0, high=100), side)

    def teach(self, predict: Callable[[NDArray[Any]], Frame]) -> None:
        """Let a model teach beside the ridge filter from now on: `predict` maps a frame to its probability."""
        self.angiograms.predict = predict
        self.angiograms.labels.clear()

    def draw(self, step: int, count: int) -> Draw:
        """Batch of `count` samples for a step; the keys of its samples end in 1, 2, ...: 0 is the step's own."""
        keys = [(self.seed, step, sample) for sample in range(1, count + 1)]
        samples = [self._sample(np.random.default_rng(key)) for key in keys]
        angiogram, background, mask, rendered, labels = (np.stack(part) for part in zip(*samples, strict=True))
        return Draw(angiogram, background, mask, rendered, labels, count - int(self.config.grounded * count))

    def _sample(self, rng: np.random.Generator) -> tuple[Frame, Frame, Frame, Frame, Frame]:
        config = self.config
        angiogram = self.angiograms.crop(rng, config, teach=config.teacher is not None)
        if self.same:
            background = angiogram
        elif self.backgrounds is not None:
            background = self.backgrounds.crop(rng, config)
        else:
            background = self.angiograms.crop(rng, config, suppress=True)
        scale = background.scale
        tree = self._tree(rng, scale)
        absorption = self._absorption(rng, scale)
        rendered = render(background.frame, tree.thickness, absorption=absorption, blur=0.7 * scale)
        mask = np.where(tree.mask, 1, -1).astype(np.float32)
        first, second = rng.integers(2**32, size=2)
        if self.same:
            second = first
        labels = angiogram.labels
        frames = [angiogram.frame, background.frame, rendered]
        if rng.random() < config.aperture:
            aperture = Aperture.drawn(rng, config.size, scale)
            frames = [aperture.shade(frame) for frame in frames]
            mask = np.where(aperture.open, mask, -1).astype(np.float32)
            if config.teacher is not None:
                labels = np.where(aperture.open, labels, -1).astype(np.float32)
        seen = [self._augment(frame, key) for frame, key in zip(frames, (first, second, second), strict=True)]
        return seen[0], seen[1], mask, seen[2], labels

    def _tree(self, rng: np.random.Generator, scale: float) -> PseudoMask:
        shape = (self.config.size, self.config.size)
        if self.masks is None and self.config.pseudo_masks == "fractals":
            return draw_fractal(shape, rng, scale)
        if self.masks is None:
            return draw_trees(shape, rng, self.config.trees, scale)
        mask = self.masks.crop(rng, self.config).frame > 0
        radius = distance_transform_edt(mask).astype(np.float32)
        return PseudoMask(mask, radius, 2 * radius)

    def _absorption(self, rng: np.random.Generator, scale: float) -> float:
        thickest = 2 * self.config.trees.trunk_radius[1] * scale
        return -float(np.log(rng.uniform(*self.config.transmission))) / thickest

    def _augment(self, frame: Frame, key: int) -> Frame:
        """Change intensities, blur and noise; the same key does the same to a background and its rendering."""
        config, rng = self.config, np.random.default_rng(key)
        intensity = np.clip((frame + 1) / 2, 0, 1)
        intensity = intensity ** np.exp(rng.uniform(-1, 1) * np.log(config.gamma))
        angle, light = rng.uniform(0, 2 * np.pi), -rng.uniform(0, 1) * config.exposure
        across, down = np.linspace(-0.5, 0.5, frame.shape[1]), np.linspace(-0.5, 0.5, frame.shape[0])[:, None]
        ramp = (np.cos(angle) * across + np.sin(angle) * down).astype(np.float32)
        intensity = intensity * np.exp(light + rng.uniform(0, 1) * config.shading * ramp)
        intensity = gaussian_filter(intensity, rng.uniform(0, 1) ** 2 * config.blur)
        noise = rng.standard_normal(frame.shape, np.float32) * rng.uniform(0, 1) * config.noise
        return encode(np.clip(2 * intensity - 1 + noise, -1, 1).astype(np.float32), self.normalisation)


class _Crop(NamedTuple):
    """A crop, the teacher's labels of it, and how many of its px go into one px of a 512 px frame."""

    frame: Frame
    labels: Frame
    scale: float


class _Stack:
    """Frames and the intensities that become -1 and 1 in each."""

    def __init__(
        self,
        name: str,
        frames: Sequence[NDArray[Any]],
        normalisation: Normalisation,
        side: int,
        bits: int | None = None,
    ) -> None:
        if len(frames) == 0:
            raise InputError(f"The stack of {name}s is empty: give at least one frame.")
        frames = showing(frames, name)
        self.frames = frames
        self.side = side
        self.predict: Callable[[NDArray[Any]], Frame] | None = None
        self.ridges: dict[int, NDArray[np.int8]] = {}
        self.labels: dict[int, NDArray[np.int8]] = {}
        self.limits = [intensity_range(frame, normalisation, bits) for frame in frames]

    def crop(
        self, rng: np.random.Generator, config: DrawConfig, *, suppress: bool = False, teach: bool = False
    ) -> _Crop:
        """Cut a random window of a random frame, and resize, transpose and flip it."""
        index = int(rng.integers(len(self.frames)))
        frame = self.frames[index]
        side, size = min(frame.shape), config.size
        window = size * side / self.side * float(np.exp(rng.uniform(*np.log(config.zoom))))
        window = min(max(round(window), 2), side)
        top, left = (int(rng.integers(length - window + 1)) for length in frame.shape)
        crop = normalise(frame[top : top + window, left : left + window], self.limits[index])
        labels = None
        if teach or (suppress and config.teacher is not None):
            known = self._labels(index, config.teacher)
            rows, columns = (
                ((first + np.arange(window) + 0.5) * known.shape[axis] / frame.shape[axis]).astype(int)
                for axis, first in enumerate((top, left))
            )
            labels = known[rows][:, columns]
        if suppress:
            crop = suppress_vessels(crop, max(3, round(WIDTH * side)), None if labels is None else labels >= 0)
        crop = _resize(crop, size)
        at = ((np.arange(size) + 0.5) * window / size).astype(int)
        labels = np.zeros((size, size), np.int8) if labels is None else labels[at][:, at]
        turn = rng.random(3) < 0.5
        return _Crop(_turned(crop, turn), _turned(labels.astype(np.float32), turn), side / FRAME * size / window)

    def _labels(self, index: int, teacher: TeacherConfig | None) -> NDArray[np.int8]:
        """Labels of a whole frame, worked out when it is first drawn."""
        if index not in self.ridges:
            self.ridges[index] = sure_labels(normalise(self.frames[index], self.limits[index]), teacher)
        if self.predict is None:
            return self.ridges[index]
        if index not in self.labels:
            self.labels[index] = agreed_labels(self.ridges[index], self.predict(self.frames[index]), teacher)
        return self.labels[index]


def _turned(frame: Frame, turn: NDArray[np.bool_]) -> Frame:
    transposed, *flipped = turn
    frame = frame.T if transposed else frame
    return np.ascontiguousarray(np.flip(frame, tuple(axis for axis in (0, 1) if flipped[axis])))


def _resize(crop: Frame, size: int) -> Frame:
    if crop.shape == (size, size):
        return np.ascontiguousarray(crop)
    tensor = torch.from_numpy(np.ascontiguousarray(crop))[None, None]
    resized = F.interpolate(tensor, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0, 0].numpy()
