"""Go through a batch: results that are there are left, and a bad file doesn't keep the others from their turn."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_darl.batch.jobs import Job
from napari_darl.batch.recipe import Recipe
from napari_darl.batch.results import State, state_of
from napari_darl.batch.segmenting import segment_chunks, segment_whole
from napari_darl.errors import DarlError, about, about_source
from napari_darl.inference.pipeline import Progress

if TYPE_CHECKING:
    from distributed import Client

_log = logging.getLogger(__name__)


class StoppedError(DarlError):
    """The user stopped the batch. Unlike other errors, it isn't that of an image."""


@dataclass(frozen=True)
class Outcome:
    """What a batch did with an image.

    Attributes
    ----------
    job : Job
        The image.
    state : State
        What has become of it.
    reason : str
        Why it failed, or was left though it isn't done, in sentences.
    new : bool
        Whether it was segmented now, not before.
    smoothed : bool
        Whether it was smoothed over time.
    """

    job: Job
    state: State
    reason: str = ""
    new: bool = False
    smoothed: bool = False

    @property
    def sentence(self) -> str:
        """The reason, with the name of the image."""
        return about_source(self.reason, self.job.source)


@dataclass(frozen=True)
class Batch:
    """Images that are segmented in the same way.

    Attributes
    ----------
    recipe : Recipe
        How they are segmented.
    overwrite : bool
        Whether results of anything else may be replaced; those that the user has edited never are.
    client : distributed.Client, optional
        The cluster for images that are segmented chunk by chunk.
    """

    recipe: Recipe
    overwrite: bool = False
    client: "Client | None" = field(default=None, compare=False)

    def process(
        self, job: Job, progress: Progress | None = None, interrupt: Callable[[], None] | None = None
    ) -> Outcome:
        """Segment an image unless that is done; any error but StoppedError becomes part of the outcome.

        Parameters
        ----------
        job : Job
            The image.
        progress : callable, optional
            Called with the numbers of finished and of all parts of the image: its chunks or, in memory, tiles.
        interrupt : callable, optional
            Called before each tile of other images; it may raise StoppedError.
        """
        return _guarded(job, lambda: self._process(job, progress, interrupt))

    def look(self, job: Job) -> Outcome:
        """Return what has become of an image so far."""
        return _guarded(job, lambda: Outcome(job, *state_of(job, self.recipe)))

    def _process(self, job: Job, progress: Progress | None, interrupt: Callable[[], None] | None) -> Outcome:
        state, reason = state_of(job, self.recipe)
        replaced = self.overwrite and state in (State.DONE, State.FOREIGN)
        if state is not State.TO_DO and not replaced:
            return Outcome(job, state, reason)
        if job.in_chunks:
            new = segment_chunks(job, self.recipe, overwrite=self.overwrite, client=self.client, progress=progress)
            return Outcome(job, State.DONE, new=new)
        smoothed = segment_whole(job, self.recipe, overwrite=replaced, progress=progress, interrupt=interrupt)
        return Outcome(job, State.DONE, new=True, smoothed=smoothed)


def _guarded(job: Job, work: Callable[[], Outcome]) -> Outcome:
    """Do the work, and turn its errors into an outcome."""
    try:
        with about(job.source):
            return work()
    except StoppedError:
        raise
    except DarlError as error:
        return Outcome(job, State.FAILED, str(error))
    except MemoryError:
        return Outcome(job, State.FAILED, "Memory ran out. Close other programs, or use smaller images.")
    except OSError as error:
        reason = f"{error.filename or job.source} can't be used ({error.strerror}). Check it and its permissions."
        return Outcome(job, State.FAILED, reason)
    except Exception as error:  # noqa: BLE001 - the others have their turn all the same
        _log.exception("Segmenting %s failed", job.source)
        return Outcome(job, State.FAILED, f"An unexpected error: {type(error).__name__}: {error}.")


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return in a few words what became of the images of a batch: "12 done before, 17 segmented, 1 failed"."""
    counts = Counter(
        ("segmented" if outcome.new else "done before") if outcome.state is State.DONE else _WORDS[outcome.state]
        for outcome in outcomes
    )
    return ", ".join(f"{counts[word]} {word}" for word in _ORDER if word in counts)


_WORDS = {State.EDITED: "edited", State.FOREIGN: "left", State.FAILED: "failed", State.TO_DO: "to do"}
_ORDER = ("done before", "edited", "segmented", "left", "failed", "to do")
