"""Array-likes of all shapes, types and values, and checks of their masks."""

import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st

from fuzzing.guard import BrokenPropertyError
from fuzzing.models import run
from napari_darl import SegmentOptions, Windows, load_model, segment_probability
from napari_darl.frames.arrays import as_image, check_frame
from napari_darl.inference.loading import Model

_TYPES = (
    "?",
    "i1",
    "u1",
    "<i2",
    ">u2",
    "<i4",
    ">i8",
    "<u8",
    "<f2",
    ">f4",
    "<f8",
    "<g",
    "<c8",
    "S3",
    "<U2",
    "<M8[s]",
    "O",
)
_SHAPES = (
    (64, 64),
    (32, 32),
    (31, 64),
    (33, 70),
    (2, 40, 40),
    (2, 1, 36, 36),
    (40, 40, 3),
    (2, 36, 36, 4),
    (0, 40),
    (64,),
    (),
)
_EXTREMES = (
    0.0,
    -1.0,
    1.0,
    255.0,
    65535.0,
    2.0**31,
    2.0**53,
    1e19,
    1e38,
    3e38,
    1e154,
    1.7e308,
    -1.7e308,
    1e-45,
    5e-324,
)
_STRANGE = (np.nan, np.inf, -np.inf)


PLAIN: dict[str, Any] = {"rgb": False, "bright": False, "bits": None, "resize": 1.0, "tile": None, "channel": "green"}
"""Options that fit a grey frame."""


_OPTIONS: dict[str, tuple[Any, ...]] = {
    "rgb": (False, True),
    "channel": ("green", "luminance"),
    "bits": (12, 1, 64, 0, 65, -3),
    "resize": (0.9, 2.0, None, 0, -1.0, 1e-3, float("nan"), float("inf"), 1e300),
    "tile": (64, 63, 0, -64, 2**40),
}


class Frames(NamedTuple):
    """An image, and options to segment it with."""

    image: Any
    options: dict[str, Any]


@st.composite
def array_cases(draw: st.DrawFn) -> Frames:
    """Draw an array, or something similar, and options, most of which are valid."""
    shape = draw(st.sampled_from(_SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.random(shape)
    kind = draw(st.sampled_from(("plain", "plain", "extreme", "constant", "strange")))
    if kind == "constant":
        values = np.full(shape, draw(st.sampled_from(_EXTREMES)))
    elif kind != "plain":
        factor, offset = draw(st.sampled_from(_EXTREMES)), draw(st.sampled_from((0.0, *_EXTREMES)))
        with np.errstate(all="ignore"):
            values = np.asarray(values * factor + offset)
        few = draw(st.sampled_from(_STRANGE if kind == "strange" else _EXTREMES))
        values = np.where(rng.random(shape) < draw(st.sampled_from((0.001, 0.5))), few, values)
    else:
        values = values * 255
    with np.errstate(all="ignore"):
        array = _cast(values, draw(st.sampled_from(_TYPES)))
    image = _dressed(
        array, draw(st.sampled_from(("", "", "", "list", "torch", "masked", "view", "frozen", "dask", "fortran")))
    )
    options = PLAIN | {"rgb": shape[-1:] in ((3,), (4,)), "bright": draw(st.booleans())}
    for name in draw(st.lists(st.sampled_from(sorted(_OPTIONS)), max_size=2)):
        options[name] = draw(st.sampled_from(_OPTIONS[name]))
    return Frames(image, options)


def _cast(values: Any, kind: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if np.dtype(kind).kind == "M":
            return np.zeros(values.shape, kind)
        return np.asarray(values).astype(kind)


def _dressed(array: Any, dress: str) -> Any:
    if dress == "list":
        return array.tolist()
    if dress == "torch" and array.dtype.isnative and array.dtype.kind in "uif" and array.dtype.itemsize <= 8:
        return torch.from_numpy(array.copy()) if array.dtype.kind != "u" or array.dtype.itemsize == 1 else array
    if dress == "masked":
        return np.ma.masked_array(array, mask=np.zeros(array.shape, bool))
    if dress == "view" and array.ndim:
        return array[..., ::-1]
    if dress == "frozen":
        array.setflags(write=False)
    if dress == "fortran":
        return np.asfortranarray(array)
    if dress == "dask" and array.dtype.kind in "buifc" and array.size:
        import dask.array

        return dask.array.from_array(array)
    return array


@cache
def model() -> Model:
    """Return the smallest model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(run()["model.safetensors"])
        return load_model(path, "cpu")


def use(case: Frames) -> None:
    """Segment an image whole and in windows, and check each of its frames as training does."""
    shape = np.shape(case.image)
    found = segment_probability(case.image, model(), **case.options)
    known = np.asarray(as_image(case.image, rgb=case.options["rgb"]).data)
    if not np.array_equal(known, np.asarray(case.image), equal_nan=known.dtype.kind == "f"):
        raise BrokenPropertyError("other values than NumPy's")
    wanted = shape[:-1] if case.options["rgb"] else shape
    if found.shape != wanted or found.dtype != np.float32 or not (found >= 0).all() or not (found <= 1).all():
        raise BrokenPropertyError(f"probabilities that are none: {found.shape} {found.dtype}")
    windows = Windows(case.image, model(), SegmentOptions().updated(**case.options))
    for chunk in windows.chunks():
        if not np.allclose(windows(chunk), found[chunk.slices], atol=2e-3):
            raise BrokenPropertyError("another result in windows")
    if len(wanted) == 2 and not case.options["rgb"]:
        check_frame(np.asarray(case.image), "the frame")
