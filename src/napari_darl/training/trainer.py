"""The training loop.

napari, the command line and the tests all iterate over `Trainer.run`. A step is in `step.py`, what it changes in
`state.py`, the files in `run_folder.py`.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Self

from numpy.typing import NDArray

from napari_darl.darl.checkpoint import save_model, save_tensors
from napari_darl.darl.device import is_out_of_memory, resolve_device, working_precision
from napari_darl.darl.losses import Batch
from napari_darl.darl.model import Darl, Discriminators
from napari_darl.errors import DarlError, InputError
from napari_darl.inference.loading import Model
from napari_darl.inference.segment import segment_probability
from napari_darl.training.config import TrainingConfig, fine_tuned
from napari_darl.training.distillation import mean_probability
from napari_darl.training.fingerprint import fingerprints, warn_of_other_stacks
from napari_darl.training.run_folder import RunFolder, SavedRun
from napari_darl.training.sampler import Sampler, Stacks
from napari_darl.training.state import TrainingState, fits, with_new_names
from napari_darl.training.step import Progress, train_step


class Trainer:
    """Trains a DARL model on unpaired stacks, in a run folder from which training can be resumed.

    `Trainer(...)` begins a run and `Trainer.resume(...)` continues one; both write nothing before `run` is called.

    Parameters
    ----------
    config : TrainingConfig
        The run; see `napari_darl.training_config`.
    output : path
        The run folder. A run in it that has done no step is replaced.
    angiograms : sequence of numpy.ndarray
        Grey frames (H, W) of any sizes and real dtypes, vessels dark.
    backgrounds : sequence of numpy.ndarray, optional
        Frames before contrast. Without them, DARL removes the vessels from angiograms. C-DARL uses the angiograms
        themselves and takes no backgrounds.
    masks : sequence of numpy.ndarray, optional
        Pseudo-masks, vessel above half of the maximum. Without them, pseudo-masks are generated.
    bits : int, optional
        Bits that integer frames use, if fewer than their dtype has; 12, for example.
    start : tuple of Darl and Discriminators or None, optional
        Networks to fine-tune, at a tenth of the learning rates of `config`. If `config` has self-teaching, they are
        teachers from the first step.
    teachers : sequence of Model, optional
        The models whose soft labels are learnt, if `config` has a distillation. The run keeps copies of them.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`.

    Raises
    ------
    InputError
        If a stack is empty or holds an unusable frame, `start` has other networks than `config`, or the device is not
        available.
    FileError
        If `output` holds a run, or files that would be replaced.

    Examples
    --------
    >>> import tempfile
    >>> from napari_darl import Trainer, load_model, training_config
    >>> from napari_darl.samples import sample_angiogram
    >>> config = training_config("lite", steps=1).updated(batch=1)
    >>> frames = [sample_angiogram()]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for progress in Trainer(config, folder, frames, device="cpu").run():
    ...         print(progress.step, "of", progress.total)
    ...     for progress in Trainer.resume(folder, frames, steps=2, device="cpu").run():
    ...         print(progress.step, "of", progress.total)
    ...     model = load_model(folder)
    1 of 1
    2 of 2
    """

    _saved_step: int | None  # Step of the checkpoint that this trainer has last read or written.
    _is_new: bool  # Whether the run has no checkpoint of its own yet.

    def __init__(
        self,
        config: TrainingConfig,
        output: str | Path,
        angiograms: Sequence[NDArray[Any]],
        backgrounds: Sequence[NDArray[Any]] | None = None,
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        bits: int | None = None,
        start: tuple[Darl, Discriminators | None] | None = None,
        teachers: Sequence[Model] = (),
        device: str = "auto",
    ) -> None:
        if (config.draws.distillation is None) != (not teachers):
            raise InputError("A distillation needs teachers, and teachers need a distillation. Give both or neither.")
        config = config.updated(teachers=tuple(teacher.network.config for teacher in teachers))
        folder = RunFolder(Path(output))
        saved_step = folder.check_free()
        if start is not None:
            config = fine_tuned(config, start[0].config)
        self._set_up(config, folder, Stacks(angiograms, backgrounds, masks, bits), device)
        self._saved_step, self._is_new = saved_step, True
        if start is not None:
            self.state.start_from(*start)
            if config.self_teaching is not None and config.draws.teacher is not None:
                self.state.renew_teacher()
        self.state.learn_from([teacher.network for teacher in teachers])
        self._teach()

    @classmethod
    def resume(
        cls,
        run: str | Path | SavedRun,
        angiograms: Sequence[NDArray[Any]],
        backgrounds: Sequence[NDArray[Any]] | None = None,
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        bits: int | None = None,
        steps: int | None = None,
        preview_every: int | None = None,
        autosave: float | None = None,
        device: str = "auto",
    ) -> Self:
        """Continue a run from its last checkpoint, with the configuration that it has saved.

        On the same stacks and device, the result is the same to the bit as without the interruption.

        Parameters
        ----------
        run : path or SavedRun
            The run folder, or its contents as read by `RunFolder.read`.
        angiograms, backgrounds, masks, bits, device
            As for `Trainer`.
        steps, preview_every, autosave : number, optional
            New values of these fields of the `TrainingConfig`. `steps` counts from the beginning of the run.

        Raises
        ------
        InputError
            If a stack is empty or holds an unusable frame, the device is not available, or `steps` is less than the
            run has done.
        FileError
            If there is no run in the folder, or its files are damaged or don't fit each other.

        Warns
        -----
        DarlWarning
            If a stack isn't the one that the run was trained on so far.
        """
        if not isinstance(run, SavedRun):
            run = RunFolder(Path(run)).read()
        changes = {"steps": steps, "preview_every": preview_every, "autosave": autosave}
        config = run.config.updated(**{name: value for name, value in changes.items() if value is not None})
        if config.steps < run.step:
            raise InputError(f"The run has done {run.step} steps. Ask for at least as many in all.")
        saved, stacks = run.load()
        tensors = with_new_names(saved)
        if not fits(config, tensors):
            raise run.misfit()

        trainer = cls.__new__(cls)
        trainer._set_up(config, run.folder, Stacks(angiograms, backgrounds, masks, bits), device)
        trainer._saved_step, trainer._is_new = run.step, False
        warn_of_other_stacks(stacks, trainer._fingerprints)
        try:
            trainer.state.restore(tensors, run.step)
            trainer._teach()
        except (IndexError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise run.misfit() from error
        return trainer

    def _set_up(self, config: TrainingConfig, folder: RunFolder, stacks: Stacks, device: str) -> None:
        self.config = config
        self.folder = folder
        self.sampler = Sampler(config.draws, config.model, stacks, config.seed)
        self.state = TrainingState(config, resolve_device(device))
        self._precision = working_precision(self.state.device, config.precision)
        self._bits, self._fingerprints = stacks.bits, fingerprints(stacks)
        self._rows: list[dict[str, float]] = []  # Losses that are not in losses.csv yet.

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def model(self) -> Darl:
        """The model to use: the moving average of the weights."""
        return self.state.average.module  # type: ignore[return-value]

    def run(self, stop: Event | None = None) -> Iterator[Progress]:
        """Train until the last step or until `stop` is set, and save at intervals.

        The last state is saved, too, unless an error ends the run. Closing the iterator also stops the run.

        Parameters
        ----------
        stop : threading.Event, optional
            Ends the run after the current step.

        Yields
        ------
        Progress
            After every step.

        Raises
        ------
        FileError
            If another run is at work in the folder, or it can't be written to.
        DarlError
            If a loss is NaN or infinite, or memory runs out. The last checkpoint is kept.
        """
        with self.folder.locked():
            self._open_folder()
            try:
                yield from self._train(stop)
            except GeneratorExit:
                self.save()
                raise
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise DarlError(
                    f"Memory ran out in step {self.step + 1}. Resume on another device, or start a run with smaller "
                    "batches or crops. The last checkpoint is kept."
                ) from error
            self.save()

    def save(self) -> None:
        """Append the new losses, and replace checkpoint and model.

        Raises
        ------
        FileError
            If a file can't be written, for example because the disk is full. Previous files stay.
        """
        self.folder.append_losses(self._rows)
        self._rows.clear()
        self._save_checkpoint()
        save_model(
            self.folder.model,
            self.model,
            {"training": self.config.model_dump(mode="json"), "step": self.step},
            half=self.config.model.preset != "published",
        )

    def _save_checkpoint(self) -> None:
        config = self.config.model_dump(mode="json")
        contents = {"config": config, "step": self.step, "stacks": self._fingerprints}
        save_tensors(self.folder.checkpoint, self.state.tensors(), "checkpoint", contents)
        self._saved_step = self.step

    def _open_folder(self) -> None:
        """Check that no other process has used the folder, and write what the run needs before its first step."""
        if self.folder.saved_step() != self._saved_step:
            raise self.folder.continued_elsewhere()
        if self._is_new:
            self.folder.forget_beginning()
        self.folder.write_config(self.config)
        if self._is_new:
            # A run that is killed in its first steps must resume from the same weights.
            self._save_checkpoint()
            self._is_new = False
        self.folder.forget_losses_after(self.step)

    def _train(self, stop: Event | None) -> Iterator[Progress]:
        """Do the steps to come, and save every `autosave` seconds."""
        saved = time.monotonic()
        for batch, draw_next in self._batches():
            if stop is not None and stop.is_set():
                return
            yield self._advance(batch, draw_next)
            if time.monotonic() - saved > self.config.autosave:
                self.save()
                saved = time.monotonic()

    def _batches(self) -> Iterator[tuple[Batch, Callable[[], None]]]:
        """Yield the batches of all steps to come, and what starts drawing the next in a thread, during the step.

        If the next batch needs a teacher that this step will make, it is drawn after the step.
        """
        ahead: Future[Batch] | None = None

        def draw_next(step: int) -> None:
            nonlocal ahead
            if step < self.config.steps and not self._renews_teacher(step):
                ahead = pool.submit(self._draw, step)

        with ThreadPoolExecutor(1) as pool:
            for step in range(self.step, self.config.steps):
                if self._renews_teacher(step):
                    self.state.renew_teacher()
                    self._teach()
                batch = ahead.result() if ahead else self._draw(step)
                ahead = None
                yield batch, partial(draw_next, step + 1)

    def _draw(self, step: int) -> Batch:
        return self.sampler.draw(step, self.config.batch, self.config.more_angiograms)

    def _renews_teacher(self, step: int) -> bool:
        every = self.config.self_teaching
        return every is not None and step > 0 and step % every == 0 and self.config.draws.teacher is not None

    def _teach(self) -> None:
        """Let the sampler use the models that teach, if there are any."""
        networks = [*self.state.teachers] or [self.state.teacher]
        models = [Model(network, "teacher", "", {}) for network in networks if network is not None]
        distillation = self.config.draws.distillation
        if models and distillation is not None:
            self.sampler.teach(lambda frame: mean_probability(frame, models, distillation, self._bits))
        elif models:
            self.sampler.teach(lambda frame: segment_probability(frame, models[0], bright=False, bits=self._bits))

    def _advance(self, batch: Batch, draw_next: Callable[[], None]) -> Progress:
        losses, preview = train_step(self.state, batch, self.config, self._precision, draw_next)
        if not all(math.isfinite(loss) for loss in losses.values()):
            raise DarlError(f"Training diverged at step {self.step}: a loss is not finite. Lower the learning rate.")
        self._rows.append({"step": self.step, **losses})
        return Progress(self.step, self.config.steps, losses, preview)
