"""The work of segmenting one layer: it takes what it needs from the layer first, then runs in a thread."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_darl._napari.bit_depth import bit_depth
from napari_darl._napari.file_colours import colour_check
from napari_darl._napari.layers import finest, frames_shape, pixels, visible_centre, visible_frame
from napari_darl._napari.priority import answering
from napari_darl._napari.segmenting.options import Options, Part, Provenance, Update
from napari_darl._napari.task import warm_up
from napari_darl.io.identity import source_name

if TYPE_CHECKING:
    import napari

    from napari_darl.inference.windows import Windows


class Run:
    """Segments a layer with one set of options.

    Parameters
    ----------
    image : Image
        The layer. It is looked at now, and never in the thread.
    options : Options
        How to segment it.
    viewer : napari.Viewer
        The frame that it shows is segmented first.

    Attributes
    ----------
    name : str
        Name of the layer when the run began.
    total : int
        Number of frames to segment.
    """

    def __init__(self, image: Image, options: Options, viewer: "napari.Viewer") -> None:
        self.image, self.options, self.name = image, options, image.name
        self._source = finest(image)
        self._named = image.name if image.source.path is None or source_name(Path(image.source.path)) else None
        self._data, self._rgb = pixels(image), bool(image.rgb)
        self._bit_depth, self._check_colours = bit_depth(image), colour_check(image)
        self._shape = frames_shape(image)
        self._first = visible_frame(image, viewer)
        self._centre = visible_centre(image, viewer)
        self.total = prod(self._shape[:-2]) if options.whole else 1

    def is_current(self) -> bool:
        """Return whether the layer still has the array that is being segmented."""
        return finest(self.image) is self._source

    def work(self, stop: Event) -> Generator[Update, None, None]:
        """Yield a first update once the model is loaded, then one for each part; called in a thread.

        Frames too large for one window come in several parts, beginning in the middle of what the viewer shows. Until
        the first part, long work in the background makes way.
        """
        with ExitStack() as until_first_part:
            until_first_part.enter_context(answering())
            for update in self._updates(stop):
                if update.part is not None:
                    until_first_part.close()
                yield update

    def _updates(self, stop: Event) -> Iterator[Update]:
        warm_up()
        from napari_darl.batch.recipe import SETTINGS, Recipe
        from napari_darl.inference.loading import as_model
        from napari_darl.inference.orthogonal import windows_for

        def interrupt() -> None:
            if stop.is_set():
                raise _StoppedError

        self._check_colours()
        model = as_model(self.options.model, self.options.segment.device)
        chosen = self.options.segment.updated(rgb=self._rgb, bits=self._bit_depth())
        settings = Recipe(model, chosen, model.cleaning).settings
        windows = windows_for(self._data, model, chosen, region=self.options.region, interrupt=interrupt)
        options = replace(self.options, segment=windows.options)
        provenance = {**self._provenance(windows), SETTINGS: settings}
        yield Update(options, provenance)
        with suppress(_StoppedError):
            for part in self._parts(windows):
                yield Update(options, provenance, part)

    def _provenance(self, windows: "Windows") -> Provenance:
        decided = windows.options
        known = {"bits": decided.bits, "channel": decided.channel, "source": self._named}
        return windows.model.provenance(
            resize=windows.resize,
            precision=windows.precision,
            vessels="bright" if decided.bright else "dark",
            region=self.options.region.name,
            **{name: value for name, value in known.items() if value},
        )

    def _parts(self, windows: "Windows") -> Iterator[Part]:
        """Yield the visible frame first, then those after it, then those before it."""
        cut = sorted(windows.frame_windows(), key=lambda window: _distance(window, self._centre))
        if self.options.whole and (len(cut) == 1 or windows.options.orthogonal):
            for frame, probability in windows.frames(self._first):  # several at once, where the device has memory
                yield Part(frame, *windows.pipeline.whole, probability)
            return
        frames = list(np.ndindex(self._shape[:-2])) if self.options.whole else [self._first]
        at = frames.index(self._first)
        for frame in frames[at:] + frames[:at]:
            for number, window in enumerate(cut, 1):
                yield Part(frame, *window, windows.probability(frame, *window), number, len(cut))


def _distance(window: tuple[slice, slice], centre: tuple[float, float]) -> float:
    """Return the distance of a window's middle from a point of its frame, in pixels."""
    return float(np.hypot(*((part.start + part.stop) / 2 - at for part, at in zip(window, centre, strict=True))))


class _StoppedError(Exception):
    """The run was cancelled within a frame."""
