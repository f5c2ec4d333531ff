"""Refining a model with corrected frames.

A refinement always begins with the original model and takes all corrections at once, so that rounds don't pile up. It
compares four candidates (see `guard`): the original as it is, the original with another threshold, a fit that is
anchored to what the original is sure of, and a free fit (see `fitting`). The original stays unless another one is
clearly better.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.model import Darl
from napari_darl.errors import DarlError, InputError
from napari_darl.inference.cleaning import clean_mask
from napari_darl.inference.loading import Model, as_model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.windows import Windows
from napari_darl.refining.corrections import LabelledFrame, read_corrections, read_others
from napari_darl.refining.fitting import FitConfig, Fitting, Kind
from napari_darl.refining.guard import (
    GAIN,
    MOST_DISAGREEMENT,
    Candidate,
    Overlap,
    best_threshold,
    choose,
    disagreement,
    folds,
)
from napari_darl.version import VERSION

Choice = Literal["original", "threshold", "anchored", "free"]
Probability = npt.NDArray[np.float32]

_CANDIDATES = ("original", "threshold", "anchored", "free")
_FITTED: tuple[Kind, ...] = ("anchored", "free")
_OTHERS = 4  # frames that the disagreement is measured on, beside the corrected ones

FIT = FitConfig()
"""How candidates are fitted."""


@dataclass(frozen=True, eq=False)
class Refinement:
    """What came of refining a model.

    Attributes
    ----------
    model : Model
        The model to use: the original, unless a fit was better. It is no longer label-free unless `choice` is
        "original".
    threshold : float
        The threshold to use with it.
    choice : {"original", "threshold", "anchored", "free"}
        Which candidate it is.
    report : mapping of str to Candidate
        Held-out Dice of each candidate, and its disagreement with the original's sure pixels. Where the original alone
        is so good that no candidate could be clearly better, nothing is fitted, and only it is listed.
    """

    model: Model
    threshold: float
    choice: Choice
    report: Mapping[str, Candidate] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write the model as a file that `load_model` reads; it carries the threshold and where it comes from.

        Raises
        ------
        InputError
            If the path doesn't end in `.safetensors`, or exists already.
        FileError
            If the file can't be written.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InputError(f"{path} doesn't end in .safetensors, as model files do. Choose such a name.")
        if path.exists():
            raise InputError(f"{path} exists already. Choose another name.")
        save_model(path, self.model.network, self.model.info)


def refine(
    model: Model | str | Path | None,
    corrected: Sequence[tuple[object, npt.ArrayLike]],
    others: Sequence[object] = (),
    *,
    options: SegmentOptions | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Event | None = None,
) -> Refinement:
    """Refine a model with corrected frames, unless that would do harm.

    Parameters
    ----------
    model : Model, str or Path, optional
        The original model, which stays as it is; by default the bundled model `default`.
    corrected : sequence of (image, labels)
        Images as `segment` takes them, and labels of their shape without colours: 1 vessel, 0 background, -1 not said.
    others : sequence of images, optional
        Images of the same kind that nobody corrected. They keep the model from forgetting what it knows, and show
        whether it does.
    options : SegmentOptions, optional
        How the images are segmented: colours, polarity, resize factor.
    seed : int
        Key of all random draws: the same call gives the same model.
    progress : callable, optional
        Called with the number of steps done and of all steps.
    stop : threading.Event, optional
        Set it to stop after the current step.

    Returns
    -------
    Refinement
        The model to use and how the candidates compare.

    Raises
    ------
    InputError
        If nothing is corrected, labels don't fit their image, or an image can't be used.
    DarlError
        If `stop` was set.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import refine, segment
    >>> from napari_darl.samples import sample_angiogram
    >>> frame = sample_angiogram()[100:260, 100:260]
    >>> labels = segment(frame).astype(np.int8)
    >>> labels[:40] = -1  # nothing is said of this part
    >>> refine("default", [(frame, labels)]).choice
    'original'
    """
    options = options or SegmentOptions()
    original = as_model(model, options.device)
    frames = read_corrections(corrected, original, options)
    spared = read_others(others, original, options, _OTHERS)
    work = _Work(original, options, spared, seed, progress, stop)
    report = work.compare(frames)
    choice: Any = choose(report)
    if choice == "original":
        return Refinement(original, original.threshold, "original", report)
    if choice == "threshold":
        threshold = best_threshold(*_said(frames), original.threshold)
        return Refinement(
            _derived(original, original.network, choice, threshold, frames, seed), threshold, choice, report
        )
    network = work.fitting.fit(frames, choice)
    if work.disagreement(network, frames) > MOST_DISAGREEMENT:
        return Refinement(original, original.threshold, "original", report)
    return Refinement(_derived(original, network, choice, 0.5, frames, seed), 0.5, choice, report)


class _Work:
    """The candidates of one refinement."""

    def __init__(
        self,
        original: Model,
        options: SegmentOptions,
        others: list[LabelledFrame],
        seed: int,
        progress: Callable[[int, int], None] | None,
        stop: Event | None,
    ) -> None:
        self.original, self.options, self.others = original, options, others
        self._progress, self._stop = progress, stop
        self._done, self._total = 0, FIT.steps * (2 * len(_FITTED) + 1)
        self.fitting = Fitting(original.network, others, FIT, seed, self._step)

    def compare(self, frames: list[LabelledFrame]) -> dict[str, Candidate]:
        """Compare the candidates on held-out corrections, and by their disagreement."""
        known = self.original.threshold
        pooled = {name: Overlap() for name in _CANDIDATES}
        for frame in frames:
            pooled["original"].add(self._original_mask(frame), frame.labels)
        if pooled["original"].dice > 1 - GAIN:
            return {"original": Candidate(pooled["original"].dice, 0.0)}

        gains: dict[str, list[float]] = {name: [] for name in _CANDIDATES}
        apart: dict[str, list[float]] = {name: [] for name in _CANDIDATES}
        for fitted, held_out in folds(frames):
            threshold = best_threshold(*_said(fitted), known)
            networks: dict[str, Darl | None] = {name: self.fitting.fit(fitted, name) for name in _FITTED}
            fold = {name: Overlap() for name in _CANDIDATES}
            for name, cut in (("original", None), ("threshold", threshold), ("anchored", 0.5), ("free", 0.5)):
                looked = (*held_out, *self.others)
                if cut is None:
                    masks = [self._original_mask(frame) for frame in looked]
                else:
                    masks = [self._probability(networks.get(name), frame) > cut for frame in looked]
                for frame, mask in zip(held_out, masks, strict=False):
                    fold[name].add(mask, frame.labels)
                    if name != "original":  # Nothing was fitted for it: all frames count, from above.
                        pooled[name].add(mask, frame.labels)
                apart[name].append(disagreement([*held_out, *self.others], masks))
                gains[name].append(fold[name].dice - fold["original"].dice)
        return {
            name: Candidate(pooled[name].dice, float(np.mean(apart[name])), min(gains[name])) for name in _CANDIDATES
        }

    def disagreement(self, network: Darl, frames: list[LabelledFrame]) -> float:
        """Return how far a fit disagrees with what the original is sure of."""
        looked = [*self.others, *frames]
        return disagreement(looked, [self._probability(network, frame) > 0.5 for frame in looked])

    def _original_mask(self, frame: LabelledFrame) -> npt.NDArray[np.bool_]:
        """Return the mask that users get of the original, cleaned as its file says."""
        return clean_mask(frame.probability, self.original.cleaning) > 0

    def _probability(self, network: Darl | None, frame: LabelledFrame) -> Probability:
        if network is None:
            return frame.probability
        return Windows(frame.pixels, replace(self.original, network=network), self.options).compute()

    def _step(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)
        if self._stop is not None and self._stop.is_set():
            raise DarlError("Refining was stopped. The model stays as it was.")


def _said(frames: Sequence[LabelledFrame]) -> tuple[list[Probability], list[Any]]:
    return [frame.probability for frame in frames], [frame.labels for frame in frames]


def _derived(
    original: Model, network: Darl, choice: str, threshold: float, frames: Sequence[LabelledFrame], seed: int
) -> Model:
    """Return the refined model with its provenance."""
    refined = {
        "from": Path(original.name).name,
        "from_sha256": original.sha256,
        "choice": choice,
        "frames": [hashlib.sha256(np.ascontiguousarray(frame.pixels).tobytes()).hexdigest() for frame in frames],
        "labelled_pixels": int(sum(np.count_nonzero(frame.labels != -1) for frame in frames)),
        "seed": seed,
        "label_free": False,
        "version": VERSION,
    }
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    # The cleaning of the original was found for its probability, and the candidates were compared without it.
    info = {name: value for name, value in original.info.items() if name != "cleaning"}
    info |= {"threshold": threshold, "refined": refined}
    return Model(network, f"{original.name}, refined", digest.hexdigest(), info)
