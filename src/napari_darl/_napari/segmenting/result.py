"""A segmentation in the viewer: its probability, and the mask that follows the cleaning until the user edits it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import Index, checksum, finest, frame_order, frames_shape
from napari_darl._napari.segmenting.options import Options, Part, Provenance, Update
from napari_darl.inference.cleaning import Cleaning, clean_mask

Window = tuple[slice, slice]
_WHOLE: Window = (slice(None), slice(None))


class Result:
    """The segmented frames of an image, and the mask layer that shows them.

    Parameters
    ----------
    image, layer : Image, Labels
        The segmented image, and the mask over it.
    update : Update
        The first message of the run: how the image is segmented.
    cleaning : Cleaning
        How probability becomes the mask.
    on_claim : callable
        Called when the user edits the mask for the first time.

    Attributes
    ----------
    probability : numpy.ndarray of float32, shape (..., Y, X)
        Probability of vessel; 0 where nothing has been segmented yet, and outside the region.
    options : Options
        How the image was segmented, with everything decided.
    done : set of tuple of int
        Indices of the frames that are complete.
    claimed : bool
        Whether the mask belongs to the user, because they painted on it, renamed or moved it, replaced its array,
        changed values in place or finished a frame. From then on, nothing that they may have seen is changed.
    finished : frozenset of tuple of int
        Indices of the frames that the user has ticked as finished.
    """

    def __init__(
        self, image: Image, layer: Labels, update: Update, cleaning: Cleaning, on_claim: Callable[[], None]
    ) -> None:
        self.image, self.layer, self.cleaning = image, layer, cleaning
        self._pixels = finest(image)
        self._order = frame_order(image)
        self._geometry = geometry(layer)
        self.options: Options = update.options
        self._provenance: Provenance = {}
        # The windows that were written of each frame, each with the hash of what was written there.
        self._written: dict[Index, list[tuple[Window, int]]] = {}
        self._masks: npt.NDArray[np.uint8] = layer.data.transpose(self._order)  # a view
        self.probability: npt.NDArray[np.float32] = np.zeros(self._masks.shape, np.float32)
        self.done: set[Index] = set()
        self.claimed = False
        self.finished: frozenset[Index] = frozenset()
        self._restored: dict[Index, npt.NDArray[np.bool_]] = {}  # what the model had given them
        self._waiting: set[Index] = set()
        self._on_claim = on_claim
        self._note(update.provenance)
        # napari emits `paint` when a stroke of the brush has ended, but `labels_update` with each dab of it.
        for event in (layer.events.paint, layer.events.labels_update, layer.events.data, layer.events.name):
            event.connect(self._claim)

    def mask(self, index: Index) -> npt.NDArray[np.bool_]:
        """Return a frame of the mask as it is now, (Y, X): True in all labels."""
        present: npt.NDArray[np.bool_] = self.layer.data.transpose(self._order)[index] != 0
        return present

    def own_mask(self, index: Index) -> npt.NDArray[np.bool_]:
        """Return the mask that the model gave a frame, (Y, X), whatever the user has changed in it."""
        if index in self._restored:
            return self._restored[index]
        return clean_mask(self.probability[index], self.cleaning).astype(np.bool_)

    @property
    def replaced(self) -> bool:
        """Whether the user has given the layer an array of another shape, which holds no frames of the image."""
        return bool(self.layer.data.shape != self._masks.transpose(np.argsort(self._order)).shape)

    def labels(self, index: Index) -> npt.NDArray[Any]:
        """Return a view of a frame of the mask as it is now, (Y, X)."""
        return np.asarray(self.layer.data.transpose(self._order)[index])

    def edited(self, index: Index) -> bool:
        """Return whether the user has changed a frame. It takes time on large frames; threads may call it."""
        return index in self._restored or self._differs(index, self.labels(index))

    def finish(self, index: Index, finished: bool) -> None:
        """Tick a frame as finished, or take the tick back. The mask belongs to the user from then on."""
        self.finished = self.finished | {index} if finished else self.finished - {index}
        self._claim()

    def restore(self, index: Index, labels: npt.NDArray[np.uint8], own: npt.NDArray[np.bool_]) -> None:
        """Put back a frame that the user had edited, with the mask `own` that the model had given."""
        self._masks[index] = labels
        self._restored[index] = own
        self.done.add(index)
        self._claim()
        self._refresh()

    def fits(self, image: Image) -> bool:
        """Return whether the image still has frames of the same shape, and the user hasn't edited their mask."""
        alike = self._order == frame_order(image) and self.probability.shape == frames_shape(image)
        if alike and (
            geometry(self.layer) != self._geometry or any(map(self._touched, np.ndindex(self._masks.shape[:-2])))
        ):
            self._claim()
        return alike and not self.claimed

    def resume(self, update: Update, cleaning: Cleaning) -> None:
        """Prepare for a further run on the image, and move the mask to where the image is now.

        The frames that are there stay only if the run adds single frames to them, made in the same way: from the same
        pixels, by the same model, with equal options.
        """
        same_way = (
            self._pixels is finest(self.image)
            and self.options == update.options
            and self._provenance.get("sha256") == update.provenance.get("sha256")
        )
        if update.options.whole or not same_way:
            self.options, self.cleaning = update.options, cleaning
            self._forget()
        self._follow_image()
        self._note(update.provenance)

    def add(self, part: Part) -> None:
        """Take in a part of a frame; in a mask that belongs to the user, it only fills what is still empty.

        A window shows at once, by the threshold alone. Other cleaning needs the whole frame, and follows the last part.
        """
        index, window = part.frame, (part.rows, part.columns)
        if part.number == 1:
            if self._touched(index):
                self._claim()
            self.done.discard(index)  # the frame may have been segmented before
            self._written.pop(index, None)
        self.probability[index][window] = part.probability
        if index not in self._restored and (not self.claimed or not self._masks[index][window].any()):
            cleaning = self.cleaning if part.total == 1 else self._thresholding
            self._put(index, window, clean_mask(part.probability, cleaning))
        if part.is_last:
            self.done.add(index)
            if part.total > 1 and not self.claimed and self.cleaning != self._thresholding:
                self._write(index)
        self._refresh()

    def clean(self, cleaning: Cleaning, visible: Index) -> None:
        """Make the mask of the visible frame again at once; the other frames wait for `clean_next`."""
        if self.claimed:
            return
        self.cleaning = cleaning
        self._note(self._provenance)
        self._waiting = set(self.done)
        for index in self._written.keys() - self.done:  # frames of which parts are still to come
            windows = [window for window, _ in self._written[index]]
            if self._may_write(index):
                self._written[index] = []
                for window in windows:
                    self._put(index, window, clean_mask(self.probability[index][window], self._thresholding))
                self._refresh()
        self.clean_next(visible)

    def clean_next(self, visible: Index) -> bool:
        """Make the mask of one waiting frame again, the visible one first; return whether others still wait."""
        if self.claimed:
            self._waiting.clear()
        if self._waiting:
            index = visible if visible in self._waiting else min(self._waiting)
            self._waiting.discard(index)
            self._write(index)
            if index == visible or not self._waiting:  # drawing takes longer than cleaning, and shows one frame
                self._refresh()
        return bool(self._waiting)

    def _forget(self) -> None:
        self._pixels = finest(self.image)
        self.probability[...] = 0
        self.done.clear()
        self._waiting.clear()
        self._written.clear()
        self._masks[...] = 0
        self._refresh()

    def _follow_image(self) -> None:
        before = geometry(self.layer)
        for key, value in geometry(self.image).items():
            if value != before[key]:  # napari redraws the layer for each of them
                setattr(self.layer, key, value)
        self._geometry = geometry(self.layer)

    def _note(self, provenance: Provenance) -> None:
        """Write into the layer's metadata how the mask was made."""
        self._provenance = provenance
        settings = self.cleaning.model_dump()
        self.layer.metadata = {**self.layer.metadata, "napari-darl": {**provenance, **settings}}

    @property
    def _thresholding(self) -> Cleaning:
        return Cleaning(threshold=self.cleaning.threshold)

    def _write(self, index: Index) -> None:
        """Make the mask of a complete frame."""
        if self.claimed or self._may_write(index):
            self._written.pop(index, None)
            self._put(index, _WHOLE, clean_mask(self.probability[index], self.cleaning))

    def _put(self, index: Index, window: Window, mask: npt.NDArray[np.uint8]) -> None:
        self._masks[index][window] = mask
        self._written.setdefault(index, []).append((window, checksum(mask)))

    def _may_write(self, index: Index) -> bool:
        """Return whether a frame may be replaced. napari emits nothing for values changed in place: compare them."""
        if self._touched(index):
            self._claim()
        return not self.claimed

    def _touched(self, index: Index) -> bool:
        """Return whether a frame of the array that is written to holds anything but what was last written there."""
        return self._differs(index, self._masks[index])

    def _differs(self, index: Index, frame: npt.NDArray[Any]) -> bool:
        if index not in self._written:
            return bool(frame.any())
        return any(checksum(frame[window]) != written for window, written in self._written[index])

    def _refresh(self) -> None:
        self.layer.refresh(extent=False, highlight=False)

    def _claim(self) -> None:
        if not self.claimed:
            self.claimed = True
            self._on_claim()
