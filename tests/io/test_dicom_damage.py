"""DICOM files that are damaged or hostile, and what no message, log or file may tell."""

import contextlib
import logging
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

import pydicom
from dicom_files import DEEP, MOVIE, PATIENT, RNG, SMOOTH, compressed, dataset, jpeg, nothing_said, reread, saved
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from napari_darl.errors import DarlError, FileError
from napari_darl.io.dicom import read_dicom
from napari_darl.io.images import read_image


def refusal(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Return the message that refuses a file: fast, without warnings, allocations or a patient's name."""
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
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": "1000000000"}, "more than 64 GiB"),
        ({"Rows": 65535, "Columns": 65535}, "is cut short"),
        ({"NumberOfFrames": "1000000"}, "is cut short"),
        ({"NumberOfFrames": "-1"}, "no pixels"),
        ({"Rows": 0}, "no pixels"),
        ({"Columns": None}, "no pixels"),
        ({"Rows": None}, "holds no image"),
        ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, "12 of 12 bits"),
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
    assert part in message or (packed and "(RLE Lossless)" in message)


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
    assert "isn't a DICOM file" in refusal(other, caplog)
    assert "can't be opened (No such file" in refusal(tmp_path / "nowhere.dcm", caplog)
    for path in (other, tmp_path / "nowhere.dcm"):
        with pytest.raises(DarlError):
            read_image(path)


def test_ways_of_compression_that_nothing_can_undo(tmp_path, caplog, monkeypatch):
    def with_syntax(syntax: str) -> Path:
        return saved(tmp_path / "a.dcm", compressed(dataset(MOVIE), [jpeg(frame) for frame in MOVIE], syntax))

    assert "(MPEG2 Main Profile / Main Level)" in refusal(with_syntax(MPEG2MPML), caplog)
    path = with_syntax(JPEGBaseline8Bit)
    path.write_bytes(path.read_bytes().replace(JPEGBaseline8Bit.encode(), b"1.2.840.10008.9.9.9.99"))
    assert "(an unknown transfer syntax)" in refusal(path, caplog)
    deflated = dataset(MOVIE)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert "as a whole" in refusal(saved(tmp_path / "a.dcm", deflated), caplog)
    monkeypatch.setattr(pydicom.pixels.decoders.base.Decoder, "is_available", False)
    assert '(pip install "napari-darl[dicom]")' in refusal(with_syntax(JPEGLosslessSV1), caplog)
    assert '(pip install "napari-darl[dicom]")' in refusal(with_syntax(HTJ2KLossless), caplog)


def test_frames_that_unpack_to_more_than_promised(tmp_path, caplog):
    bomb = bytearray(jpeg(SMOOTH))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    made = compressed(dataset(MOVIE[:2, :, :]), [jpeg(SMOOTH), bytes(bomb)], JPEGBaseline8Bit)
    assert "is damaged at frame 2" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    made = compressed(dataset(MOVIE), [jpeg(SMOOTH)] * 4, JPEGBaseline8Bit)
    assert "is cut short" in refusal(saved(tmp_path / "a.dcm", made), caplog)
    made = compressed(dataset(MOVIE[0]), [b"\2" + bytes(200)], RLELossless)
    assert "(RLE Lossless)" in refusal(saved(tmp_path / "a.dcm", made), caplog)


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

    monkeypatch.setattr("napari_darl.io.dicom._read", read)
    with pytest.raises(FileError, match="is damaged, or no image"):
        read_dicom(tmp_path / "a.dcm")
    assert caplog.messages == ["elsewhere"]


def test_without_pydicom_all_else_works(tmp_path):
    path = saved(tmp_path / "a.dcm", dataset(MOVIE))
    code = (
        "import sys\n"
        "for name in ('pydicom', 'pydicom.pixels'): sys.modules[name] = None\n"
        "from napari_darl.io.images import read_image\n"
        "try: read_image(sys.argv[1])\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    assert str(path) in done.stdout
    assert 'pip install "napari-darl[dicom]"' in done.stdout


def test_reading_images_imports_pydicom_for_dicom_only(tmp_path):
    np.save(tmp_path / "a.npy", MOVIE)
    code = "import sys; from napari_darl.io.images import read_image; read_image(sys.argv[1]); print(*sys.modules)"
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
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(path.read_bytes()[:3000])
    done = subprocess.run([*command, broken, *options], check=False, capture_output=True)
    assert done.returncode == 2
    written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(written) == 2
    for told in (done.stdout, done.stderr, *(file.read_bytes() for file in written)):
        assert b"mustermann" not in told.lower()
        assert b"19640812" not in told
