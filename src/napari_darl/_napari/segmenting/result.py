"""A segmentation on the screen: its probability, and the mask that follows the cleaning until a person edits it."""

from collections.abc import Callable
from zlib import crc32

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import Index, finest, frame_order, frames_shape
from napari_darl._napari.segmenting.run import Options, Part
from napari_darl.inference.cleaning import Cleaning, clean_mask

Window = tuple[slice, slice]
_WHOLE: Window = (slice(None), slice(None))


class Result:
    """What a run has found of an image so far.

    Parameters
    ----------
    image, layer : Image, Labels
        The segmented image, and the mask over it.
    options, cleaning : Options, Cleaning
        How the image was segmented, and how probability becomes the mask.
    on_claim : callable
        Called when a person edits the mask for the first time.

    Attributes
    ----------
    probability : numpy.ndarray of float32
        Frame by frame, y and x last; 0 where nothing is known yet and outside of the region.
    done : set of tuple of int
        Places of the frames that have been segmented.
    claimed : bool
        Whether a person painted on the mask, renamed or moved it, put another array in or changed values in place: it
        is theirs from then on, and nothing that they may have seen is changed any more.
    """

    def __init__(
        self, image: Image, layer: Labels, options: Options, cleaning: Cleaning, on_claim: Callable[[], None]
    ) -> None:
        self.image, self.layer = image, layer
        self.options, self.cleaning = options, cleaning
        self._pixels = finest(image)
        self._order = frame_order(image)
        self._place = geometry(layer)
        self._written: dict[Index, list[tuple[Window, int]]] = {}  # and the hash of what was written
        self._masks: npt.NDArray[np.uint8] = layer.data.transpose(self._order)  # a view
        self.probability: npt.NDArray[np.float32] = np.zeros(self._masks.shape, np.float32)
        self.done: set[Index] = set()
        self.claimed = False
        self._waiting: set[Index] = set()
        self._on_claim = on_claim
        self._provenance: dict[str, str | float] = {}
        # Napari tells of a stroke of the brush only once it has ended, but of each dab that the labels are updated.
        for event in (layer.events.paint, layer.events.labels_update, layer.events.data, layer.events.name):
            event.connect(self._claim)

    def fits(self, image: Image) -> bool:
        """Tell whether the image still has frames like those that it had, and nobody has edited their mask."""
        alike = self._order == frame_order(image) and self.probability.shape == frames_shape(image)
        if alike and (
            geometry(self.layer) != self._place or any(map(self._touched, np.ndindex(self._masks.shape[:-2])))
        ):
            self._claim()
        return alike and not self.claimed

    def is_of(self, image: Image, options: Options) -> bool:
        """Tell whether further frames, segmented like this, belong to those that are there."""
        return self._pixels is finest(image) and self.options == options

    def start_over(self, options: Options, cleaning: Cleaning) -> None:
        """Forget all frames."""
        self.options, self.cleaning = options, cleaning
        self._pixels = finest(self.image)
        self.probability[...] = 0
        self.done.clear()
        self._waiting.clear()
        self._written.clear()
        self._masks[...] = 0
        self._refresh()

    def follow(self) -> None:
        """Put the mask where the image is now."""
        before = geometry(self.layer)
        for key, value in geometry(self.image).items():
            if value != before[key]:  # each of them has napari draw anew
                setattr(self.layer, key, value)
        self._place = geometry(self.layer)

    def add(self, index: Index, probability: npt.NDArray[np.float32]) -> None:
        """Take a segmented frame in; a mask that a person has begun to edit gets it where it is still empty."""
        self.probability[index] = probability
        self.done.add(index)
        if not self.claimed or not self._masks[index].any():
            self._write(index)
            self._refresh()

    def add_part(self, part: Part) -> None:
        """Take in a window of a large frame; cleaning that looks further than a window waits for the last one."""
        window = part.rows, part.columns
        if part.number == 1 and (self.claimed or self._unclaimed(part.place)):  # it may have been segmented before
            self.done.discard(part.place)
            self._written.pop(part.place, None)
        self.probability[part.place][window] = part.probability
        if not self.claimed or not self._masks[part.place][window].any():
            self._put(part.place, window, self._plain(part.probability))
        if part.number == part.total:
            self.done.add(part.place)
            if self.cleaning != self._thresholding and not self.claimed:
                self._write(part.place)
        self._refresh()

    def clean(self, cleaning: Cleaning, visible: Index) -> None:
        """Mask the visible frame anew, at once; the others wait for `clean_next`."""
        if self.claimed:
            return
        self.cleaning = cleaning
        self.note(self._provenance)
        self._waiting = set(self.done)
        for index in self._written.keys() - self.done:  # whose parts are still coming in
            windows = [window for window, _ in self._written[index]]
            if self._unclaimed(index):
                self._written[index] = []
                for window in windows:
                    self._put(index, window, self._plain(self.probability[index][window]))
                self._refresh()
        self.clean_next(visible)

    def clean_next(self, visible: Index) -> bool:
        """Mask one of the frames that wait, the visible one first; whether others still wait."""
        if self.claimed:
            self._waiting.clear()
        if self._waiting:
            index = visible if visible in self._waiting else min(self._waiting)
            self._waiting.discard(index)
            self._write(index)
            if index == visible or not self._waiting:  # drawing takes longer than cleaning, and shows one frame
                self._refresh()
        return bool(self._waiting)

    def note(self, provenance: dict[str, str | float]) -> None:
        """Write into the layer's metadata where it comes from."""
        self._provenance = provenance
        settings = self.cleaning.model_dump()
        self.layer.metadata = {**self.layer.metadata, "napari-darl": {**provenance, **settings}}

    @property
    def _thresholding(self) -> Cleaning:
        return Cleaning(threshold=self.cleaning.threshold)

    def _plain(self, probability: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        return clean_mask(probability, self._thresholding)

    def _write(self, index: Index) -> None:
        if self.claimed or self._unclaimed(index):
            self._written.pop(index, None)
            self._put(index, _WHOLE, clean_mask(self.probability[index], self.cleaning))

    def _put(self, index: Index, window: Window, mask: npt.NDArray[np.uint8]) -> None:
        self._masks[index][window] = mask
        self._written.setdefault(index, []).append((window, _hash(mask)))

    def _unclaimed(self, index: Index) -> bool:
        """Tell whether a frame may be written anew; napari doesn't tell of values that were changed in place."""
        if self._touched(index):
            self._claim()
        return not self.claimed

    def _touched(self, index: Index) -> bool:
        """Tell whether a frame holds something else than what was last written there."""
        frame = self._masks[index]
        if index not in self._written:
            return bool(frame.any())
        return any(_hash(frame[window]) != told for window, told in self._written[index])

    def _refresh(self) -> None:
        self.layer.refresh(extent=False, highlight=False)

    def _claim(self) -> None:
        if not self.claimed:
            self.claimed = True
            self._on_claim()


def _hash(mask: npt.NDArray[np.uint8]) -> int:
    return crc32(np.ascontiguousarray(mask).data)
