import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.frames.arrays import as_image, check_frame, iter_frames
from napari_darl.frames.channels import as_grey, to_grey
from napari_darl.frames.normalisation import Normalisation, intensity_range, normalise
from napari_darl.io.arrays import ImageData

BITS = Normalisation()
PERCENTILES = Normalisation(kind="percentiles", low=1, high=99)


@pytest.fixture
def ramp():
    return np.arange(64 * 64, dtype=np.float64).reshape(64, 64)


@pytest.mark.parametrize(
    ("image", "rgb", "message"),
    [
        (np.zeros((0, 40, 40)), False, "empty"),
        (np.float32(1), False, r"shape is \(\)"),
        (np.zeros(40), False, r"shape is \(40,\)"),
        (np.zeros((40, 40)), True, "3 or 4"),
        (np.zeros((40, 40, 2)), True, "not 2"),
        (np.zeros((40, 40), complex), False, "complex128"),
        (np.full((40, 40), "a"), False, "<U1"),
        (np.full((40, 40), None), False, "object"),
        (np.zeros((40, 40), "datetime64[s]"), False, "datetime64"),
        (np.zeros((31, 400)), False, "31 x 400 pixels"),
        (np.zeros((400, 31, 3)), True, "400 x 31 pixels"),
        ([[1, 2], [3]], False, "list can't be read"),
    ],
)
def test_unusable_images_are_refused_with_a_reason(image, rgb, message):
    with pytest.raises(InputError, match=message) as error:
        as_image(image, rgb=rgb)
    assert "\n" not in str(error.value)


def test_any_array_like_is_taken():
    torch = pytest.importorskip("torch")
    assert as_image([[0] * 32] * 32, rgb=False).data.shape == (32, 32)
    assert as_image(torch.zeros(2, 32, 32), rgb=False).data.shape == (2, 32, 32)
    assert as_image(np.zeros((5, 2, 32, 32, 4)), rgb=True).data.shape == (5, 2, 32, 32, 4)
    with pytest.raises(InputError, match="Tensor can't be read"):
        as_image(torch.zeros(32, 32, requires_grad=True), rgb=False)


