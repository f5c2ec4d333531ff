"""What is measured in the background."""

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_darl._napari.layers import checksum
from napari_darl.errors import InputError

if TYPE_CHECKING:
    from napari_darl.evaluation.metrics import Scores
    from napari_darl.measuring.frame import FrameTables
    from napari_darl.measuring.stenosis import Stenosis
    from napari_darl.measuring.vessel_path import VesselPaths

Point = tuple[float, float]


@dataclass(frozen=True)
class Stack:
    """The frames or volumes of a layer, lazy or not, with y and x as the last axes before colours.

    Attributes
    ----------
    pixels
        The array, as `layers.pixels` returns it.
    dimensions
        2 for frames, 3 for volumes.
    rgb
        Whether the last axis holds colours.
    """

    pixels: Any
    dimensions: int = 2
    rgb: bool = False

    @property
    def leading(self) -> tuple[int, ...]:
        """Length of each axis over which frames are stacked."""
        return tuple(self.pixels.shape[: len(self.pixels.shape) - self.dimensions - self.rgb])

    def __len__(self) -> int:
        return int(np.prod(self.leading, dtype=int))

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        from napari_darl.frames.channels import to_grey

        frame = np.asanyarray(self.pixels[np.unravel_index(number, self.leading) if self.leading else ...])
        return to_grey(frame) if self.rgb else frame


@dataclass(frozen=True)
class MeasuredFrame:
    """A frame's tables, and the hash of the mask that they were made of."""

    number: int
    tables: "FrameTables"
    hash: int


@dataclass(frozen=True)
class ComparedFrame:
    """How a frame of two masks agrees, and where it doesn't: 1 in both, 2 in the first only, 3 in the second only."""

    number: int
    scores: "Scores"
    differences: npt.NDArray[np.uint8]


def measuring(
    masks: Stack, images: Stack | None, size: tuple[float, ...], separate: bool, stop: Event
) -> Generator[MeasuredFrame, None, None]:
    """Measure frame by frame."""
    import_module("napari_darl.measuring.morphometry")
    with suppress(ImportError):
        import_module("pandas")  # else napari imports it for the first table, on the window's thread
    from napari_darl.measuring.frame import FrameMeasurer

    measurer = FrameMeasurer(np.array(size), None, separate)
    for number in range(len(masks)):
        if stop.is_set():
            return
        frame = masks[number].copy()  # it may be painted on meanwhile
        tables = measurer.measure(frame, None if images is None else images[number])
        yield MeasuredFrame(number, tables, checksum(frame))


def comparing(masks: Stack, others: Stack, stop: Event) -> Generator[ComparedFrame, None, None]:
    """Compare two masks frame by frame; the first one is judged by the second."""
    from napari_darl.evaluation.metrics import score

    for number in range(len(masks)):
        if stop.is_set():
            return
        found, truth = masks[number] != 0, others[number] != 0
        differences = np.where(found & truth, 1, np.where(found, 2, np.where(truth, 3, 0))).astype(np.uint8)
        yield ComparedFrame(number, score(found, truth), differences)


@dataclass(frozen=True)
class StenosisRequest:
    """Two points on a frame of a mask, and what is needed to measure between them."""

    mask: npt.NDArray[Any]
    image: npt.NDArray[Any] | None
    start: Point
    end: Point
    size: tuple[float, float]
    unit: str


class StenosisFinder:
    """Measures stenoses between points that move; the skeleton of a mask is found once."""

    def __init__(self) -> None:
        self._known: tuple[int, tuple[float, float], VesselPaths] | None = None

    def __call__(self, request: StenosisRequest) -> "Stenosis | str":
        """Measure; return a sentence where that can't be."""
        from napari_darl.measuring.frame import bright_vessels
        from napari_darl.measuring.stenosis import along_path
        from napari_darl.measuring.vessel_path import VesselPaths

        mask = request.mask != 0
        key, size = checksum(request.mask), np.array(request.size)
        if self._known is None or self._known[:2] != (key, request.size):
            self._known = key, request.size, VesselPaths(mask, size)
        try:
            path = self._known[2].between(request.start, request.end)
            image = None if request.image is None else bright_vessels(request.image, mask)
            return along_path(path, image, size, request.unit)
        except InputError as error:
            return str(error)


class Latest:
    """Runs a function in a thread, one call at a time; of the calls that wait, only the newest is made.

    Parameters
    ----------
    function
        What to run.
    on_result
        Receives each result on the window's thread.
    """

    def __init__(self, function: Callable[[Any], Any], on_result: Callable[[Any], None]) -> None:
        self._function, self._on_result = function, on_result
        self._busy = False
        self._waiting: list[Any] = []

    @property
    def busy(self) -> bool:
        """Whether a call is under way or waits."""
        return self._busy

    def __call__(self, argument: Any) -> None:
        """Ask for a call."""
        self._waiting = [argument]
        if not self._busy:
            self._next()

    def _next(self) -> None:
        from napari.qt.threading import create_worker

        self._busy = bool(self._waiting)
        if self._busy:
            argument = self._waiting.pop()
            worker = create_worker(self._function, argument)
            worker.returned.connect(self._on_result)
            worker.finished.connect(self._next)
            worker.start()
