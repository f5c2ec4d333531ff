"""How random vessel trees look."""

from typing import Self

from pydantic import Field, model_validator

from napari_darl.configuration import Config
from napari_darl.synthetic.raster import FULL_WIDTH

FRAME = 512.0
"""Side of the frame that the lengths of `TreeConfig` refer to, px."""


class TreeConfig(Config):
    """How the trees look; lengths are in px of a 512 x 512 frame.

    Attributes
    ----------
    trees : tuple of int
        Least and greatest number of trees in a 512 x 512 frame.
    trunk_radius : tuple of float
        Least and greatest radius of the lumen at the root of a tree.
    tip_radius : float
        Radius at which a branch ends.
    length : float
        Typical length of a branch, in multiples of its radius.
    taper : float
        Fraction of its radius that a branch loses along its length, in addition to what its side branches take.
    side_branches : float
        Mean number of side branches of a trunk; thinner branches have fewer.
    branch_ratio : tuple of float
        Least and greatest radius of a side branch, as a fraction of its parent's.
    tortuosity : float
        Standard deviation of the heading about the course of a branch, in radians.
    bend_length : float
        Correlation length of the heading: short for wavy branches, long for straight ones.
    irregularity : float
        Relative standard deviation of the radius along a branch.
    outline : float
        Fraction of a lumen's radius that belongs to the mask. At the edge of the mask, the path of a ray is
        sqrt(1 - outline^2) of the diameter.
    """

    trees: tuple[int, int] = (1, 4)
    trunk_radius: tuple[float, float] = (3.0, 6.5)
    tip_radius: float = Field(0.6, gt=0)
    length: float = Field(100.0, gt=0)
    taper: float = Field(0.3, ge=0, lt=1)
    side_branches: float = Field(7.0, ge=0)
    branch_ratio: tuple[float, float] = (0.25, 0.9)
    tortuosity: float = Field(0.35, ge=0)
    bend_length: float = Field(20.0, gt=0)
    irregularity: float = Field(0.06, ge=0)
    outline: float = Field(FULL_WIDTH, gt=0, le=1)

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        (fewest, most), (least, greatest), (low, high) = self.trees, self.trunk_radius, self.branch_ratio
        if not (0 <= fewest <= most and 0 < least <= greatest and 0 < low <= high < 1):
            raise ValueError("trees, trunk_radius and branch_ratio (between 0 and 1) need the smaller value first")
        return self
