import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from napari_darl.errors import InputError
from napari_darl.synthetic.phantom import phantom_angiogram, phantom_movie, render


def test_render_is_beer_lambert():
    background = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    thickness = np.arange(12, dtype=np.float32).reshape(3, 4)
    filled = render(background, thickness, absorption=0.1, blur=0)
    intensity = (background.astype(float) + 1) / 2 * np.exp(-0.1 * thickness.astype(float))
    assert filled.dtype == np.float32
    np.testing.assert_allclose(filled, 2 * intensity - 1, atol=1e-6)


def test_render_blurs_the_vessel_and_nothing_else():
    rng = np.random.default_rng(0)
    background = rng.uniform(-1, 1, (40, 40)).astype(np.float32)
    thickness = np.zeros((40, 40), np.float32)
    thickness[20, 20] = 5
    filled = render(background, thickness, absorption=0.05, blur=1.0)
    np.testing.assert_allclose(filled[:10], background[:10], atol=1e-6)
    path = -np.log((filled + 1) / (background + 1)) / 0.05
    assert path[20, 21] > 0.1
    assert path.sum() == pytest.approx(5, rel=0.02)


def test_render_refuses_other_shapes():
    with pytest.raises(InputError, match="shape"):
        render(np.zeros((4, 4), np.float32), np.zeros((4, 5), np.float32), absorption=0.05)


@pytest.mark.parametrize("shape", [(128, 160), (512, 512)])
def test_angiograms_show_dark_vessels(shape):
    for seed in range(3):
        frame, truth = phantom_angiogram(shape, np.random.default_rng(seed))
        assert frame.dtype == np.float32
        assert frame.shape == truth.mask.shape == shape
        assert frame.min() >= -1
        assert frame.max() <= 1
        wide = truth.radius > 1.5
        around = binary_dilation(wide, iterations=4) & ~truth.mask
        assert frame[wide].mean() < frame[around].mean() - 0.03


def test_small_angiograms_hold_a_vessel():
    for seed in range(10):
        assert phantom_angiogram((32, 40), np.random.default_rng(seed))[1].mask.any()


def test_same_state_same_angiogram():
    first, again = (phantom_angiogram((64, 64), np.random.default_rng(7))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_contrast_flows_in_and_the_heart_beats():
    movie, masks = phantom_movie(13, (128, 128), np.random.default_rng(1))
    assert movie.shape == masks.shape == (13, 128, 128)
    assert (movie.dtype, masks.dtype) == (np.float32, bool)
    assert np.abs(movie).max() <= 1
    filled = masks.sum(axis=(1, 2))
    assert filled[0] == 0
    assert filled[4] < 0.9 * filled[-1]
    assert 0.01 < masks[-1].mean() < 0.4
    assert (masks[-1] != masks[-4]).any()  # both filled: only the beat is between them
    assert movie[-1][masks[-1]].mean() < movie[0][masks[-1]].mean() - 0.03


def test_impossible_phantoms_are_refused():
    with pytest.raises(InputError, match="32 x 32"):
        phantom_angiogram((16, 64), np.random.default_rng(0))
    with pytest.raises(InputError, match="one frame"):
        phantom_movie(0, (64, 64), np.random.default_rng(0))
