"""Labels at fewer pixels: vessels keep their width, and thin ones stay in one piece."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_darl.darl.config import LITE
from napari_darl.synthetic.tree_config import TreeConfig
from napari_darl.synthetic.trees import draw_trees
from napari_darl.training.crops import coarsened, reduced_labels
from napari_darl.training.distillation import DistillationConfig
from napari_darl.training.draw_config import DrawConfig
from napari_darl.training.sampler import Sampler, Stacks

SIDE = 330
THIN = TreeConfig(trunk_radius=(3, 9), tip_radius=1.2, side_branches=5.0)


def pieces(mask: np.ndarray) -> int:
    return int(ndimage.label(mask, np.ones((3, 3)))[1])


def labels(seed: int) -> np.ndarray:
    tree = draw_trees((SIDE, SIDE), np.random.default_rng(seed), THIN, 0.8).mask
    return np.where(tree, 1, -1).astype(np.float32)


@pytest.mark.parametrize(("size", "wider"), [(300, 1.05), (200, 1.1), (128, 1.2)])
def test_thin_vessels_stay_whole_and_wide_ones_as_wide(size: int, wider: float) -> None:
    for seed in range(4):
        full = labels(seed)
        small = reduced_labels(full, size)
        assert -1 <= small.min() < small.max() <= 1
        assert pieces(small > 0) <= pieces(full > 0)  # What nearly touches may merge.
        assert 0.97 < (small > 0).mean() / (full > 0).mean() < wider
        lengths = skeletonize(small > 0).sum(), skeletonize(full > 0).sum() * size / SIDE
        assert lengths[0] == pytest.approx(lengths[1], rel=0.06)


def test_coarse_crops_label_pixels_that_vessels_touch() -> None:
    full = labels(1)
    wider = []
    for factor in (1.02, 1.3, 2.0):
        frame, coarse = coarsened(-0.5 * full, full, factor)
        assert frame.shape == coarse.shape == full.shape
        assert pieces(coarse > 0) <= pieces(full > 0)
        wider.append((coarse > 0).mean() / (full > 0).mean())
    assert 1 <= wider[0] < 1.05 < wider[1] < 1.25 < wider[2] < 1.6
    for one, other in zip(coarsened(-0.5 * full, full, 1.0), (-0.5 * full, full), strict=True):
        np.testing.assert_array_equal(one, other)


def test_soft_labels_of_a_crop_that_shows_more_than_its_pixels_are_whole() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    vessel = abs(y - 0.7 * x - 30) < 0.9  # About 1.5 px wide.
    frame = np.where(vessel, 60, 120).astype(np.uint8)
    config = DrawConfig(size=128, zoom=(1.0, 1.0), distillation=DistillationConfig(unsure=0))
    sampler = Sampler(config, LITE.updated(side=128), Stacks([frame]))
    sampler.teach(lambda _: vessel.astype(np.float32))
    (crop,) = sampler.draw(0, 1).labels
    assert pieces(crop[0].numpy() > 0) == 1
