"""DICOM files of a patient, intact and damaged, and checks of the movies that are read from them."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_files import CLASSES, PATIENT, compressed, dataset, jpeg
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from fuzzing.damage import Field, Seed, damaged
from fuzzing.guard import BrokenPropertyError
from fuzzing.images import Files
from napari_darl._napari.dicom import read_dicom as layer_reader
from napari_darl.io.dicom import DicomMovie, read_dicom
from napari_darl.io.images import FileImage, read_images

SECRETS = (*PATIENT.split("^"), "19640812")
"""Data of the patient, which must appear in no result or message."""

RNG = np.random.default_rng(0)
MOVIE = RNG.integers(0, 256, (3, 20, 24), np.uint8)
DEEP = RNG.integers(0, 4096, (2, 20, 24), np.uint16)
COLOURS = RNG.integers(0, 256, (20, 24, 3), np.uint8)
_TOLD = {"FrameTime": "40", "PixelSpacing": ["0.2", "0.2"], "WindowCenter": "99", "WindowWidth": "99"}
_ELEMENTS = (
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "Modality"),
    *("PhotometricInterpretation", "PlanarConfiguration", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
    *("PixelSpacing", "ImagerPixelSpacing", "WindowCenter", "WindowWidth", "VOILUTFunction", "FrameTime", "CineRate"),
    *("FrameTimeVector", "SharedFunctionalGroupsSequence", "RedPaletteColorLookupTableDescriptor"),
    "RedPaletteColorLookupTableData",
)
_VALUES: tuple[Any, ...] = (
    *(
        None,
        0,
        1,
        2,
        3,
        7,
        8,
        12,
        16,
        31,
        32,
        64,
        255,
        65535,
        "0",
        "-1",
        "1e308",
        "nan",
        "inf",
        "1\\2",
        "0\\0",
        "1e-320",
    ),
    *("1000000000", "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL_422", "PALETTE COLOR", "SIGMOID"),
    *(
        PATIENT,
        PATIENT.upper(),
        PATIENT.split("^")[0].upper()[:8],
        SECRETS[1].upper(),
        "x" * 5000,
        b"\xff\xfe",
        [256, 0, 16],
    ),
)
_KINDS = ("US", "IS", "DS", "LO", "CS", "PN", "OW", "UN", "SQ", "FL", "OB")


def datasets() -> list[Any]:
    """Return new data sets of most kinds."""
    rle = dataset(MOVIE, **_TOLD)
    rle.compress(RLELossless)
    smooth = np.add.outer(np.arange(20), np.arange(24)).astype(np.uint8)
    palette = dataset(MOVIE, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(palette, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(palette, f"{colour}PaletteColorLookupTableData", RNG.integers(0, 2**16, 256, np.uint16).tobytes())
    implicit = dataset(DEEP, 12, **_TOLD)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    big = dataset(DEEP, 12, **_TOLD)
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    uncounted = dataset(MOVIE, **_TOLD)
    del uncounted.NumberOfFrames
    made = [dataset(MOVIE, **_TOLD), uncounted, dataset(DEEP, 12, **_TOLD), implicit, big, rle, palette]
    made += [dataset(COLOURS, modality="OP"), dataset(MOVIE, PhotometricInterpretation="MONOCHROME1")]
    made.append(compressed(dataset(np.stack([smooth] * 2)), [jpeg(smooth)] * 2, JPEGBaseline8Bit))
    with suppress(ImportError):
        import imagecodecs

        frames = [imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True) for frame in DEEP]
        made.append(compressed(dataset(DEEP), frames, JPEG2000Lossless))
    return made


def _written(made: Any) -> bytes:
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


@cache
def seeds() -> list[Seed]:
    """Return files, with type, length and value of the image's elements and the header of the pixels as fields."""
    found = []
    for data in map(_written, datasets()):
        fields = []
        for number in (0x02, 0x04, 0x06, 0x08, 0x10, 0x11, 0x30, 0x0100, 0x0101, 0x0102, 0x0103):
            at = data.find(b"\x28\x00" + number.to_bytes(2, "little"))
            if at > 0:
                fields += [Field(at + 4, 2), Field(at + 6, 2), Field(at + 8, 2), Field(at + 8, 2)]
        at = data.rfind(b"\xe0\x7f\x10\x00")
        found.append(Seed(data, (*fields, *(Field(at + step, 4) for step in (0, 4, 8, 12, 16, 20) if at > 0))))
    return found


