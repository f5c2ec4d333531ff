"""Training in a viewer: one run at a time, in the background."""

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, Signal

from napari_darl._napari.layers import bare
from napari_darl._napari.open_viewer import OpenViewer
from napari_darl._napari.priority import make_way
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.stacks import Reading
from napari_darl._napari.task import Task, warm_up
from napari_darl._napari.training.loss_history import LossHistory
from napari_darl._napari.training.previews import Previews
from napari_darl.errors import InputError

if TYPE_CHECKING:
    import napari

    from napari_darl.training.config import TrainingConfig
    from napari_darl.training.step import Preview
    from napari_darl.training.trainer import Trainer

_PAUSE = 0.1  # s, the least time between two updates
_ENOUGH = 20  # steps from which the time left is estimated

_sessions: "WeakKeyDictionary[napari.Viewer, TrainingSession]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Order:
    """The options of a run; those that are left open are taken from the preset.

    Attributes
    ----------
    folder : Path
        The run folder.
    angiograms : callable
        Reads the angiograms.
    backgrounds, masks : callable, optional
        Read the backgrounds and the masks that path B draws.
    first_frames : int
        Number of frames at the start of each series of angiograms that serve as backgrounds.
    preset : str
        Name of the networks and of how they are trained.
    start : str, optional
        The model to fine-tune; None starts from random weights.
    c_darl : bool
        Whether to train the variant without backgrounds.
    steps : int, optional
        Number of steps in all, or further steps for a finished run that is resumed; None takes the preset's.
    resume : bool
        Whether to resume the run in the folder, with its own configuration.
    device : str
        As `resolve_device` takes it.
    changes : dict
        Fields of `TrainingConfig` that differ from the preset.
    """

    folder: Path
    angiograms: Reading
    backgrounds: Reading | None = None
    masks: Reading | None = None
    first_frames: int = 0
    preset: str = "lite"
    start: str | None = None
    c_darl: bool = False
    steps: int | None = None
    resume: bool = False
    device: str = "auto"
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """The message that a run sends from its thread to the window.

    Attributes
    ----------
    step, total : int
        Number of steps done, and to be done in all.
    rows : list of tuple
        The steps since the last update, each with its losses by name.
    preview : Preview, optional
        The latest sample, if there is a new one.
    """

    step: int
    total: int
    rows: list[tuple[int, dict[str, float]]]
    preview: "Preview | None" = None


