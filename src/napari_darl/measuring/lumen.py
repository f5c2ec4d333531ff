"""The diameters of a vessel along its path, by one fit to its whole image.

The vessel is straightened: one row of samples across it for each point of its path. The rows show a round vessel: a
straight background and, above it, the chords of a circle, blurred by the imaging. Radius, centre, contrast and
background change smoothly along the path (cubic B-splines), and all rows are fitted at once (Gauss-Newton).

- The blur is the same for the whole path. It is fitted, too, so that thin parts aren't read too wide.
- The height of the vessel is contrast x radius ** power. The power is about 1 where rays pass through contrast agent,
  and 0 where brightness doesn't depend on the depth of the vessel. It tells a narrow part from a faint one in noise.
- The radius is as smooth as the noise demands: its roughness and the noise are estimated from each other (Schall,
  Biometrika 78, 1991).
- Samples far from the fit, such as those of side branches, count less (Huber).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FULL_WIDTH = 0.75**0.5
"""Full width at half maximum of a round vessel's profile, in diameters."""

_REACH, _BESIDE = 0.8, 5.0  # part of the expected width that rows reach to on either side, and px more
_RADIUS_KNOTS = 3.0  # px between the knots of the radius
_KNOTS, _LEAST_KNOTS = 1.2, 6.0  # widths between those of the other four curves; px, at least
_BLUR, _BLURS = (0.8, 1.0), (0.4, 4.0)  # px, of its standard deviation: expected with an error, range
_POWER, _POWERS = (0.9, 0.05), (0.0, 1.5)  # the same of the power
_THINNEST = 0.25  # px, least radius
_FAR = 2.5  # standard deviations beyond which a sample counts less
_MISFIT, _LEAST_NOISE = 0.04, 1e-3  # parts of the vessel's height: standard deviation of the model's own error; least
_STEPS, _CHANGE = 25, 3e-3  # of the fit, at most; px by which the radius changes where it ends
_DAMPING = 1e-3
_TINY = 1e-4  # px, for derivatives


def chords(place: Floats, radius: Floats, blur: float) -> Floats:
    """Return the chords of a circle, 1 in its middle, blurred by a triangle of standard deviation `blur`.

    They are the second difference of the second integral of the chords.
    """
    x, side = place / radius, blur * 6**0.5 / radius
    return np.asarray((_integral(x + side) - 2 * _integral(x) + _integral(x - side)) / side**2)


def _integral(x: Floats) -> Floats:
    """Return the second integral of sqrt(1 - x^2)."""
    inside = np.minimum(np.abs(x), 1)
    root = np.sqrt(1 - inside**2)
    return np.where(np.abs(x) < 1, (inside * np.arcsin(inside) + root) / 2 - root**3 / 6, np.pi / 4 * np.abs(x))


@dataclass(frozen=True)
class _Curves:
    """What is fitted, as values (N,) at the rows: five curves along the path, and two numbers."""

    radius: Floats
    centre: Floats
    contrast: Floats
    left: Floats  # background at either end of the rows
    right: Floats
    blur: float
    power: float

    def rendered(self, across: Floats) -> tuple[Floats, Floats]:
        """Return the rows (N, M), and their derivatives (N, M, 7) by what is fitted."""
        x, radius = across - self.centre[:, None], self.radius[:, None]
        g = chords(x, radius, self.blur)
        by_place = (chords(x + _TINY, radius, self.blur) - g) / _TINY
        by_blur = (chords(x, radius, self.blur + _TINY) - g) / _TINY
        by_radius = -(x * by_place + self.blur * by_blur) / radius  # only ratios of lengths count
        scaled = radius**self.power
        height = self.contrast[:, None] * scaled
        share = np.broadcast_to((across - across[0]) / (across[-1] - across[0]), g.shape)
        rows = self.left[:, None] * (1 - share) + self.right[:, None] * share + height * g
        by_height = height * (by_radius + self.power * g / radius), height * g * np.log(radius)
        slopes = (by_height[0], -height * by_place, scaled * g, 1 - share, share, height * by_blur, by_height[1])
        return rows, np.stack(slopes, axis=2)


def lumen_widths(rows: Floats, across: Floats, position: Floats, expected: Floats) -> Floats:
    """Compute the full width at half maximum of a straightened vessel, without the blur of the image.

    Parameters
    ----------
    rows
        (N, M) values across the vessel, which is brighter than what is beside it.
    across
        (M,) place of each value, px, evenly spaced, 0 in the middle.
    position
        (N,) distance along the vessel, px.
    expected
        (N,) width that it has about.

    Returns
    -------
    ndarray
        (N,) widths, px.
    """
    near = np.abs(across) <= _REACH * expected[:, None] + _BESIDE
    middle = np.abs(across) <= np.maximum(0.15 * expected, 0.5)[:, None]
    level = _means(rows, near & (np.abs(across) > 0.6 * expected[:, None] + 1))
    raised = _means(rows, middle) - level
    height = max(float(np.median(raised)), 1e-12)
    radius, zero = expected / 2 / FULL_WIDTH, np.zeros(len(rows))
    contrast = raised / height / radius ** _POWER[0]
    curves = _Curves(radius, zero, contrast, level / height, level / height, _BLUR[0], _POWER[0])
    fit = _Fit(rows / height, across, near, _bases(position, float(np.median(expected))))
    return np.asarray(2 * FULL_WIDTH * fit.solved(curves).radius)