class Lazy:
    """An array that counts the frames taken from it, as zarr or h5py would compute them."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.taken = values, values.shape, values.dtype, []

    def __getitem__(self, index):
        self.taken.append(index)
        return self.values[index]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the whole array was computed")


def test_lazy_images_are_computed_frame_by_frame():
    lazy = Lazy(np.random.default_rng(0).integers(0, 255, (2, 3, 32, 40), np.uint8))
    frames = iter_frames(as_image(lazy))
    assert lazy.taken == []
    index, frame = next(frames)
    assert index == (0, 0)
    assert lazy.taken == [(0, 0)]
    np.testing.assert_array_equal(frame, lazy.values[0, 0])
    assert [index for index, _ in frames] == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_dask_frames_and_unknown_shapes():
    da = pytest.importorskip("dask.array")
    values = np.random.default_rng(0).random((2, 32, 40, 3))
    image = as_image(da.from_array(values, chunks=(1, 16, 16, 3)), rgb=True)
    assert not isinstance(image.data, np.ndarray)
    for (place,), frame in iter_frames(image):
        assert isinstance(frame, np.ndarray)
        np.testing.assert_array_equal(frame, values[place])
    unknown = da.from_array(values[..., 0], chunks=1)
    with pytest.raises(InputError, match="compute_chunk_sizes"):
        as_image(unknown[unknown[:, 0, 0] > 0.5], rgb=False)


def test_a_single_frame_has_an_empty_index():
    [(index, frame)] = iter_frames(as_image(np.ones((32, 40, 3)), rgb=True))
    assert index == ()
    assert frame.shape == (32, 40, 3)
    assert as_image(np.ones((32, 40, 3)), rgb=True).frame_count == 1
    assert as_image(np.ones((5, 2, 32, 40))).frame_count == 10


def test_an_image_value_keeps_what_it_knows() -> None:
    known = ImageData(np.zeros((5, 32, 40, 3), np.uint16), rgb=True, pixel_size=(2.0, 1.0), bits=12, axes="TYXS")
    assert as_image(known) is known
    assert as_image(known, bits=10).bits == 10
    assert (known.leading_shape, known.frame_shape, known.frame_count) == ((5,), (32, 40), 5)
    grey = as_grey(known)
    assert (grey.data.shape, grey.rgb, grey.axes, grey.bits) == ((5, 32, 40), False, "TYX", 12)
    assert as_grey(grey) is grey


def test_grey_keeps_dtype_and_range():
    skimage_color = pytest.importorskip("skimage.color")
    colours = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 4), np.uint8)
    np.testing.assert_array_equal(to_grey(colours), colours[..., 1])
    luminance = to_grey(colours, "luminance")
    assert luminance.dtype == np.uint8
    expected = skimage_color.rgb2gray(colours[..., :3]) * 255
    np.testing.assert_allclose(luminance, expected, atol=0.51)
    assert to_grey(np.full((2, 2, 3), 65535, np.uint16), "luminance").max() == 65535
    assert to_grey(np.full((2, 2, 3), 0.5, np.float32), "luminance").dtype == np.float32


def test_frames_without_meaning_are_refused(ramp):
    check_frame(ramp, "frame 0")
    ramp[3, 4], ramp[5, 6] = np.nan, np.inf
    check_frame(ramp, "frame 1")
    ramp[:] = np.nan
    with pytest.raises(InputError, match=r"frame 7 of run\.tif has no finite value"):
        check_frame(ramp, "frame 7 of run.tif")
    ramp[0, :5] = 3
    with pytest.raises(InputError, match="frame 8 has the value 3"):
        check_frame(ramp, "frame 8")
    with pytest.raises(InputError, match="the frame has the value 5 at every pixel"):
        check_frame(np.full((32, 32), 5, np.uint8), "the frame")


@pytest.mark.parametrize(
    ("dtype", "bits", "expected"),
    [(np.uint8, None, 255), (np.uint16, 12, 4095), (np.int16, 12, 4095), (np.uint8, 4, 15), (bool, None, 1)],
)
def test_known_bits_give_the_range_as_published(dtype, bits, expected):
    frame = np.random.default_rng(0).integers(0, 2, (40, 40)).astype(dtype)
    assert intensity_range(frame, BITS, bits) == (0, expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int64, np.float16, np.float32, np.float64, ">u2"])
def test_unknown_bits_give_percentiles(ramp, dtype):
    frame = (ramp / 2 - 1000).clip(0 if np.dtype(dtype).kind == "u" else -np.inf).astype(dtype)
    expected = np.percentile(frame.astype(np.float64), [0.1, 99.9])
    assert intensity_range(frame, BITS) == pytest.approx(tuple(expected))
    normal = normalise(frame, intensity_range(frame, BITS))
    assert normal.dtype == np.float32
    assert normal.min() == -1
    assert normal.max() == 1


def test_percentiles_resist_outliers_whatever_the_dtype():
    frame = np.random.default_rng(0).integers(100, 120, (50, 50)).astype(np.uint8)
    frame[0, 0] = 255
    low, high = intensity_range(frame, PERCENTILES, bits=8)
    assert (low, high) == (100, 119)
    assert normalise(frame, (low, high)).max() == 1


def test_a_sparse_frame_falls_back_to_its_extremes():
    frame = np.zeros((100, 100), np.uint16)
    frame[50, 50] = 700
    assert intensity_range(frame, BITS) == (0, 700)


def test_big_frames_are_sampled_evenly():
    rows = np.linspace(0, 1, 5000, dtype=np.float32)[:, None]
    frame = np.broadcast_to(rows, (5000, 4000))
    low, high = intensity_range(frame, PERCENTILES)
    assert low == pytest.approx(0.01, abs=1e-3)
    assert high == pytest.approx(0.99, abs=1e-3)


def test_normalising_clips_and_inverts():
    frame = np.array([[0, 64, 128, 255]], np.uint8)
    dark = normalise(frame, (0, 128))
    np.testing.assert_allclose(dark, [[-1, 0, 1, 1]])
    np.testing.assert_allclose(normalise(frame, (0, 128), bright=True), -dark)
    assert not normalise(frame, (5, 5)).any()


def test_a_tile_agrees_with_its_frame(ramp):
    limits = intensity_range(ramp, PERCENTILES)
    np.testing.assert_array_equal(normalise(ramp, limits)[8:40, 8:40], normalise(ramp[8:40, 8:40], limits))


def test_large_offsets_keep_their_detail(ramp):
    frame = ramp.astype(np.int64) + 10**9
    normal = normalise(frame, intensity_range(frame, PERCENTILES))
    assert len(np.unique(normal)) > 4000


@pytest.mark.parametrize("options", [{"low": 50, "high": 50}, {"low": -1}, {"high": 101}, {"kind": "z"}, {"x": 1}])
def test_senseless_normalisations_are_refused(options):
    with pytest.raises(InputError):
        Normalisation(**options)


def test_senseless_bits_are_refused(ramp):
    with pytest.raises(InputError, match="65 bits"):
        intensity_range(ramp, BITS, bits=65)


def test_the_finest_level_of_multiscale_data_is_taken() -> None:
    levels = [np.full((size, size), size, np.uint8) for size in (128, 64, 32)]
    assert as_image(levels).data is levels[0]
    stack = [levels[1]] * 3
    assert as_image(stack).frame_count == 3
    napari = pytest.importorskip("napari.layers._multiscale_data")
    assert as_image(napari.MultiScaleData(levels)).data is levels[0]
    assert as_image(napari.MultiScaleData(levels[:1])).data is levels[0]


def test_masked_pixels_are_never_taken_for_values() -> None:
    frame = np.ma.masked_greater(np.arange(4096).reshape(64, 64), 4000)
    [(_, kept)] = iter_frames(as_image(frame))
    assert np.ma.getmaskarray(kept).sum() == 95
    np.testing.assert_array_equal(as_image(np.ma.masked_greater(frame.data, 5000)).data, frame.data)