class TrainingSession(QObject):
    """Trains models in one viewer; get it from `TrainingSession.of(viewer)`.

    Attributes
    ----------
    losses : LossHistory
        Losses of the run under way, or of the last one.
    last : Update, optional
        The latest message of the run; None while it reads its frames.
    stopping : bool
        Whether the run was asked to stop and is saving.

    Signals
    -------
    changed
        A run began, was asked to stop or ended.
    advanced : Update
        Steps were done.
    """

    changed = Signal()
    advanced = Signal(object)

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = OpenViewer(viewer)
        self._task: Task | None = None
        self._order: Order | None = None
        self._began: tuple[float, int] = (0.0, 0)
        self.previews = Previews(viewer)
        self.losses = LossHistory()
        self.last: Update | None = None
        self.stopping = False

    @classmethod
    def of(cls, viewer: "napari.Viewer") -> "TrainingSession":
        """Return the viewer's session, which is created by the first call."""
        viewer = bare(viewer)
        if viewer not in _sessions:
            _sessions[viewer] = cls(viewer)
        return _sessions[viewer]

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._order is not None

    @property
    def folder(self) -> Path | None:
        """The folder of the run under way, or None."""
        return self._order.folder if self._order else None

    @property
    def seconds_left(self) -> float | None:
        """The time left, estimated from the steps so far; None before there are enough of them."""
        began, first = self._began
        if self.last is None or self.last.step - first < min(_ENOUGH, max(1, self.last.total // 10)):
            return None
        return (monotonic() - began) / (self.last.step - first) * (self.last.total - self.last.step)

    def start(self, order: Order) -> None:
        """Start a run in the background.

        Raises
        ------
        InputError
            If another run is under way.
        """
        viewer = self._viewer()
        if viewer is None:
            return
        if self.running:
            raise InputError(f"The run in {self.folder} is still under way. Stop it first.")
        self._order, self.last, self.stopping = order, None, False
        self.losses = LossHistory()
        self.previews.begin()
        self._task = Task(
            partial(_work, order),
            viewer,
            title="Training",
            total=0,
            on_yield=self._receive,
            on_end=self._end,
            opens_dock=False,
        )
        self.changed.emit()

    def stop(self) -> None:
        """Stop and save after the current step."""
        if self._task:
            self.stopping = True
            self._task.cancel()
            self.changed.emit()

    def _receive(self, update: Update) -> None:
        if self.last is None:
            self._began = monotonic(), update.step
        self.last = update
        self.losses.add(update.rows)
        self.advanced.emit(update)
        if update.preview is not None and self._viewer() is not None:
            self.previews.show(update.preview)

    def _end(self, cancelled: bool) -> None:
        order, last = self._order, self.last
        self._order, self._task, self.stopping = None, None, False
        viewer = self._viewer()
        finished = last is not None and last.step >= last.total
        if order is not None and viewer is not None and (finished or cancelled):
            model = order.folder / "model.safetensors"
            if model.exists():
                Segmenter.of(viewer).offer(str(model))
                done = "Training is complete." if finished else "The run was stopped and saved. Resume continues it."
                show_info(f"{done} The model in '{order.folder.name}' is now chosen in the Segment widget.")
            elif cancelled:
                show_info("The run was stopped before its first step. There is nothing to save.")
            else:
                show_error(f"{model} no longer exists. Choose another output folder, and train again.")
        self.changed.emit()


def _work(order: Order, stop: Event) -> Generator[Update, None, None]:
    """Read the frames and train; called in a thread."""
    warm_up()
    trainer = _trainer(order)
    if stop.is_set():
        return
    total = trainer.config.steps
    yield Update(trainer.step, total, trainer.folder.read_losses(trainer.step))
    rows: list[tuple[int, dict[str, float]]] = []
    shown = 0.0
    for state in trainer.run(stop):
        rows.append((state.step, state.losses))
        if state.preview is not None or state.step == total or monotonic() - shown > _PAUSE:
            yield Update(state.step, total, rows, state.preview)
            rows, shown = [], monotonic()
        make_way(stop)


def _trainer(order: Order) -> "Trainer":
    """Read the frames, and make a trainer for a new run or resume that in the folder."""
    from napari_darl.inference.loading import starting_networks
    from napari_darl.training.config import training_config
    from napari_darl.training.run_folder import RunFolder
    from napari_darl.training.trainer import Trainer

    saved = RunFolder(order.folder).read() if order.resume else None
    if saved is not None:
        changes = order.changes | {"steps": _steps(saved.config, saved.step, order.steps)}
    else:
        config = training_config(order.preset, c_darl=order.c_darl, steps=order.steps).updated(**order.changes)
    stack = order.angiograms()
    angiograms, backgrounds = stack.split(order.first_frames)
    stacks = (
        angiograms,
        order.backgrounds().frames if order.backgrounds else backgrounds,
        order.masks().frames if order.masks else None,
    )
    if saved is not None:
        return Trainer.resume(saved, *stacks, bits=stack.bits, device=order.device, **changes)
    start = starting_networks(order.start) if order.start else None
    return Trainer(config, order.folder, *stacks, bits=stack.bits, start=start, device=order.device)


def _steps(config: "TrainingConfig", done: int, asked: int | None) -> int:
    """Return the number of steps in all of a run that is resumed after `done` steps."""
    from napari_darl.training.config import training_config

    if done >= config.steps:
        return done + (asked or training_config(config.model.preset).steps)
    if asked is not None and asked <= done:
        raise InputError(f"The run has already done {done} steps. Enter more steps in all, or 0 for the preset's.")
    return asked or config.steps
