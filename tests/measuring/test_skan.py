"""Lengths of ours beside those of skan, an independent library."""

import numpy as np
import pytest
from drawings import straight, vessel
from skimage.morphology import skeletonize

from napari_darl import measure
from napari_darl.synthetic.trees import TreeConfig, draw_trees

skan = pytest.importorskip("skan", reason="skan isn't installed: pip install -c constraints.txt '.[oracle]'")


def skan_lengths(mask: np.ndarray) -> np.ndarray:
    return np.asarray(skan.Skeleton(skeletonize(mask, method="lee") > 0).path_lengths())


@pytest.mark.parametrize("angle", [0.0, np.pi / 4])
def test_vessels_along_rows_and_diagonals(angle: float) -> None:
    # There, chain codes are exact. A skeleton ends half a width before the mask does, on either side.
    mask = vessel(straight(angle), 2.6, (200, 200)).mask
    assert measure(mask).segments["length"] == pytest.approx([skan_lengths(mask).max() + 5.2], abs=2)


def test_chain_codes_of_oblique_vessels_are_longer() -> None:
    mask = vessel(straight(np.pi / 8), 2.6, (200, 200)).mask
    ours, theirs = measure(mask).segments["length"][0], skan_lengths(mask).max() + 5.2
    assert ours == pytest.approx(120 + 5.2, rel=0.01)
    assert 1.05 < theirs / ours < 1.09  # 1.082 at pi / 8


@pytest.mark.parametrize("seed", range(3))
def test_whole_trees(seed: int) -> None:
    # Over all directions, chain codes are 5 % too long; spurs, which only skan counts, add to that.
    mask = draw_trees((512, 512), np.random.default_rng(seed), TreeConfig(trees=(1, 1), outline=1)).mask
    ratio = skan_lengths(mask).sum() / measure(mask).summary["length"]
    assert 1.0 < ratio < 1.1
