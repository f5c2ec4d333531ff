"""The work of refining: what it needs is taken from the layers first, the rest happens in a thread."""

from collections.abc import Generator
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_darl._napari.layers import Index, pixels
from napari_darl._napari.segmenting.result import Result
from napari_darl._napari.task import warm_up
from napari_darl.errors import DarlError
from napari_darl.refining.corrections import Labels

if TYPE_CHECKING:
    from napari_darl.refining.refine import Refinement


@dataclass(frozen=True, eq=False)
class Refined:
    """What refining sends to the window, when it is done.

    Attributes
    ----------
    refinement : Refinement
        The model, and how the candidates compare.
    masks : numpy.ndarray of uint8, shape (..., Y, X), or None
        Masks of all frames by the refined model; None if the original stays.
    """

    refinement: "Refinement"
    masks: npt.NDArray[np.uint8] | None


class RefineRun:
    """Refines the model of a result with its corrected frames, and segments all frames with it.

    Parameters
    ----------
    result : Result
        The segmented image and its mask. They are looked at now, and never in the thread.
    labels : dict of tuple of int to numpy.ndarray of int8
        What `corrections` returned.

    Attributes
    ----------
    done, total : int
        Steps of the optimiser; the window may read them at any time.
    """

    def __init__(self, result: Result, labels: dict[Index, Labels]) -> None:
        self._options = result.options
        self._data, self._shape = pixels(result.image), result.probability.shape
        self._labels = labels
        self.done, self.total = 0, 0

    def work(self, stop: Event) -> Generator[Refined, None, None]:
        """Yield one message at the end, unless the user stops the work; called in a thread."""
        warm_up()
        from napari_darl.inference.cleaning import Cleaning, clean_mask
        from napari_darl.inference.windows import Windows
        from napari_darl.io.arrays import ImageData
        from napari_darl.refining.corrections import uncorrected_frames
        from napari_darl.refining.refine import refine

        segment = self._options.segment

        def image(index: Index) -> ImageData[npt.NDArray[np.generic]]:
            return ImageData(np.asanyarray(self._data[index]), rgb=segment.rgb, bits=segment.bits)

        def progress(done: int, total: int) -> None:
            self.done, self.total = done, total

        try:
            refinement = refine(
                self._options.model,
                [(image(index), labels) for index, labels in self._labels.items()],
                [image(index) for index in uncorrected_frames(self._shape[:-2], self._labels)],
                options=segment,
                progress=progress,
                stop=stop,
            )
        except DarlError:
            if stop.is_set():
                return
            raise
        masks = None
        if refinement.choice != "original":
            masks = np.zeros(self._shape, np.uint8)
            cleaning = Cleaning(threshold=refinement.threshold)
            for index, probability in Windows(self._data, refinement.model, segment).frames():
                if stop.is_set():
                    return
                region = self._options.region.mask_of(index)
                masks[index] = clean_mask(probability if region is None else probability * region, cleaning)
        yield Refined(refinement, masks)
