import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.synthetic.fractals import draw_fractal


def test_same_state_same_mask():
    first, again, other = (draw_fractal((256, 200), np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.thickness, again.thickness)
    assert (first.mask != other.mask).any()


def test_arrays_agree():
    drawn = draw_fractal((512, 400), np.random.default_rng(3))
    assert (drawn.mask.dtype, drawn.radius.dtype, drawn.thickness.dtype) == (bool, np.float32, np.float32)
    assert drawn.mask.shape == drawn.radius.shape == drawn.thickness.shape == (512, 400)
    np.testing.assert_array_equal(drawn.radius > 0, drawn.mask)
    assert not drawn.thickness[~drawn.mask].any()
    assert (drawn.thickness <= 2 * drawn.radius + 1e-4).all()


def test_coverage_and_range_of_widths():
    rng = np.random.default_rng(0)
    drawn = [draw_fractal((512, 512), rng) for _ in range(25)]
    assert 0.02 < np.mean([d.mask.mean() for d in drawn]) < 0.2
    assert all(d.mask.any() for d in drawn)
    assert max(d.radius.max() for d in drawn) > 10
    assert min(d.radius[d.mask].min() for d in drawn) < 1


def test_scale_multiplies_lengths():
    small = draw_fractal((512, 512), np.random.default_rng(4))
    large = draw_fractal((1024, 1024), np.random.default_rng(4), scale=2.0)
    assert large.radius.max() == pytest.approx(2 * small.radius.max())
    assert (large.mask[::2, ::2] == small.mask).mean() > 0.98


def test_bad_sizes_are_refused():
    with pytest.raises(InputError, match="positive"):
        draw_fractal((64, 0), np.random.default_rng(0))
    with pytest.raises(InputError, match="positive"):
        draw_fractal((64, 64), np.random.default_rng(0), scale=-1)
