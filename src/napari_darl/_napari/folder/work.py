"""What a folder's threads do: list its images, and segment those that are asked for."""

import warnings
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from napari_darl._napari.task import warm_up
from napari_darl.errors import DarlWarning
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.options import SegmentOptions

if TYPE_CHECKING:
    from napari_darl.batch.jobs import Job
    from napari_darl.batch.run import Batch, Outcome


@dataclass(frozen=True)
class Order:
    """What the user asks for.

    Attributes
    ----------
    folder : Path
        The images, or folders of frames.
    output : Path, optional
        Folder for the masks; None for the folder of each image.
    model : str
        As `load_model` takes it.
    options : SegmentOptions
        How the model is applied.
    cleaning : Cleaning
        How probability becomes a mask.
    """

    folder: Path
    output: Path | None = None
    model: str = "default"
    options: SegmentOptions = field(default_factory=SegmentOptions)
    cleaning: Cleaning = field(default_factory=Cleaning)


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a folder, and how they are segmented."""

    batch: "Batch"
    jobs: "list[Job]"


@dataclass(frozen=True, eq=False)
class Step:
    """The segmentation of an image: it begins or, with an outcome, has ended."""

    number: int
    outcome: "Outcome | None" = None


class Queue:
    """Numbers of images to segment, each once; the window adds them and a thread takes them."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._lock = Lock()

    def add(self, numbers: list[int], *, first: bool = False) -> None:
        """Put numbers at the end or, with `first`, before all others."""
        with self._lock:
            others = [number for number in self._numbers if number not in set(numbers)]
            self._numbers = numbers + others if first else others + numbers

    def take(self) -> int | None:
        """Remove the first number and return it; None if there is none."""
        with self._lock:
            return self._numbers.pop(0) if self._numbers else None

    def clear(self) -> None:
        """Remove all numbers."""
        with self._lock:
            self._numbers = []

    def __len__(self) -> int:
        return len(self._numbers)


def list_images(order: Order) -> "Generator[Listing | Step, None, None]":
    """Yield the images of a folder, then what has become of each so far."""
    warm_up()
    from napari_darl.batch.jobs import find_images, plan
    from napari_darl.batch.recipe import Recipe
    from napari_darl.batch.run import Batch
    from napari_darl.inference.loading import as_model

    model = as_model(order.model, order.options.device)
    batch = Batch(Recipe(model, order.options, order.cleaning))
    with warnings.catch_warnings(action="ignore", category=DarlWarning):  # about results among the images
        images = find_images([order.folder], series=True)
    jobs = plan(images, order.output)
    yield Listing(batch, jobs)
    for number, job in enumerate(jobs):
        yield Step(number, batch.look(job))


def segment_queue(listing: Listing, queue: Queue, stop: Event) -> Generator[Step, None, None]:
    """Segment the images whose numbers are in a queue, until it is empty. The queue may grow meanwhile."""
    from napari_darl.batch.run import StoppedError

    def interrupt() -> None:
        if stop.is_set():
            raise StoppedError

    while not stop.is_set() and (number := queue.take()) is not None:
        yield Step(number)
        try:
            yield Step(number, listing.batch.process(listing.jobs[number], interrupt=interrupt))
        except StoppedError:
            return
