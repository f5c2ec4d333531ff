import copy

import numpy as np
import pytest

pytest.importorskip("pydicom")

import pydicom
from dicom_files import COLOURS, DEEP, MOVIE, RNG, SIGNED, SMOOTH, compressed, dataset, jpeg, reread, saved
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from napari_darl.frames.stacks import read_stack
from napari_darl.io.images import read_image


@pytest.mark.parametrize("modality", ["XA", "RF"])
@pytest.mark.parametrize(
    ("data", "bits", "told"), [(MOVIE, 8, None), (MOVIE, 7, None), (DEEP, 12, 12), (SIGNED, 12, None), (DEEP, 16, None)]
)
def test_movies_come_back_as_they_were_written(tmp_path, modality, data, bits, told):
    values = data if bits != 7 else data >> 1
    movie = reread(tmp_path, dataset(values, bits, modality))
    np.testing.assert_array_equal(movie.data, values)
    assert movie.data.dtype == data.dtype
    assert movie.data.flags.writeable
    assert (movie.rgb, movie.bits, movie.modality) == (False, 7 if bits == 7 else told, modality)
    assert (movie.pixel_size, movie.pixel_size_from, movie.frame_time, movie.window) == (None, None, None, None)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("data", [MOVIE[:, :39, :49], DEEP])
def test_other_ways_to_write_the_same(tmp_path, syntax, data):
    made = dataset(data)
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        made.PixelData = data.astype(data.dtype.newbyteorder(">")).tobytes()
        made.PixelData += b"\0" * (len(made.PixelData) % 2)
    movie = reread(tmp_path, made)
    np.testing.assert_array_equal(movie.data, data)
    assert movie.data.dtype.isnative


def test_a_single_frame_has_no_time(tmp_path):
    for frame in (MOVIE[0], MOVIE[:1]):
        movie = reread(tmp_path, dataset(frame, FrameTime="66.7"))
        np.testing.assert_array_equal(movie.data, MOVIE[0])


def test_bigger_is_brighter(tmp_path):
    turned = {"PhotometricInterpretation": "MONOCHROME1"}
    np.testing.assert_array_equal(reread(tmp_path, dataset(MOVIE, **turned)).data, 255 - MOVIE)
    movie = reread(tmp_path, dataset(DEEP, 12, **turned, WindowCenter="1000.5", WindowWidth="201"))
    np.testing.assert_array_equal(movie.data, 4095 - DEEP)
    assert (movie.bits, movie.window) == (12, (4095 - 1100, 4095 - 900))
    np.testing.assert_array_equal(reread(tmp_path, dataset(SIGNED, 12, **turned)).data, -1 - SIGNED)


