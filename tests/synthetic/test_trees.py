from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label, maximum_filter

from napari_darl.errors import InputError
from napari_darl.synthetic.raster import Segments, rasterise, transform
from napari_darl.synthetic.trees import TreeConfig, draw_trees, tree_segments

EIGHT = np.ones((3, 3))


def lines(*ends, radius, layers=None):
    """Straight vessels from (row, column, row, column) each."""
    points = np.array(ends, float)
    n = len(points)
    return Segments(
        points[:, :2],
        points[:, 2:],
        np.full((n, 2), float(radius)),
        np.array(layers if layers is not None else [0] * n),
        np.ones(n),
        np.zeros(n),
    )


def test_same_state_same_mask():
    first, again, other = (draw_trees((200, 150), np.random.default_rng(s)) for s in (1, 1, 2))
    for name in ("mask", "radius", "thickness"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.mask != other.mask).any()


def test_arrays_agree():
    drawn = draw_trees((300, 200), np.random.default_rng(3))
    assert (drawn.mask.dtype, drawn.radius.dtype, drawn.thickness.dtype) == (bool, np.float32, np.float32)
    assert drawn.mask.shape == drawn.radius.shape == drawn.thickness.shape == (300, 200)
    np.testing.assert_array_equal(drawn.radius > 0, drawn.mask)
    assert not drawn.thickness[~binary_dilation(drawn.mask, EIGHT, iterations=2)].any()


def test_thickness_is_the_chord():
    drawn = rasterise((41, 60), lines((20.3, -10, 20.3, 80), radius=5))
    distance = np.arange(41)[:, None] + np.linspace(-0.5, 0.5, 2001) - 20.3
    chord = 2 * np.sqrt(np.maximum(25 - distance**2, 0)).mean(axis=1)  # over each pixel
    np.testing.assert_allclose(drawn.thickness, np.repeat(chord[:, None], 60, axis=1), atol=2e-3)
    np.testing.assert_array_equal(drawn.mask[:, 30], np.abs(np.arange(41) - 20.3) < 5 * 0.75**0.5)  # half a diameter


@pytest.mark.parametrize("radius", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("slope", [0.0, 0.37, 1.0])
def test_thin_vessels_hold_together(radius, slope):
    drawn = rasterise((100, 100), lines((5.27, -5, 5.27 + 90 * slope, 105), radius=radius))
    assert label(drawn.mask, EIGHT)[1] == 1
    assert drawn.mask.any(axis=0).all()
    area = drawn.thickness.sum() / np.hypot(100, 100 * 90 * slope / 110)
    assert area == pytest.approx(np.pi * radius**2, rel=0.05)


def test_layers_add_up_and_joints_do_not():
    cross = [(50, 0, 50, 100), (0, 50, 100, 50)]
    joined = rasterise((101, 101), lines(*cross, radius=4))
    crossing = rasterise((101, 101), lines(*cross, radius=4, layers=[0, 1]))
    assert joined.thickness[50, 50] == pytest.approx(8, rel=0.01)
    assert crossing.thickness[50, 50] == pytest.approx(16, rel=0.01)
    np.testing.assert_array_equal(joined.mask, crossing.mask)


def test_a_vessel_that_passes_into_another_layer_stays_as_thick():
    rows = np.arange(0, 100, 2)
    pieces = lines(*[(row, 20, row + 2, 20) for row in rows], radius=4)
    own = np.clip((rows - 46) / 8, 0, 1)
    layers = [replace(pieces, layer=np.full(50, number), share=share) for number, share in enumerate((1 - own, own))]
    both = Segments(*(np.concatenate([getattr(one, f.name) for one in layers]) for f in fields(Segments)))
    drawn = rasterise((101, 41), both)
    np.testing.assert_allclose(drawn.thickness[6:95], rasterise((101, 41), pieces).thickness[6:95], atol=0.01)


def test_a_crop_is_drawn_as_the_whole():
    trees = tree_segments((512, 512), np.random.default_rng(5), TreeConfig(), 1.0)
    whole = rasterise((512, 512), trees)
    crop = rasterise((100, 130), transform(trees, 1.0, np.array([-200.0, -150.0])))
    assert crop.mask.any()
    assert (crop.mask == whole.mask[200:300, 150:280]).mean() > 0.999
    np.testing.assert_allclose(crop.thickness, whole.thickness[200:300, 150:280], atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_tree_is_one_piece_and_thins_out(seed):
    config = TreeConfig(trees=(1, 1))
    tree = tree_segments((512, 512), np.random.default_rng(seed), config, 1.0)
    lowest = np.minimum(tree.start.min(axis=0), tree.end.min(axis=0)) - 10
    size = np.ceil(np.maximum(tree.start.max(axis=0), tree.end.max(axis=0)) - lowest + 10).astype(int)
    drawn = rasterise((int(size[0]), int(size[1])), transform(tree, 1.0, -lowest))
    assert label(drawn.mask, EIGHT)[1] == 1
    root, tips = tree.radius[tree.arrival == 0].max(), tree.radius.min()
    assert config.trunk_radius[0] * 0.8 < root < config.trunk_radius[1] * 1.2
    assert tips == pytest.approx(config.tip_radius, abs=0.2)


def test_no_dark_spots_where_branches_leave():
    config = TreeConfig(trees=(1, 1), side_branches=3, tortuosity=0, branch_ratio=(0.25, 0.5))
    drawn = [draw_trees((512, 512), np.random.default_rng(seed), config) for seed in range(12)]
    twice = [d.mask & (d.thickness > 2.6 * maximum_filter(d.radius, 3)) for d in drawn]
    assert np.sum(twice) < 1e-4 * np.sum([d.mask for d in drawn])


def test_frames_and_crops_look_alike():
    rng = np.random.default_rng(0)
    frames = [draw_trees((512, 512), rng).mask.mean() for _ in range(40)]
    crops = [draw_trees((128, 128), rng).mask.mean() for _ in range(300)]
    assert 0.03 < np.mean(frames) < 0.15
    assert np.mean(crops) == pytest.approx(np.mean(frames), rel=0.35)
    assert np.quantile(crops, 0.1) < 0.01
    assert np.quantile(crops, 0.9) > 0.1


def test_scale_multiplies_lengths():
    small = draw_trees((512, 512), np.random.default_rng(4))
    large = draw_trees((1024, 1024), np.random.default_rng(4), scale=2.0)
    assert large.radius.max() == pytest.approx(2 * small.radius.max(), rel=0.05)
    assert (large.mask[::2, ::2] == small.mask).mean() > 0.98


def test_no_trees_no_vessels():
    drawn = draw_trees((64, 64), np.random.default_rng(0), TreeConfig(trees=(0, 0)))
    assert drawn.thickness.shape == (64, 64)
    assert not drawn.mask.any()


@pytest.mark.parametrize(("shape", "scale"), [((0, 5), 1.0), ((5, 5), 0.0), ((5, 5), float("nan"))])
def test_bad_sizes_are_refused(shape, scale):
    with pytest.raises(InputError, match="positive"):
        draw_trees(shape, np.random.default_rng(0), scale=scale)


@pytest.mark.parametrize("options", [{"trees": (3, 1)}, {"branch_ratio": (0.5, 1.0)}, {"colour": "red"}])
def test_bad_configs_are_refused(options):
    with pytest.raises(InputError):
        TreeConfig(**options)
