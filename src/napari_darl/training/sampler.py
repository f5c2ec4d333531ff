"""Draws training batches from unpaired stacks; every draw is keyed by (seed, step, sample)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.losses import Batch
from napari_darl.errors import InputError
from napari_darl.frames.normalisation import Normalisation, encode
from napari_darl.synthetic.clutter import add_clutter, with_reflex
from napari_darl.synthetic.fractals import draw_fractal
from napari_darl.synthetic.phantom import render
from napari_darl.synthetic.trees import PseudoMask, draw_trees
from napari_darl.training.aperture import Aperture
from napari_darl.training.crops import CropSource, coarsened
from napari_darl.training.draw_config import DrawConfig

Frame = NDArray[np.float32]

_FIRST_FRAMES, _NEW_FRAMES = 4, 2  # that are drawn from in the first step, and more in each later one


@dataclass(frozen=True, eq=False)
class Stacks:
    """The unpaired frames that a model is trained on.

    Attributes
    ----------
    angiograms : sequence of numpy.ndarray
        Grey frames (H, W) of any sizes and real dtypes, vessels dark.
    backgrounds : sequence of numpy.ndarray, optional
        Frames before contrast. Without them, vessels are removed from the angiograms.
    masks : sequence of numpy.ndarray, optional
        Pseudo-masks, vessel above half of the maximum. Without them, pseudo-masks are generated.
    bits : int, optional
        Bits that integer frames use, if fewer than their dtype has.
    """

    angiograms: Sequence[NDArray[Any]]
    backgrounds: Sequence[NDArray[Any]] | None = None
    masks: Sequence[NDArray[Any]] | None = None
    bits: int | None = None


class _Sample(NamedTuple):
    """One sample of a `Batch`: images float32 (H, W)."""

    angiogram: Frame
    background: Frame
    mask: Frame
    rendered: Frame
    labels: Frame


class Sampler:
    """Draws batches.

    A sample consists of unrelated crops: an angiogram, a background and a pseudo-mask. The pseudo-mask is also rendered
    into the background by attenuation, which gives an angiogram whose mask is known. All frames are augmented.

    The same (seed, step) gives the same batch, whatever was drawn before.

    Parameters
    ----------
    config : DrawConfig
        How to draw.
    model : ModelConfig
        Its `normalisation` maps intensities to [-1, 1], and frames are resized to its `side` before they are cropped.
        In its variant `c-darl` the background is the same crop as the angiogram.
    stacks : Stacks
        The frames.
    seed : int
        First part of the key of every random draw.

    Raises
    ------
    InputError
        If a stack is empty or holds an unusable frame, or C-DARL is given backgrounds.
    """

    def __init__(self, config: DrawConfig, model: ModelConfig, stacks: Stacks, seed: int = 0) -> None:
        self.config = config
        self.normalisation = model.normalisation
        self.seed = seed
        self.same = model.variant == "c-darl"
        if self.same and stacks.backgrounds is not None:
            raise InputError("C-DARL takes no backgrounds. Leave them out, or train DARL.")
        self.angiograms = CropSource("angiogram", stacks.angiograms, model.normalisation, model.side, stacks.bits)
        self.backgrounds = self.masks = None
        if stacks.backgrounds is not None:
            self.backgrounds = CropSource(
                "background", stacks.backgrounds, model.normalisation, model.side, stacks.bits
            )
        if stacks.masks is not None:
            full_range = Normalisation(kind="percentiles", low=0, high=100)
            self.masks = CropSource("mask", stacks.masks, full_range, model.side)

    def teach(self, predict: Callable[[NDArray[Any]], Frame]) -> None:
        """Let models teach from now on: together with the ridge filter or, in a distillation, in its place.

        Parameters
        ----------
        predict : callable
            Maps a frame of the stack to its probability of vessel, float32 (H, W).
        """
        self.angiograms.predict = predict
        self.angiograms.labels.clear()

    def draw(self, step: int, count: int, more_angiograms: int = 0) -> Batch:
        """Draw the batch of `count` samples for a step, on the CPU, and `more_angiograms` of which path A sees more.

        The keys of the samples end in 1, 2, ...; the key that ends in 0 is for the draws of the step itself.
        """
        if self.config.labelled:
            # Labelling a frame takes as long as several crops, so that the first batches come from few frames.
            self.angiograms.known = _FIRST_FRAMES + _NEW_FRAMES * step
        keys = [(self.seed, step, sample) for sample in range(1, count + 1)]
        samples = [self._sample(np.random.default_rng(key)) for key in keys]
        angiogram, background, mask, rendered, labels = (
            torch.from_numpy(np.stack(images)[:, None]) for images in zip(*samples, strict=True)
        )
        on_path_b = count - int(self.config.grounded * count)
        batch = Batch(angiogram, background, mask, rendered, labels, on_path_b)
        if not more_angiograms:
            return batch
        keys = [(self.seed, step, sample) for sample in range(count + 1, count + 1 + more_angiograms)]
        more = [self._labelled_angiogram(np.random.default_rng(key)) for key in keys]
        angiogram, labels = (torch.from_numpy(np.stack(images)[:, None]) for images in zip(*more, strict=True))
        return batch._replace(
            angiogram=torch.cat([batch.angiogram, angiogram]), labels=torch.cat([batch.labels, labels])
        )

    def _labelled_angiogram(self, rng: np.random.Generator) -> tuple[Frame, Frame]:
        """Draw an augmented crop of an angiogram, and its labels."""
        crop = self.angiograms.crop(rng, self.config, teach=True)
        frame, labels = crop.frame, crop.labels
        if rng.random() < self.config.aperture:
            aperture = Aperture.drawn(rng, self.config.size, crop.scale)
            frame, labels = aperture.shade(frame), np.where(aperture.open, labels, -1).astype(np.float32)
        return self._coarsened(self._augment(frame, int(rng.integers(2**32))), labels, rng)

    def _coarsened(self, frame: Frame, labels: Frame, rng: np.random.Generator) -> tuple[Frame, Frame]:
        """Draw a factor, and coarsen an augmented crop and its labels."""
        if self.config.coarse == 1:
            return frame, labels
        return coarsened(frame, labels, self.config.coarse ** rng.uniform(0, 1))

    def _sample(self, rng: np.random.Generator) -> _Sample:
        """Draw a sample: crops, pseudo-mask, rendering, round field of view, augmentation."""
        config = self.config
        angiogram = self.angiograms.crop(rng, config, teach=config.labelled)
        if self.same:
            background = angiogram
        elif self.backgrounds is not None:
            background = self.backgrounds.crop(rng, config)
        else:
            background = self.angiograms.crop(rng, config, suppress=True)

        scale = background.scale
        tree = self._tree(rng, scale)
        absorption = self._absorption(rng, scale)
        without_vessels = background.frame
        if config.clutter is not None and not self.same:
            without_vessels = add_clutter(without_vessels, rng, config.clutter, scale)
        thickness = self._optical_thickness(rng, tree, scale)
        rendered = render(without_vessels, thickness, absorption=absorption, blur=0.7 * scale)
        mask = np.where(tree.mask, 1, -1).astype(np.float32)

        # The keys of the augmentations. A background and its rendering differ in the vessels only, and in C-DARL the
        # angiogram is the background.
        of_angiogram, of_background = rng.integers(2**32, size=2)
        if self.same:
            of_background = of_angiogram

        labels = angiogram.labels
        frames = [angiogram.frame, without_vessels, rendered]
        if rng.random() < config.aperture:
            aperture = Aperture.drawn(rng, config.size, scale)
            frames = [aperture.shade(frame) for frame in frames]
            mask = np.where(aperture.open, mask, -1).astype(np.float32)
            if config.labelled:
                labels = np.where(aperture.open, labels, -1).astype(np.float32)

        keys = (of_angiogram, of_background, of_background)
        frames = [self._augment(frame, key) for frame, key in zip(frames, keys, strict=True)]
        frames[0], labels = self._coarsened(frames[0], labels, rng)
        return _Sample(frames[0], frames[1], mask, frames[2], labels)

    def _tree(self, rng: np.random.Generator, scale: float) -> PseudoMask:
        """Draw a pseudo-mask, generated or from the user's stack; vessels of the latter are as thick as wide."""
        shape = (self.config.size, self.config.size)
        if self.masks is None and self.config.pseudo_masks == "fractals":
            return draw_fractal(shape, rng, scale)
        if self.masks is None:
            return draw_trees(shape, rng, self.config.trees, scale)
        mask = self.masks.crop(rng, self.config).frame > 0
        radius = distance_transform_edt(mask).astype(np.float32)
        return PseudoMask(mask, radius, 2 * radius)

    def _absorption(self, rng: np.random.Generator, scale: float) -> float:
        """Draw the attenuation per px, from the transmission of the thickest vessel (Beer-Lambert law)."""
        return -float(np.log(rng.uniform(*self.config.transmission))) / self._thickest(scale)

    def _optical_thickness(self, rng: np.random.Generator, tree: PseudoMask, scale: float) -> Frame:
        """Return the thickness that light is attenuated by: with a bright streak, and saturating."""
        config, thickness = self.config, tree.thickness
        if config.reflex:
            thickness = with_reflex(tree, rng.uniform(0, config.reflex))
        if config.saturation < 1:
            thickest = self._thickest(scale)
            thickness = thickest * (thickness / thickest) ** np.float32(config.saturation)
        return thickness

    def _thickest(self, scale: float) -> float:
        """Return the diameter of the widest trunk, px."""
        return 2 * self.config.trees.trunk_radius[1] * scale

    def _augment(self, frame: Frame, key: int) -> Frame:
        """Change the intensities of a frame, blur it and add noise; the same key gives the same changes."""
        config, rng = self.config, np.random.default_rng(key)
        intensity = np.clip((frame + 1) / 2, 0, 1)
        intensity = intensity ** np.float32(np.exp(rng.uniform(-1, 1) * np.log(config.gamma)))

        # Exposure darkens the whole crop; shading is a linear ramp in a random direction.
        angle, light = rng.uniform(0, 2 * np.pi), -rng.uniform(0, 1) * config.exposure
        across, down = np.linspace(-0.5, 0.5, frame.shape[1]), np.linspace(-0.5, 0.5, frame.shape[0])[:, None]
        ramp = (np.cos(angle) * across + np.sin(angle) * down).astype(np.float32)
        intensity = intensity * np.exp(light + rng.uniform(0, 1) * config.shading * ramp)

        intensity = gaussian_filter(intensity, rng.uniform(0, 1) ** 2 * config.blur)
        noise = rng.standard_normal(frame.shape, np.float32) * rng.uniform(0, 1) ** config.noise_exponent * config.noise
        return encode(np.clip(2 * intensity - 1 + noise, -1, 1).astype(np.float32), self.normalisation)