def test_rescaling_keeps_integers_where_it_can(tmp_path):
    movie = reread(tmp_path, dataset(DEEP, 12, RescaleSlope="1", RescaleIntercept="0"))
    assert (movie.data.dtype, movie.bits) == (np.uint16, 12)
    movie = reread(tmp_path, dataset(DEEP, 12, RescaleSlope="2", RescaleIntercept="-1024"))
    np.testing.assert_array_equal(movie.data, DEEP.astype(int) * 2 - 1024)
    assert (movie.data.dtype, movie.bits) == (np.int16, None)
    movie = reread(tmp_path, dataset(DEEP, 12, RescaleSlope="0.5", RescaleIntercept="3"))
    np.testing.assert_array_equal(movie.data, DEEP * np.float32(0.5) + 3)
    assert movie.data.dtype == np.float32
    turned = dataset(DEEP, 12, "XA", RescaleSlope="1", RescaleIntercept="9", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(reread(tmp_path, turned).data, 4095 - DEEP + 9)


def test_colours_become_rgb(tmp_path):
    movie = reread(tmp_path, dataset(COLOURS, modality="OP"))
    assert movie.rgb
    assert movie.modality == "OP"
    np.testing.assert_array_equal(movie.data, COLOURS)
    two = np.stack([COLOURS, 255 - COLOURS])
    np.testing.assert_array_equal(reread(tmp_path, dataset(two, modality="OP")).data, two)
    planes = dataset(COLOURS, modality="OP", PlanarConfiguration=1, PixelData=np.moveaxis(COLOURS, -1, 0).tobytes())
    np.testing.assert_array_equal(reread(tmp_path, planes).data, COLOURS)
    grey = dataset(np.dstack([SMOOTH, *[np.full_like(SMOOTH, 128)] * 2]), modality="OP")
    grey.PhotometricInterpretation = "YBR_FULL"
    np.testing.assert_array_equal(reread(tmp_path, grey).data, np.dstack([SMOOTH] * 3))
    shared = dataset(COLOURS, modality="OP", PhotometricInterpretation="YBR_FULL_422")
    brightness = SMOOTH.reshape(-1, 2)
    shared.PixelData = np.hstack([brightness, np.full_like(brightness, 128)]).tobytes()
    np.testing.assert_array_equal(reread(tmp_path, shared).data, np.dstack([SMOOTH] * 3))


@pytest.mark.parametrize(("depth", "shift"), [(8, 0), (16, 8), (16, 0)])
def test_palettes_become_rgb(tmp_path, depth, shift):
    palette = RNG.integers(0, 256, (3, 256)).astype(np.uint16)
    palette[:, 0] = 255
    made = dataset(MOVIE, PhotometricInterpretation="PALETTE COLOR", modality="OP")
    for name, channel in zip(("Red", "Green", "Blue"), palette, strict=True):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, depth])
        entries = channel.astype(np.uint8) if depth == 8 else channel << shift
        setattr(made, f"{name}PaletteColorLookupTableData", entries.tobytes())
    movie = reread(tmp_path, made)
    assert movie.rgb
    assert movie.bits is None
    np.testing.assert_array_equal(movie.data, np.moveaxis(palette[:, MOVIE], 0, -1))


def test_a_bitmap_is_black_and_white(tmp_path):
    made = dataset(MOVIE, BitsAllocated=1, BitsStored=1, HighBit=0)
    made.PixelData = np.packbits(MOVIE > 99, bitorder="little").tobytes()
    np.testing.assert_array_equal(reread(tmp_path, made).data, (MOVIE > 99) * np.uint8(255))
    made.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(reread(tmp_path, made).data, (MOVIE <= 99) * np.uint8(255))


def test_the_size_of_a_pixel(tmp_path):
    both = {"ImagerPixelSpacing": ["0.4", "0.3"], "PixelSpacing": ["0.25", "0.2"]}
    movie = reread(tmp_path, dataset(MOVIE, **both))
    assert (movie.pixel_size, movie.pixel_size_from) == ((0.25, 0.2), "PixelSpacing")
    for broken in ({"PixelSpacing": ["0", "0"]}, {"PixelSpacing": None}, {"PixelSpacing": "1"}):
        movie = reread(tmp_path, dataset(MOVIE, **(both | broken)))
        assert (movie.pixel_size, movie.pixel_size_from) == ((0.4, 0.3), "ImagerPixelSpacing")
    same = both | {"PixelSpacing": both["ImagerPixelSpacing"]}  # not calibrated, by the standard
    assert reread(tmp_path, dataset(MOVIE, **same)).pixel_size_from == "ImagerPixelSpacing"
    shared, measures = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = ["0.15", "0.1"]
    shared.PixelMeasuresSequence = [measures]
    assert reread(tmp_path, dataset(MOVIE, SharedFunctionalGroupsSequence=[shared])).pixel_size == (0.15, 0.1)
    frames = [shared] * len(MOVIE)
    assert reread(tmp_path, dataset(MOVIE, PerFrameFunctionalGroupsSequence=frames)).pixel_size == (0.15, 0.1)
    other = copy.deepcopy(shared)
    other.PixelMeasuresSequence[0].PixelSpacing = ["0.2", "0.2"]
    frames = [*frames[:-1], other]
    assert reread(tmp_path, dataset(MOVIE, PerFrameFunctionalGroupsSequence=frames)).pixel_size is None
    image = read_image(saved(tmp_path / "a.dcm", dataset(DEEP, 12, **both)))
    assert (image.pixel_size, image.unit, image.bits, image.rgb) == ((0.25, 0.2), "mm", 12, False)
    assert not image.at_detector
    image = read_image(saved(tmp_path / "a.dcm", dataset(MOVIE, **same, FrameTime="40")))
    assert (image.at_detector, image.frame_time) == (True, 40)
    assert read_image(saved(tmp_path / "a.dcm", dataset(DEEP, 12))).unit is None


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"FrameTime": "66.7", "CineRate": "30"}, 66.7),
        ({"FrameTimeVector": ["0", "40", "50", "40"]}, 40),
        ({"FrameTime": "0", "CineRate": "25"}, 40),
        ({"RecommendedDisplayFrameRate": "10"}, 100),
        ({"FrameTime": "-3", "CineRate": "0"}, None),
        ({"FrameTimeVector": "0"}, None),
    ],
)
def test_the_time_between_frames(tmp_path, elements, expected):
    assert reread(tmp_path, dataset(MOVIE, **elements)).frame_time == expected


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"WindowCenter": "128", "WindowWidth": "256"}, (0, 255)),
        ({"WindowCenter": ["100.5", "7"], "WindowWidth": ["101", "9"]}, (50, 150)),
        ({"WindowCenter": "100", "WindowWidth": "100", "VOILUTFunction": "LINEAR_EXACT"}, (50, 150)),
        ({"WindowCenter": "0", "WindowWidth": "0"}, None),
        ({"WindowCenter": "100", "WindowWidth": "1"}, None),
        ({"WindowCenter": "9000", "WindowWidth": "10"}, None),
        ({"WindowCenter": "100"}, None),
    ],
)
def test_the_window(tmp_path, elements, expected):
    assert reread(tmp_path, dataset(MOVIE, **elements)).window == expected


