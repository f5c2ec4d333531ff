"""A segmentation on the screen: its probability, and the mask that follows the cleaning until a person edits it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import Index, frame_order, frames_shape
from napari_darl._napari.run import Options, Part
from napari_darl.inference.cleaning import Cleaning, clean_mask


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
        Whether a person painted on the mask, renamed it or put another array in: it is theirs from then on, and nothing
        that they may have seen is changed any more.
    """

    def __init__(
        self, image: Image, layer: Labels, options: Options, cleaning: Cleaning, on_claim: Callable[[], None]
    ) -> None:
        self.image, self.layer = image, layer
        self.options, self.cleaning = options, cleaning
        self._order = frame_order(image)
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
        """Tell whether the image still has the frames that it had, and nobody has edited their mask."""
        unchanged = self._order == frame_order(image) and self.probability.shape == frames_shape(image)
        return unchanged and not self.claimed

    def start_over(self, options: Options, cleaning: Cleaning) -> None:
        """Forget all frames."""
        self.options, self.cleaning = options, cleaning
        self.probability[...] = 0
        self.done.clear()
        self._waiting.clear()
        self._masks[...] = 0
        self._refresh()

    def follow(self) -> None:
        """Put the mask where the image is now."""
        before = geometry(self.layer)
        for key, value in geometry(self.image).items():
            if value != before[key]:  # each of them has napari draw anew
                setattr(self.layer, key, value)

    def add(self, index: Index, probability: npt.NDArray[np.float32]) -> None:
        """Take a segmented frame in; a mask that a person has begun to edit gets it where it is still empty."""
        self.probability[index] = probability
        self.done.add(index)
        if not (self.claimed and self._masks[index].any()):
            self._write(index)
            self._refresh()

    def add_part(self, part: Part) -> None:
        """Take in a window of a large frame; cleaning that looks further than a window waits for the last one."""
        self.probability[part.place][part.rows, part.columns] = part.probability
        mask = self._masks[part.place][part.rows, part.columns]
        if not (self.claimed and mask.any()):
            mask[...] = clean_mask(part.probability, Cleaning(threshold=self.cleaning.threshold))
        if part.number == part.total:
            self.done.add(part.place)
            if self.cleaning != Cleaning(threshold=self.cleaning.threshold) and not self.claimed:
                self._write(part.place)
        self._refresh()

    def clean(self, cleaning: Cleaning, visible: Index) -> None:
        """Mask the visible frame anew, at once; the others wait for `clean_next`."""
        if self.claimed:
            return
        self.cleaning = cleaning
        self.note(self._provenance)
        self._waiting = set(self.done)
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

    def _write(self, index: Index) -> None:
        self._masks[index] = clean_mask(self.probability[index], self.cleaning)

    def _refresh(self) -> None:
        self.layer.refresh(extent=False, highlight=False)

    def _claim(self) -> None:
        if not self.claimed:
            self.claimed = True
            self._on_claim()
