"""One run of path A on a layer: what it needs is taken from the layer at once, the rest happens in a thread."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_darl._napari.layers import Index, finest, frames_shape, pixels, visible_centre, visible_frame
from napari_darl._napari.segmenting.region import Region, everywhere
from napari_darl._napari.settings import read_settings
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.scale import guess_resize

if TYPE_CHECKING:
    import napari

    from napari_darl._napari.segmenting.result import Result
    from napari_darl.inference.windows import Windows


@dataclass(frozen=True)
class Options:
    """How to segment a layer.

    Attributes
    ----------
    model : str
        What `load_model` takes.
    bright : bool
        Whether vessels are brighter than their surroundings.
    resize : float or None
        Factor before path A; none to guess it.
    whole : bool
        All frames of a stack, the visible one first, or that one only.
    region : callable
        What counts of each frame.
    region_name : str
        What a person calls that region.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`.
    tile : int or None
        Side of the tiles in pixels; none for the model's own.

    Notes
    -----
    Options are equal if they segment a frame alike: which frames are segmented plays no part.
    """

    model: str = "default"
    bright: bool = False
    resize: float | None = None
    whole: bool = field(default=True, compare=False)
    region: Region = field(default=everywhere, compare=False)
    region_name: str = "everything"
    device: str = "auto"
    tile: int | None = None


def preferred_options() -> Options:
    """Options of a person who has said nothing but what stands in the preferences."""
    settings = read_settings()
    return Options(device=settings.device, tile=settings.tile)


def warm_up() -> None:
    """Import what a first run needs: a second or two that must neither slow napari's start nor hold its window."""
    import_module("napari_darl.inference.segment")  # and torch
    with suppress(ImportError):
        import_module("pandas")  # else napari does with the first Labels layer, on the window's thread


class Part(NamedTuple):
    """A window of a frame that is too large to be shown only when it is whole.

    The windows of a frame follow each other; `number` of `total` says how far they are.
    """

    place: Index
    rows: slice
    columns: slice
    probability: npt.NDArray[np.float32]
    number: int
    total: int


class Run:
    """A layer being segmented.

    Parameters
    ----------
    image : Image
        The layer; looked at now and never from the thread.
    options, cleaning : Options, Cleaning
        How to segment it, and how to make masks of the probabilities.
    viewer : napari.Viewer
        Tells which frame to begin with.

    Attributes
    ----------
    total : int
        Frames to segment.
    result : Result or None
        Where they go; none before the first.
    finished : int
        Frames that are there.
    parts : tuple of int
        How many windows of the frame under way are there, and how many it has; (0, 0) if it comes whole.
    provenance : dict
        What the result's metadata will tell of its making; empty until the model is loaded.
    """

    def __init__(self, image: Image, options: Options, cleaning: Cleaning, viewer: "napari.Viewer") -> None:
        self.image, self.options, self.cleaning = image, options, cleaning
        self.result: Result | None = None
        self.finished = 0
        self.parts = (0, 0)
        self.provenance: dict[str, str | float] = {}
        self._source = finest(image)
        self._name = image.name
        self._data, self._rgb = pixels(image), bool(image.rgb)
        self._shape = frames_shape(image)
        self._first = visible_frame(image, viewer)
        self._centre = visible_centre(image, viewer)
        self.total = prod(self._shape[:-2]) if options.whole else 1

    def is_current(self) -> bool:
        """Tell whether the layer still has the array that is being segmented."""
        return finest(self.image) is self._source

    def progress(self) -> str:
        """Tell where the run stands, in a few words."""
        if not self.provenance:
            return "Loading the model"
        if self.parts[1]:
            return f"Segmented {self.parts[0]} of {self.parts[1]} parts"
        if self.total == 1:
            return f"Segmenting '{self._name}'"
        return f"Segmented {self.finished} of {self.total} frames"

    def work(self, stop: Event) -> Generator[Any, None, None]:
        """Yield where the model comes from, then, frame by frame, its place and its probability; runs in a thread.

        Frames of more than one window are yielded as `Part`s, what a person sees first.
        """
        warm_up()
        from napari_darl.inference.loading import as_model
        from napari_darl.inference.segment import iter_probability
        from napari_darl.inference.windows import Windows

        def interrupt() -> None:
            if stop.is_set():
                raise _StoppedError

        options = self.options
        model = as_model(options.model, options.device)
        height, width = self._shape[-2:]
        resize = options.resize or guess_resize(height, width, model.network.config.side)
        yield model.provenance(
            source=self._name, resize=resize, vessels="bright" if options.bright else "dark", region=options.region_name
        )
        windows = Windows(
            self._data,
            model,
            rgb=self._rgb,
            bright=options.bright,
            resize=resize,
            tile=options.tile,
            interrupt=interrupt,
        )
        if windows.chunk_shape[-2:] != (height, width):
            with suppress(_StoppedError):
                yield from self._by_parts(windows)
            return
        frames = iter_probability(
            self._data if options.whole else np.asarray(self._data[self._first]),
            model,
            rgb=self._rgb,
            bright=options.bright,
            resize=resize,
            tile=options.tile,
            first=self._first if options.whole else None,
            interrupt=interrupt,
        )
        try:
            for place, probability in frames:
                index = place if options.whole else self._first
                counted = options.region(index)
                yield index, probability if counted is None else probability * counted
        except _StoppedError:
            return

    def _by_parts(self, windows: "Windows") -> Generator[Part, None, None]:
        """Yield the windows of large frames: those of the visible one first, and first what lies in the middle."""
        places = list(np.ndindex(self._shape[:-2])) if self.options.whole else [self._first]
        at = places.index(self._first)
        cut = sorted(windows.windows(), key=lambda window: _distance(window, self._centre))
        for place in places[at:] + places[:at]:
            counted = self.options.region(place)
            for number, (rows, columns) in enumerate(cut, 1):
                found = windows.probability(place, rows, columns)
                found = found if counted is None else found * counted[rows, columns]
                yield Part(place, rows, columns, found, number, len(cut))


def _distance(window: tuple[slice, slice], centre: tuple[float, float]) -> float:
    """How far the middle of a window is from a place in its frame, in pixels."""
    return float(np.hypot(*((part.start + part.stop) / 2 - at for part, at in zip(window, centre, strict=True))))


class _StoppedError(Exception):
    """The run was cancelled within a frame."""