@pytest.mark.parametrize("data", [MOVIE, DEEP, COLOURS])
def test_rle(tmp_path, data):
    made = dataset(data, modality="OP" if data is COLOURS else "XA")
    made.compress(RLELossless)
    np.testing.assert_array_equal(reread(tmp_path, made).data, data)


def test_jpeg(tmp_path):
    grey = compressed(dataset(np.stack([SMOOTH] * 2)), [jpeg(SMOOTH)] * 2, JPEGBaseline8Bit)
    movie = reread(tmp_path, grey)
    assert movie.data.shape == (2, *SMOOTH.shape)
    np.testing.assert_allclose(movie.data[1].astype(int), SMOOTH, atol=4)
    colours = dataset(COLOURS, modality="OP", PhotometricInterpretation="YBR_FULL_422")
    movie = reread(tmp_path, compressed(colours, [jpeg(COLOURS)], JPEGBaseline8Bit))
    assert movie.rgb
    np.testing.assert_allclose(movie.data.astype(int), COLOURS, atol=12)


def test_jpeg_lossless(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    pytest.importorskip("libjpeg")
    for data, bits in ((MOVIE, 8), (DEEP, 12)):
        frames = [imagecodecs.ljpeg_encode(frame, bitspersample=bits) for frame in data]
        movie = reread(tmp_path, compressed(dataset(data, bits), frames, JPEGLosslessSV1))
        np.testing.assert_array_equal(movie.data, data)
        assert movie.data.dtype == data.dtype


def test_jpeg_2000(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    frames = [imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True) for frame in DEEP]
    movie = reread(tmp_path, compressed(dataset(DEEP), frames, JPEG2000Lossless))
    np.testing.assert_array_equal(movie.data, DEEP)


def test_a_folder_of_movies_is_a_stack_of_series(tmp_path):
    saved(tmp_path / "10.dcm", dataset(DEEP[:2], 12))
    saved(tmp_path / "9.DCM", dataset(DEEP, 12))
    saved(tmp_path / "11.dicom", dataset(DEEP[0], 12))
    stack = read_stack(tmp_path)
    assert [len(one) for one in stack.series] == [5, 2, 1]
    assert stack.bits == 12
    angiograms, backgrounds = stack.split(1)
    assert len(angiograms) == 5
    assert backgrounds is not None
    np.testing.assert_array_equal(backgrounds, [DEEP[0]] * 3)