@st.composite
def dicom_cases(draw: st.DrawFn) -> Files:
    """Draw a DICOM file that is damaged or has hostile elements, with or without a suffix."""
    name = draw(st.sampled_from(("a.dcm", "IM000001")))
    return {name: draw(st.one_of(_damaged_files(), _hostile_files()))}


@st.composite
def _damaged_files(draw: st.DrawFn) -> bytes:
    return draw(damaged(draw(st.sampled_from(seeds()))))


@st.composite
def _hostile_files(draw: st.DrawFn) -> bytes:
    number = draw(st.integers(0, len(seeds()) - 1))
    made = pydicom.dcmread(BytesIO(seeds()[number].data))
    for _ in range(draw(st.integers(1, 3))):
        name, value = draw(st.sampled_from(_ELEMENTS)), draw(st.sampled_from(_VALUES))
        kind = draw(st.sampled_from((None, None, *_KINDS)))
        with suppress(Exception), _unchecked():
            before = made.get(name)
            made.add_new(pydicom.tag.Tag(name), kind or pydicom.datadict.dictionary_VR(name), value)
            try:
                _written(made)
            except Exception:  # noqa: BLE001 - what can't be written can't be read
                made.pop(name, None)
                if before is not None:
                    setattr(made, name, before)
    other_syntax = draw(st.integers(0, 9)) == 0
    syntax = draw(st.sampled_from((JPEGBaseline8Bit, RLELossless, PATIENT, CLASSES["XA"])))
    try:
        with _unchecked():
            if other_syntax:
                made.file_meta.TransferSyntaxUID = syntax
            return _written(made)
    except Exception:  # noqa: BLE001 - as above
        return seeds()[number].data


@contextmanager
def _unchecked() -> Iterator[None]:
    """Let pydicom write invalid values without warnings."""
    settings = pydicom.config.settings
    before = settings.writing_validation_mode, settings.reading_validation_mode
    settings.writing_validation_mode = settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.writing_validation_mode, settings.reading_validation_mode = before


class _Heard(logging.Handler):
    """Keeps log records."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def read(path: Path) -> list[FileImage]:
    """Read a movie and make a layer of it; check that neither contains data of the patient."""
    heard, log = _Heard(), logging.getLogger()
    log.addHandler(heard)
    try:
        movie = read_dicom(path)
        open_layers = layer_reader(str(path))
        meta = open_layers(str(path))[0][1] if open_layers else {}
    finally:
        log.removeHandler(heard)
    told = repr((vars(movie), meta, heard.messages)).lower()
    for secret in SECRETS:
        if secret.lower() in told.replace(str(path).lower(), ""):
            raise BrokenPropertyError(f"{secret} is told: {told}")
    if heard.messages:
        raise BrokenPropertyError(f"a log: {heard.messages[0]}")
    check_movie(movie)
    return read_images(path)


def check_movie(movie: DicomMovie) -> None:
    """Check that a movie is what its reader promises."""
    data = movie.data
    if data.size == 0 or data.ndim not in ((3, 4) if movie.rgb else (2, 3)) or data.dtype.kind not in "uif":
        raise BrokenPropertyError(f"no movie: {data.shape} {data.dtype}")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise BrokenPropertyError("pixels that are no numbers")
    numbers = [*(movie.pixel_size or ()), *([movie.frame_time] if movie.frame_time is not None else [])]
    if not all(0 < number < np.inf for number in numbers):
        raise BrokenPropertyError(f"sizes or times of {numbers}")
    if movie.window is not None and not -np.inf < movie.window[0] < movie.window[1] < np.inf:
        raise BrokenPropertyError(f"a window of {movie.window}")
    if movie.bits is not None and not (1 < movie.bits < data.dtype.itemsize * 8 and int(data.max()) < 2**movie.bits):
        raise BrokenPropertyError(f"{movie.bits} bits")
