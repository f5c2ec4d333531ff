"""What the header of a DICOM file says about its pixels, and nothing about the patient."""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.dicom_pixels import Array, Layout
from napari_darl.io.size_limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

AGAIN = "Export or copy it again from its source."

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
"""The photometric interpretation of pixels that are indices of colours."""

ELEMENTS = (
    *("Modality", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PixelSpacing", "ImagerPixelSpacing"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
)
"""The elements that are read. None of them identifies the patient."""

# An element may hold anything, a name included, so a modality is passed on only if DICOM defines it.
_MODALITIES = (
    *("AR", "BI", "CR", "CT", "DMS", "DX", "ECG", "ES", "GM", "IO", "IVOCT", "IVUS", "LS", "MG", "MR", "NM", "OAM"),
    *("OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PT", "PX", "RF", "RG", "SC", "SM", "TG"),
    *("US", "VA", "XA", "XC"),
)


def layout_of(path: Path, header: "Dataset") -> Layout:
    """Return the layout of the pixels, and raise FileError if it isn't supported."""
    if "Rows" not in header or "BitsAllocated" not in header:
        raise FileError(f"{path} holds no image. Choose the file of a movie or a picture.")
    whole = {name: int(header.get(name) or 0) for name in ("Rows", "Columns", "BitsAllocated", "BitsStored")}
    frames = int(header.get("NumberOfFrames") or 1)
    allocated, stored = whole["BitsAllocated"], whole["BitsStored"]
    if min(frames, *whole.values()) < 1:
        raise FileError(f"{path} declares no pixels. {AGAIN}")
    if max(allocated, stored) > 64:
        raise FileError(f"{path} is damaged, or no image as DICOM defines it. {AGAIN}")
    if allocated not in (1, 8, 16, 32) or stored > allocated or int(header.get("HighBit", stored - 1)) != stored - 1:
        raise FileError(
            f"{path} stores its values in an unusual way ({stored} of {allocated} bits). Export it with 8 or 16 bits."
        )
    samples, photometric = int(header.get("SamplesPerPixel") or 1), str(header.get("PhotometricInterpretation", ""))
    if photometric not in {1: (*_GREY, PALETTE), 3: _COLOURS}.get(samples, ()):
        raise FileError(f"{path} has colours of an unusual kind. Export it as grey or RGB.")
    signed = bool(header.get("PixelRepresentation", 0))
    layout = Layout(
        frames, whole["Rows"], whole["Columns"], samples, allocated, stored, signed and samples == 1, photometric
    )
    if layout.values * math.ceil(allocated / 8) > MAX_BYTES:
        raise FileError(f"{path} is damaged: it declares more than {MAX_BYTES // 2**30} GiB of pixels. {AGAIN}")
    return layout


def finisher(header: "Dataset", layout: Layout) -> tuple[Callable[[Array], Array], tuple[float, float]]:
    """Return the function that finishes each decoded frame, and the range of values that it returns."""
    low, high = layout.range
    if layout.photometric == PALETTE:
        return lambda frame: _coloured(frame, header), (low, high)
    if layout.samples == 3:
        return lambda frame: frame, (low, high)
    if layout.allocated == 1:
        turned = layout.photometric == "MONOCHROME1"
        return lambda frame: ((frame == 0) == turned).astype(np.uint8) * np.uint8(255), (0, 1)
    slopes, intercepts = _numbers(header, "RescaleSlope"), _numbers(header, "RescaleIntercept")
    if bool(slopes) != bool(intercepts) and "PerFrameFunctionalGroupsSequence" in header:
        slopes, intercepts = [], []  # one of them isn't the same for all frames
    slope = (slopes or [1.0])[0] or 1.0
    intercept = (intercepts or [0.0])[0]
    ends = sorted((low * slope + intercept, high * slope + intercept))
    if max(map(abs, ends)) > np.finfo(np.float32).max:
        raise ValueError("rescaled values overflow float32")
    types = ("u1", "u2", "i2", "i4") if slope.is_integer() and intercept.is_integer() else ()
    fitting = (np.dtype(kind) for kind in types if np.iinfo(kind).min <= ends[0] and ends[1] <= np.iinfo(kind).max)
    dtype = next(fitting, np.dtype(np.float32))

    def finish(frame: Array) -> Array:
        if layout.photometric == "MONOCHROME1":
            frame = frame.dtype.type(low + high) - frame
        if (slope, intercept) == (1, 0):
            return frame
        return (frame * np.float64(slope) + intercept).astype(dtype)

    return finish, (ends[0], ends[1])


def padding_of(header: "Dataset", layout: Layout, finish: Callable[[Array], Array]) -> tuple[float, float] | None:
    """Return the first and the last of the finished values that mean that nothing was recorded there.

    They are stored as pixels are (DICOM PS3.3, section 7.5.1.1.2), though often as unsigned where pixels are signed.
    """
    if layout.samples != 1 or layout.photometric == PALETTE or layout.allocated == 1:
        return None
    ends = [_stored(header.get(f"PixelPadding{part}"), layout) for part in ("Value", "RangeLimit")]
    known = [end for end in ends if end is not None]
    if ends[0] is None:
        return None
    finished = finish(np.array(known, layout.dtype))
    return float(finished.min()), float(finished.max())


def _stored(value: object, layout: Layout) -> int | None:
    """Return an element whose value is a pixel, in the range of the stored bits; None if it has no such value."""
    if isinstance(value, bytes) and len(value) == 2:  # of implicit value representation
        value = int.from_bytes(value, "little")
    if not isinstance(value, int):
        return None
    bits: int = value % 2**layout.stored
    return bits - 2**layout.stored if layout.signed and bits >= 2 ** (layout.stored - 1) else bits


def _coloured(frame: Array, header: "Dataset") -> npt.NDArray[np.uint8]:
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(frame, header)[..., :3]
    deep = colours.dtype.itemsize > 1 and colours.max() > 255  # some files store colours of 8 bits in 16
    return (colours >> 8 if deep else colours).astype(np.uint8)


def bits_of(layout: Layout, data: Array) -> int | None:
    """Return the bits that values use, if fewer than their dtype has."""
    fewer = 1 < layout.stored < data.dtype.itemsize * 8
    return layout.stored if fewer and data.dtype.kind == "u" and int(data.max()) < 2**layout.stored else None


def modality_of(header: "Dataset") -> str:
    """Return a modality that DICOM defines, or an empty string."""
    modality = str(header.get("Modality", ""))
    return modality if modality in _MODALITIES else ""


def _numbers(header: "Dataset", keyword: str) -> list[float]:
    """Return the finite numbers of an element that are the same for all frames; none if there are none.

    Enhanced files keep them in functional groups, either one shared by all frames or one per frame.
    """
    with suppress(Exception):
        if numbers := _values([header], keyword):
            return numbers
    with suppress(Exception):  # groups that are no sequences don't take the numbers above with them
        for group in header.get("SharedFunctionalGroupsSequence") or ():
            if numbers := _values(_groups(group), keyword):
                return numbers
    with suppress(Exception):
        first, *others = header.get("PerFrameFunctionalGroupsSequence") or [[]]
        numbers = _values(_groups(first), keyword)
        if numbers and all(_values(_groups(other), keyword) == numbers for other in others):
            return numbers
    return []


def _groups(group: "Dataset") -> "list[Dataset]":
    return [dataset for element in group if element.VR == "SQ" for dataset in element.value]


def _values(datasets: "list[Dataset]", keyword: str) -> list[float]:
    for dataset in datasets:
        if keyword in dataset:
            values = np.atleast_1d(np.asarray(dataset[keyword].value, float))
            return values.tolist() if np.isfinite(values).all() else []
    return []


def pixel_size_of(
    header: "Dataset",
) -> tuple[tuple[float, float] | None, Literal["PixelSpacing", "ImagerPixelSpacing"] | None]:
    """Return height and width of a pixel in mm, and the element that holds them."""
    elements: tuple[Literal["PixelSpacing", "ImagerPixelSpacing"], ...] = ("PixelSpacing", "ImagerPixelSpacing")
    sizes = {element: _numbers(header, element) for element in elements}
    for element, size in sizes.items():
        if len(size) == 2 and min(size) > 0:
            # PixelSpacing that repeats the detector's hasn't been calibrated (DICOM PS3.3, section 10.7.1.3).
            return (size[0], size[1]), element if size != sizes["ImagerPixelSpacing"] else "ImagerPixelSpacing"
    return None, None


def frame_time_of(header: "Dataset") -> float | None:
    """Return the time from one frame to the next, in ms."""
    vector = _numbers(header, "FrameTimeVector")[1:]  # the first entry is the time before the first frame
    times = [*_numbers(header, "FrameTime")[:1], *([float(np.median(vector))] if vector else [])]
    for rate in ("CineRate", "RecommendedDisplayFrameRate"):
        times += [1000 / value for value in _numbers(header, rate)[:1] if value > 0]
    return next((time for time in times if 0 < time < math.inf), None)


def window_of(
    header: "Dataset", layout: Layout, limits: tuple[float, float], data: Array
) -> tuple[float, float] | None:
    """Return the values to show as black and as white."""
    centre, width = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    if not centre or not width or layout.allocated == 1:
        return None
    half, middle = width[0] / 2, centre[0]
    if str(header.get("VOILUTFunction") or "LINEAR") == "LINEAR":  # its ends lie half a value further inside
        half, middle = half - 0.5, middle - 0.5
    low, high = middle - half, middle + half
    if layout.photometric == "MONOCHROME1":
        low, high = sum(limits) - high, sum(limits) - low
    return (low, high) if low < high and low < data.max() and high > data.min() else None
