"""Read the files of microscopes through bioio: CZI (Zeiss), LIF (Leica) and ND2 (Nikon)."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.arrays import ImageData
from napari_darl.io.size_limits import MAX_BYTES

MICROSCOPE_SUFFIXES = (".czi", ".lif", ".nd2")


def read_microscope(path: Path) -> list[ImageData[npt.NDArray[Any]]]:
    """Read the images of a microscope's file.

    Parameters
    ----------
    path : Path
        A file with one of `MICROSCOPE_SUFFIXES`.

    Returns
    -------
    list of ImageData
        One for each scene: the axes T, C and Z as far as they are longer than 1, then Y, X and colours; the size of a
        pixel in µm, the distance of slices, the time from frame to frame and the names of channels, where known.

    Raises
    ------
    FileError
        If the file is damaged or declares more than `MAX_BYTES`, or if bioio or its reader isn't installed.
    """
    if find_spec("bioio") is None or find_spec(f"bioio_{path.suffix[1:].lower()}") is None:
        raise FileError(f'{path} is a microscope\'s file. Install what reads it: pip install "napari-darl[formats]".')
    try:
        with _in_silence():
            from bioio import BioImage

            image = BioImage(path)
            return [_scene(path, image, scene) for scene in image.scenes]
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(f"{path} doesn't fit into memory. Split it into smaller files.") from error
    except Exception as error:  # damaged files raise nearly anything
        raise FileError(f"{path} is damaged, or cut short. Copy or export it again from its source.") from error


def _scene(path: Path, image: Any, scene: str) -> ImageData[npt.NDArray[Any]]:
    image.set_scene(scene)
    declared = math.prod(image.shape) * image.dtype.itemsize
    if declared > MAX_BYTES:
        raise FileError(f"{path} declares {declared / 2**30:.0f} GiB of pixels. It is damaged, or must be split.")
    data: npt.NDArray[Any] = np.asarray(image.data)
    rgb = "S" in image.dims.order
    if rgb and path.suffix.lower() == ".czi":
        data = data[..., 2::-1]  # CZI stores blue, green, red, and bioio-czi hands them over as they are
    kept = [axis for axis, length in zip("TCZ", data.shape[:3], strict=True) if length > 1]
    data = data.reshape(*(length for length in data.shape[:3] if length > 1), *data.shape[3:])
    names = tuple(str(name) for name in image.channel_names or ())
    sizes = image.physical_pixel_sizes
    size = (float(sizes.Y), float(sizes.X)) if sizes.Y and sizes.X and min(sizes.Y, sizes.X) > 0 else None
    step = getattr(image, "time_interval", None)
    return ImageData(
        data[..., :3] if rgb else data,
        rgb,
        size,
        "µm" if size else None,
        axes="".join(kept) + ("YXS" if rgb else "YX"),
        path=path,
        frame_time=step.total_seconds() * 1e3 or None if step is not None and "T" in kept else None,
        channels=names if "C" in kept and len(names) == data.shape[kept.index("C")] else None,
        slice_distance=float(sizes.Z) if size and "Z" in kept and sizes.Z and sizes.Z > 0 else None,
    )


@contextmanager
def _in_silence() -> Iterator[None]:
    """Suppress warnings, and the log messages of bioio about each reader that it tries."""
    log = logging.getLogger("bioio")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(before)
