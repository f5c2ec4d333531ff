"""Vessels with a lesion of known depth, and how exactly their noisy images can tell it."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from measuring_parts.drawings import Floats, polyline, turned
from napari_darl.synthetic.phantom import render
from napari_darl.synthetic.raster import PseudoMask, rasterise

SHAPE = (192, 192)
_NOISE, _GRAIN = 0.05 * 1.7, 0.5  # of a phantom: white noise where intensity is 1, and px by which it is blurred
_STEPS = {"percent": 2.0, "length": 1.0, "place": 1.0, "width": 0.3, "taper": 0.03, "absorption": 0.002}


@dataclass(frozen=True)
class Lesion:
    """A tapering, bent vessel with a lesion.

    Attributes
    ----------
    percent
        Percent diameter stenosis; along the lesion it follows a cosine.
    length, place
        Length of the lesion and its middle along the course of 140 px, px.
    width, taper
        Diameter in the middle of the course without a lesion, px, and the part of it by which it falls along it.
    absorption
        Attenuation by the contrast agent, 1/px.
    turn, offset
        Angle of the vessel, and its place within a pixel.
    """

    percent: float
    length: float
    width: float
    turn: float
    offset: Floats
    place: float = 70.0
    taper: float = 0.1
    absorption: float = 0.03

    def course(self) -> tuple[Floats, Floats]:
        """Return points (N, 2) and radii (N,)."""
        along = np.linspace(0, 140, 281)
        part = np.clip((along - self.place) / (self.length / 2), -1, 1)
        depth = self.percent / 100 * (1 + np.cos(np.pi * part)) / 2
        radius = self.width / 2 * (1 - self.taper * (along - 70) / 140) * (1 - depth)
        course = np.stack([6 * np.sin(along / 140 * np.pi), along], axis=1)
        return turned(course, self.turn, 96 + self.offset), radius

    def drawn(self) -> PseudoMask:
        """Draw it, its outline as the pseudo-masks have it."""
        return rasterise(SHAPE, polyline(*self.course()))

    def rendered(self, background: Floats) -> Floats:
        """Render it without noise."""
        image = render(background.astype(np.float32), self.drawn().thickness, absorption=self.absorption)
        return image.astype(np.float64)


def noise(image: Floats, rng: np.random.Generator) -> Floats:
    """Draw the quantum noise of an image as that of a phantom: its variance is proportional to the intensity."""
    return np.asarray(_deviation(image) * gaussian_filter(rng.standard_normal(SHAPE), _GRAIN))


def _deviation(image: Floats) -> Floats:
    return np.asarray(_NOISE * np.sqrt((image + 1) / 2))


def least_error(lesion: Lesion, background: Floats) -> float:
    """Compute the least standard deviation that an unbiased estimate of the percentage can have (Cramér-Rao).

    It is that of a method that knows all of the noisy image but the depth, length and place of the lesion, the width
    and taper of the vessel, and the absorption: its course, the lesion's form, the background and the blur.
    """
    grain = np.zeros(SHAPE)
    grain[0, 0] = 1
    spectrum = np.abs(np.fft.fft2(gaussian_filter(grain, _GRAIN, mode="wrap")))
    deviation = _deviation(lesion.rendered(background))
    slopes = []
    for name, step in _STEPS.items():
        value = getattr(lesion, name)
        more, less = (replace(lesion, **{name: value + s}).rendered(background) for s in (step, -step))
        slopes.append((np.fft.fft2((more - less) / (2 * step) / deviation) / spectrum).ravel())
    slope = np.array(slopes)
    information = np.real(slope.conj() @ slope.T) / grain.size
    return float(np.linalg.inv(information)[0, 0] ** 0.5)
