"""Clutter in backgrounds, bright streaks on vessels, and fluorescence phantoms."""

import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.synthetic.clutter import ClutterConfig, add_clutter, with_reflex
from napari_darl.synthetic.fluorescence import phantom_fluorescence
from napari_darl.synthetic.trees import TreeConfig, draw_trees


@pytest.mark.parametrize(
    ("config", "brighter", "darker"),
    [
        (ClutterConfig(), False, False),
        (ClutterConfig(bright_spots=40), True, False),
        (ClutterConfig(dark_spots=40), False, True),
        (ClutterConfig(edges=20, bands=5), True, True),
    ],
)
def test_clutter_changes_what_it_is_asked_to(config: ClutterConfig, brighter: bool, darker: bool) -> None:
    frame = np.zeros((96, 96), np.float32)
    found = add_clutter(frame, np.random.default_rng(3), config)
    again = add_clutter(frame, np.random.default_rng(3), config)
    assert np.array_equal(found, again)
    assert found.dtype == np.float32
    assert abs(found).max() <= 1
    assert (found.max() > 0.02) == brighter
    assert (found.min() < -0.02) == darker


def test_the_reflex_thins_wide_vessels_along_their_middle() -> None:
    tree = draw_trees((256, 256), np.random.default_rng(0), TreeConfig(trees=(3, 3), trunk_radius=(8, 8)))
    thinned = with_reflex(tree, 0.6)
    middle = (tree.thickness > 1.98 * tree.radius) & (tree.thickness <= 2 * tree.radius) & (tree.radius > 3)
    assert middle.any()
    assert (thinned[middle] < 0.5 * tree.thickness[middle]).all()
    assert (thinned <= tree.thickness + 1e-6).all()
    assert np.array_equal(with_reflex(tree, 0.0), tree.thickness)


def test_fluorescence_phantoms_have_bright_vessels() -> None:
    contrasts = []
    for seed in range(6):
        frame, truth = phantom_fluorescence((96, 128), np.random.default_rng(seed))
        assert frame.shape == truth.mask.shape == (96, 128)
        assert frame.dtype == np.float32
        assert abs(frame).max() <= 1
        if truth.mask.any() and not truth.mask.all():
            contrasts.append(frame[truth.mask].mean() - frame[~truth.mask].mean())
    assert len(contrasts) > 2
    assert np.mean(contrasts) > 0
    with pytest.raises(InputError, match="at least 32 x 32"):
        phantom_fluorescence((16, 64), np.random.default_rng(0))
