import contextlib
import logging
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom")

import pydicom
from dicom_files import PATIENT, compressed, dataset, jpeg, saved
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from napari_darl.data.dicom import DicomMovie, read_dicom
from napari_darl.data.files import read_image, read_stack
from napari_darl.errors import DarlError, FileError

RNG = np.random.default_rng(0)
MOVIE = RNG.integers(0, 256, (5, 40, 50), np.uint8)
DEEP = RNG.integers(0, 4096, (5, 40, 50), np.uint16)
SIGNED = RNG.integers(-2048, 2048, (5, 40, 50), np.int16)
SMOOTH = np.add.outer(np.arange(0, 80, 2), np.arange(50)).astype(np.uint8)
COLOURS = np.stack([SMOOTH, 255 - SMOOTH, SMOOTH // 2], -1)


def reread(folder: Path, made: Any) -> DicomMovie:
    return read_dicom(saved(folder / "a.dcm", made))


@contextlib.contextmanager
def nothing_said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See that nothing is logged or warned of, at any level."""
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert caplog.records == []
    assert caught == []


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
    shared, measures = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = ["0.15", "0.1"]
    shared.PixelMeasuresSequence = [measures]
    assert reread(tmp_path, dataset(MOVIE, SharedFunctionalGroupsSequence=[shared])).pixel_size == (0.15, 0.1)
    image = read_image(saved(tmp_path / "a.dcm", dataset(DEEP, 12, **both)))
    assert (image.pixel_size, image.unit, image.bits, image.rgb) == ((0.25, 0.2), "mm", 12, False)
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


def refusal(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Message of a file that isn't read: fast, in silence, with no memory taken and without a name in any of it."""
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with nothing_said(caplog), pytest.raises(FileError) as caught:
            read_dicom(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 5
    assert caught.value.__context__ is None, "whose message may have values of the file"
    told = "".join(traceback.format_exception(caught.value))
    assert "mustermann" not in told.lower()
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("elements", "part"),
    [
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": "1000000000"}, "promises more than 64 GiB"),
        ({"Rows": 65535, "Columns": 65535}, "is cut short"),
        ({"NumberOfFrames": "1000000"}, "is cut short"),
        ({"NumberOfFrames": "-1"}, "promises no pixels"),
        ({"Rows": 0}, "promises no pixels"),
        ({"Columns": None}, "promises no pixels"),
        ({"Rows": None}, "holds no image"),
        ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, "in an unusual way (12 of 12 bits)"),
        ({"HighBit": 5}, "in an unusual way"),
        ({"PhotometricInterpretation": "CMYK", "SamplesPerPixel": 4}, "colours of an unusual kind"),
        ({"PhotometricInterpretation": "MUSTERMANN"}, "colours of an unusual kind"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "is cut short"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "is damaged, or no image"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_hostile_headers(tmp_path, elements, part, packed, caplog):
    made = dataset(MOVIE)
    if packed:
        made.compress(RLELossless)
    for name, value in elements.items():
        setattr(made, name, value)
    message = refusal(saved(tmp_path / "a.dcm", made), caplog)
    assert part in message or (packed and "can't be decompressed (RLE Lossless)" in message)


def test_numbers_that_are_none(tmp_path, caplog):
    path = saved(tmp_path / "a.dcm", dataset(MOVIE, NumberOfFrames="5"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x28\x00\x08\x00IS\x02\x005 ", b"\x28\x00\x08\x00IS\x02\x00Mu"))
    assert "is damaged" in refusal(path, caplog)
    odd = dataset(MOVIE)
    odd.add_new(0x00280030, "LO", PATIENT)
    odd.add_new(0x00181063, "LO", PATIENT)
    odd.add_new(0x00080060, "LO", PATIENT)
    with nothing_said(caplog):
        movie = reread(tmp_path, odd)
    assert (movie.pixel_size, movie.frame_time, movie.modality) == (None, None, "")


def test_files_that_are_cut_short(tmp_path, caplog):
    for made in (dataset(DEEP, 12), compressed(dataset(MOVIE), [jpeg(frame) for frame in MOVIE], JPEGBaseline8Bit)):
        whole = saved(tmp_path / "a.dcm", made).read_bytes()
        cut = tmp_path / "cut.dcm"
        for length in (0, 100, 200, 400, 700, 900, len(whole) // 2, len(whole) - 500):
            cut.write_bytes(whole[:length])
            refusal(cut, caplog)
    assert "is cut short" in refusal(cut, caplog)


def test_damage_anywhere_is_an_error_or_nothing(tmp_path):
    rng = np.random.default_rng(1)
    packed = dataset(MOVIE)
    packed.compress(RLELossless)
    deep = dataset(DEEP, 12, FrameTime="40", PixelSpacing=["0.2", "0.2"], WindowCenter="9", WindowWidth="9")
    jpegs = compressed(dataset(MOVIE), [jpeg(frame) for frame in MOVIE], JPEGBaseline8Bit)
    for made in (packed, deep, jpegs):
        whole = saved(tmp_path / "a.dcm", made).read_bytes()
        start = whole.index(b"\xe0\x7f\x10\x00")
        for _ in range(150):
            damaged = bytearray(whole)
            for at in rng.integers(128, start + 200, 3):
                damaged[at] = rng.integers(256)
            path = tmp_path / "damaged.dcm"
            path.write_bytes(damaged)
            with contextlib.suppress(FileError):
                read_dicom(path)


def test_no_image(tmp_path, caplog):
    made = dataset(MOVIE)
    del made.PixelData
    assert "holds no pixels" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    for name in ("Rows", "Columns", "BitsAllocated"):
        delattr(made, name)
    assert "holds no image" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    made = dataset(MOVIE)
    made.FloatPixelData = MOVIE.astype(np.float32).tobytes()
    del made.PixelData
    assert "holds no pixels" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    other = tmp_path / "b.dcm"
    other.write_bytes(b"not at all " * 100)
    assert "is no DICOM file" in refusal(other, caplog)
    assert "can't be opened (No such file" in refusal(tmp_path / "nowhere.dcm", caplog)
    for path in (other, tmp_path / "nowhere.dcm"):
        with pytest.raises(DarlError):
            read_image(path)


def test_ways_of_compression_that_nothing_can_undo(tmp_path, caplog, monkeypatch):
    def with_syntax(syntax: str) -> Path:
        return saved(tmp_path / "a.dcm", compressed(dataset(MOVIE), [jpeg(frame) for frame in MOVIE], syntax))

    assert "(MPEG2 Main Profile / Main Level): export it without" in refusal(with_syntax(MPEG2MPML), caplog)
    path = with_syntax(JPEGBaseline8Bit)
    path.write_bytes(path.read_bytes().replace(JPEGBaseline8Bit.encode(), b"1.2.840.10008.9.9.9.99"))
    assert "(an unknown transfer syntax): export it without" in refusal(path, caplog)
    deflated = dataset(MOVIE)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert "as a whole" in refusal(saved(tmp_path / "a.dcm", deflated), caplog)
    monkeypatch.setattr(pydicom.pixels.decoders.base.Decoder, "is_available", False)
    assert 'pip install "napari-darl[dicom]", or export' in refusal(with_syntax(JPEGLosslessSV1), caplog)
    assert 'pip install "napari-darl[dicom]", or' in refusal(with_syntax(HTJ2KLossless), caplog)


def test_frames_that_unpack_to_more_than_promised(tmp_path, caplog):
    bomb = bytearray(jpeg(SMOOTH))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    made = compressed(dataset(MOVIE[:2, :, :]), [jpeg(SMOOTH), bytes(bomb)], JPEGBaseline8Bit)
    assert "is damaged at frame 2" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    made = compressed(dataset(MOVIE), [jpeg(SMOOTH)] * 4, JPEGBaseline8Bit)
    assert "is cut short" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    made = compressed(dataset(MOVIE[0]), [b"\2" + bytes(200)], RLELossless)
    assert "can't be decompressed (RLE Lossless)" in refusal(saved(tmp_path / "a.dcm", made), caplog)


def test_no_patient_in_what_is_returned_or_logged(tmp_path, caplog):
    path = saved(tmp_path / "a.dcm", dataset(MOVIE, FrameTime="40"))
    with nothing_said(caplog):
        movie = read_dicom(path)
        image = read_image(path)
    assert "Mustermann" not in repr(movie) + repr(image) + repr(vars(movie))
    # Logs of other threads and of later calls aren't held back.
    log = logging.getLogger("pydicom")
    log.warning("heard")
    assert caplog.messages == ["heard"]
    assert log.filters == []


def test_other_threads_go_on_logging(tmp_path, caplog, monkeypatch):
    def read(path: Path) -> None:
        other = threading.Thread(target=logging.getLogger("pydicom").warning, args=("elsewhere",))
        other.start()
        other.join()
        raise ValueError(PATIENT)

    monkeypatch.setattr("napari_darl.data.dicom._read", read)
    with pytest.raises(FileError, match="is damaged, or no image"):
        read_dicom(tmp_path / "a.dcm")
    assert caplog.messages == ["elsewhere"]


def test_without_pydicom_all_else_works(tmp_path):
    path = saved(tmp_path / "a.dcm", dataset(MOVIE))
    code = (
        "import sys\n"
        "for name in ('pydicom', 'pydicom.pixels'): sys.modules[name] = None\n"
        "from napari_darl.data.files import read_image\n"
        "try: read_image(sys.argv[1])\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == f'{path} is a DICOM file, which needs pydicom: pip install "napari-darl[dicom]"'


def test_reading_images_imports_pydicom_for_dicom_only(tmp_path):
    np.save(tmp_path / "a.npy", MOVIE)
    code = "import sys; from napari_darl.data.files import read_image; read_image(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.npy"], check=True, capture_output=True, text=True)
    assert "pydicom" not in done.stdout.split()


@pytest.mark.parametrize("name", ["MEIER", "ERIKA", "MUSTERMA", PATIENT, PATIENT.upper()])
def test_a_name_in_the_place_of_the_modality_is_not_told(tmp_path, name, caplog):
    made = dataset(MOVIE)
    made.add_new(0x00080060, "LO", name)
    with nothing_said(caplog):
        assert reread(tmp_path, made).modality == ""


def test_a_rescaling_beyond_all_floats_is_damage(tmp_path, caplog):
    for elements in ({"RescaleSlope": "1e300"}, {"RescaleIntercept": "-1e39"}):
        assert "is damaged" in refusal(saved(tmp_path / "a.dcm", dataset(MOVIE, **elements)), caplog)


def test_no_patient_in_what_the_command_line_writes_or_says(tmp_path):
    movie = RNG.integers(0, 4096, (2, 64, 64), np.uint16)
    path = saved(tmp_path / "run.dcm", dataset(movie, 12, PixelSpacing=["0.2", "0.2"]))
    command = [sys.executable, "-c", "from napari_darl.cli import main; main()", "segment", path]
    options = ["--probability", "--resize", "1", "--device", "cpu", "--output", tmp_path / "out"]
    done = subprocess.run([*command, *options], check=True, capture_output=True)
    written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(written) == 2
    for told in (done.stdout, done.stderr, *(file.read_bytes() for file in written)):
        assert b"mustermann" not in told.lower()
        assert b"19640812" not in told
    path.write_bytes(path.read_bytes()[:3000])
    failed = subprocess.run([*command, *options, "--overwrite"], check=False, capture_output=True)
    assert failed.returncode == 2
    assert b"mustermann" not in (failed.stdout + failed.stderr).lower()