def _means(rows: Floats, chosen: Mask) -> Floats:
    return np.asarray((rows * chosen).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1))


def _bases(position: Floats, width: float) -> list[Floats]:
    """Return the B-splines (N, P) of each curve and, for the two numbers, ones."""
    spacings = (_RADIUS_KNOTS, *[max(_KNOTS * width, _LEAST_KNOTS)] * 4)
    return [*(_splines(position, spacing) for spacing in spacings), *[np.ones((len(position), 1))] * 2]


def _splines(position: Floats, spacing: float) -> Floats:
    length = float(position[-1])
    knots = np.linspace(0, length, int(np.ceil(length / spacing)) + 1)
    knots = np.concatenate([np.zeros(3), knots, np.full(3, length)])
    return np.asarray(BSpline.design_matrix(position, knots, 3).toarray())


@dataclass(frozen=True)
class _Fit:
    """Rows, the place of their samples, those that count, and the bases of the curves."""

    rows: Floats
    across: Floats
    near: Mask
    bases: list[Floats]

    def solved(self, curves: _Curves) -> _Curves:
        """Fit, beginning with these curves."""
        bases = self.bases
        start = (*vars(curves).values(),)
        parts = [
            np.linalg.lstsq(basis, np.broadcast_to(values, len(basis)), rcond=None)[0]
            for basis, values in zip(bases, start, strict=True)
        ]
        edges = np.cumsum([0, *(basis.shape[1] for basis in bases)])
        coefficients, knots = np.concatenate(parts), edges[1]
        bends = np.diff(np.eye(knots), 2, axis=0)
        rough = bends.T @ bends
        stiffness = 0.0
        for step in range(_STEPS):
            curves = self._curves(np.split(coefficients, edges[1:-1]))
            normal, right, noise = self._equations(curves)
            stiffness = stiffness or 10 * noise
            normal[:knots, :knots] += stiffness * rough
            right[:knots] -= stiffness * rough @ coefficients[:knots]
            for place, value, (wanted, error) in ((-2, curves.blur, _BLUR), (-1, curves.power, _POWER)):
                normal[place, place] += noise / error**2
                right[place] += noise / error**2 * (wanted - value)
            diagonal = np.diag(normal)
            inverse = np.linalg.inv(normal + np.diag(_DAMPING * diagonal + 1e-12 * diagonal.max()))
            change = inverse @ right
            change[:knots] = np.clip(change[:knots], -1, 1)
            coefficients = coefficients + change
            if step > 3 and np.abs(change[:knots]).max() < _CHANGE:
                break
            if step > 1:
                free = max(len(bends) - stiffness * float((inverse[:knots, :knots] * rough).sum()), 1.0)
                stiffness = noise * free / max(float(coefficients[:knots] @ rough @ coefficients[:knots]), 1e-9)
        return self._curves(np.split(coefficients, edges[1:-1]))

    def _curves(self, parts: list[Floats]) -> _Curves:
        """Return the curves of these coefficients, within their limits."""
        radius, centre, contrast, left, right = (
            basis @ part for basis, part in zip(self.bases[:5], parts[:5], strict=True)
        )
        blur, power = np.clip(parts[5], *_BLURS), np.clip(parts[6], *_POWERS)
        return _Curves(
            np.maximum(radius, _THINNEST), centre, contrast, left, right, blur=float(blur[0]), power=float(power[0])
        )

    def _equations(self, curves: _Curves) -> tuple[Floats, Floats, float]:
        """Return the normal equations of a step, and the variance of the noise.

        Each row adds to them by its own seven derivatives, which the bases then distribute.
        """
        rendered, slopes = curves.rendered(self.across)
        rest = self.rows - rendered
        noise = 1.4826 * float(np.median(np.abs(rest[self.near])))  # of a normal distribution, from its median
        weight = self.near / np.maximum(1, np.abs(rest) / (_FAR * max(noise, _MISFIT)))
        weighted = slopes * weight[:, :, None]
        products = np.swapaxes(weighted, 1, 2) @ slopes
        rests = (weighted * rest[:, :, None]).sum(axis=1)
        bases = list(enumerate(self.bases))
        normal = np.block([[one.T @ (products[:, i, j, None] * other) for j, other in bases] for i, one in bases])
        right = np.concatenate([basis.T @ rests[:, i] for i, basis in bases])
        return normal, right, max(noise, _LEAST_NOISE) ** 2
