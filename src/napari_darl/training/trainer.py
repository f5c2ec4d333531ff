"""The one training loop: napari, the command line and the tests all iterate over `Trainer.run`."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_darl.darl.checkpoint import load_tensors, save_model, save_tensors
from napari_darl.darl.device import is_out_of_memory, resolve_device, working_precision
from napari_darl.darl.losses import Batch, Paths, discriminator_losses, generator_losses, run_paths
from napari_darl.darl.model import Critics, Darl
from napari_darl.errors import CheckpointError, DarlError, FileError, InputError
from napari_darl.inference.loading import Model
from napari_darl.inference.segment import segment_probability
from napari_darl.training.config import TrainingConfig
from napari_darl.training.run_folder import RunFolder
from napari_darl.training.sampler import Draw, Sampler
from napari_darl.training.state import TrainingState, fits

Frame = NDArray[np.float32]

_FINE_TUNING = 10  # by this, learning rates are lower: what the model knows is to be refined, not learnt anew


@dataclass(frozen=True)
class Preview:
    """One sample of the latest step, float32 (H, W) in [-1, 1]: what paths A and B and the cycle made of it."""

    angiogram: Frame
    mask: Frame
    background: Frame
    pseudo_mask: Frame
    fake_angiogram: Frame
    cycle_mask: Frame


@dataclass(frozen=True)
class Progress:
    """State of a run after a step: `step` of `total`, the unweighted losses, now and then a preview."""

    step: int
    total: int
    losses: dict[str, float]
    preview: Preview | None = None


class Trainer:
    """Trains a DARL model on unpaired stacks, in a run folder from which it can go on at any time.

    Parameters
    ----------
    config : TrainingConfig
        The run; `napari_darl.training.config.training_config` gives the presets. With `resume`, only its `steps`,
        `preview_every` and `autosave` count.
    output : path
        The run folder.
    angiograms : sequence of numpy.ndarray
        Grey frames (H, W), of any sizes and real dtypes, vessels dark.
    backgrounds : sequence of numpy.ndarray, optional
        Frames before contrast. Without them: angiograms with their vessels filled up (DARL), or the same angiogram
        (C-DARL, which takes no others).
    masks : sequence of numpy.ndarray, optional
        Pseudo-masks, vessel above half of the maximum. Without them: generated ones.
    bits : int, optional
        Bits that integer frames use where fewer than their dtype has, say 12.
    start : tuple of Darl and Critics or None, optional
        Networks to begin with, for fine-tuning, at a tenth of the configuration's learning rates. They teach
        themselves from the first step on, if the configuration has self-teaching at all.
    resume : bool
        Go on with the run in `output`.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`.

    Raises
    ------
    InputError
        If a stack is empty or holds what can't be used, `start` is another network, the device isn't there, or a run
        to resume has done more steps than it is to have.
    FileError
        If `output` holds a run already and `resume` wasn't asked for, or holds none and it was. A run that has done no
        step is none yet, but for resuming.
    """

    def __init__(
        self,
        config: TrainingConfig,
        output: str | Path,
        angiograms: Sequence[NDArray[Any]],
        backgrounds: Sequence[NDArray[Any]] | None = None,
        masks: Sequence[NDArray[Any]] | None = None,
        *,
        bits: int | None = None,
        start: tuple[Darl, Critics | None] | None = None,
        resume: bool = False,
        device: str = "auto",
    ) -> None:
        self.folder = RunFolder(Path(output))
        self._saved = self.folder.saved_step()
        if resume:
            kept = {name: getattr(config, name) for name in ("steps", "preview_every", "autosave")}
            config = self.folder.read_config().updated(**kept)
            if self._saved is None:
                raise FileError(f"The run in {output} ended before it began: start it again, without resuming.")
            if config.steps < self._saved:
                raise InputError(f"The run has done {self._saved} steps: ask for more in all.")
        else:
            self.folder.check_free()
            if start is not None:
                config = _fine_tuning(config, start[0])
        same = config.model.variant == "c-darl"
        if same and backgrounds is not None:
            raise InputError("C-DARL takes no backgrounds: leave them out, or train the other variant.")
        self.config = config
        self.sampler = Sampler(
            config.draws,
            config.model.normalisation,
            config.model.side,
            angiograms,
            backgrounds,
            masks,
            bits=bits,
            same=same,
            seed=config.seed,
        )
        saved = self._load() if resume else None
        self.state = TrainingState(config, resolve_device(device))
        self.precision = working_precision(self.state.device, config.precision)
        self._bits = bits
        self._new = not resume
        self._rows: list[dict[str, float]] = []
        if saved is not None:
            self._restore(saved)
        elif start is not None:
            self.state.start_from(*start)
            if config.self_teaching is not None and config.draws.teacher is not None:
                self.state.renew_teacher()  # it knows more than a filter from the first step on
                self._teach()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def model(self) -> Darl:
        """The model to use: the running average of the weights."""
        return self.state.average.module  # type: ignore[return-value]

    def run(self, stop: Event | None = None) -> Iterator[Progress]:
        """Train, saving as it goes, until the last step or until `stop` is set.

        However it ends but for a crash, the state after the last step is saved. Closing the iterator stops, too.

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
            If the losses are no longer finite; the last checkpoint stays.
        """
        with self.folder.locked():
            if self.folder.saved_step() != self._saved:
                raise FileError(f"Another run has been at work in {self.folder.path} since: start again from there.")
            if self._new:
                self.folder.forget_beginning()
            self.folder.write_config(self.config)
            if self._new:  # lest a run that is killed be resumed with other weights than it began with
                self._save_checkpoint()
                self._new = False
            self.folder.forget_losses_after(self.state.step)
            saved = time.monotonic()
            try:
                for draw in self._draws():
                    if stop is not None and stop.is_set():
                        break
                    yield self._advance(draw)
                    if time.monotonic() - saved > self.config.autosave:
                        self.save()
                        saved = time.monotonic()
            except GeneratorExit:  # the caller has enough
                self.save()
                raise
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise DarlError(
                    f"Memory ran out in step {self.step + 1}: resume on another device, or start a run of smaller "
                    "batches or crops; the last checkpoint stays."
                ) from error
            self.save()

    def save(self) -> None:
        """Append the losses so far, and replace checkpoint and model, each in one step.

        Raises
        ------
        FileError
            If that fails, say for a full disk; earlier files stay.
        """
        self.folder.append_losses(self._rows)
        self._rows.clear()
        self._save_checkpoint()
        save_model(
            self.folder.model,
            self.model,
            {"training": self.config.model_dump(mode="json"), "step": self.state.step},
            half=self.config.model.preset != "published",
        )

    def _save_checkpoint(self) -> None:
        save_tensors(
            self.folder.checkpoint,
            self.state.tensors(),
            "checkpoint",
            {"config": self.config.model_dump(mode="json"), "step": self.state.step},
        )
        self._saved = self.state.step

    def _load(self) -> dict[str, Tensor]:
        tensors, _ = load_tensors(self.folder.checkpoint, "checkpoint")
        if not fits(self.config, tensors):
            raise self._misfit()
        return tensors

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        try:
            self.state.restore(tensors, self._saved or 0)
            self._teach()
        except (IndexError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise self._misfit() from error

    def _misfit(self) -> CheckpointError:
        return CheckpointError(f"{self.folder.checkpoint} doesn't fit the run's config.json: put the right one back.")

    def _draws(self) -> Iterator[Draw]:
        """Batches from the next step to the last, each drawn in the background while the one before is at work."""
        with ThreadPoolExecutor(1) as pool:
            ahead: Future[Draw] | None = None
            for step in range(self.step, self.config.steps):
                if self._renews(step):
                    self.state.renew_teacher()
                    self._teach()
                draw = ahead.result() if ahead else self.sampler.draw(step, self.config.batch)
                # Not before the teacher of the next step is there.
                ahead = None if self._renews(step + 1) else pool.submit(self.sampler.draw, step + 1, self.config.batch)
                yield draw

    def _renews(self, step: int) -> bool:
        every = self.config.self_teaching
        return every is not None and step > 0 and step % every == 0 and self.config.draws.teacher is not None

    def _teach(self) -> None:
        """Hand the teacher to the sampler."""
        if self.state.teacher is not None:
            teacher = Model(self.state.teacher, "teacher", "", {})
            self.sampler.teach(lambda frame: segment_probability(frame, teacher, bits=self._bits))

    def _advance(self, draw: Draw) -> Progress:
        step, config, state = self.state.step, self.config, self.state
        rng = np.random.default_rng((config.seed, step, 0))
        batch = self._batch(draw, rng)
        paths, generator = self._train_generator(batch)
        critics = self._train_critics(batch, paths, rng)
        state.average.update_parameters(state.model)
        state.step += 1
        losses = {name: float(loss.detach()) for name, loss in (generator | critics).items()}
        if not all(math.isfinite(loss) for loss in losses.values()):
            raise DarlError(f"Training diverged at step {state.step}: start again with a lower learning rate.")
        self._rows.append({"step": state.step, **losses})
        preview = _preview(batch, paths) if step % config.preview_every == 0 else None
        return Progress(state.step, config.steps, losses, preview)

    def _batch(self, draw: Draw, rng: np.random.Generator) -> Batch:
        """To tensors, with noise and timesteps; for `published`, one random phase of each frame."""
        model, device = self.config.model, self.state.device
        rows, columns = rng.integers(2, size=2) if model.phases == "batch" else (0, 0)
        stride = 2 if model.phases == "batch" else 1

        def tensor(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        def phase(frames: Frame) -> Tensor:
            return tensor(frames[:, None, rows::stride, columns::stride])

        angiogram = phase(draw.angiogram)
        noise = rng.standard_normal(angiogram.shape, np.float32)
        t_a = (model.path_a_steps * rng.random(len(noise)) ** self.config.faint_noise).astype(np.int64)
        t_b = rng.integers(model.schedule.steps, size=len(noise))
        return Batch(
            angiogram,
            phase(draw.background),
            phase(draw.mask),
            phase(draw.rendered),
            phase(draw.labels),
            draw.free,
            tensor(noise),
            tensor(t_a),
            tensor(t_b),
        )

    def _train_generator(self, batch: Batch) -> tuple[Paths, dict[str, Tensor]]:
        state = self.state
        state.critics.requires_grad_(False)
        if state.critics.contrast is not None:
            state.critics.contrast.requires_grad_(True)
        with self.precision():
            paths = run_paths(state.model, batch)
            losses = generator_losses(paths, batch, state.critics, self.config.losses)
        _descend(state.optimisers["generator"], losses["total"], self.config.clip)
        return paths, losses

    def _train_critics(self, batch: Batch, paths: Paths, rng: np.random.Generator) -> dict[str, Tensor]:
        state = self.state
        state.critics.requires_grad_(True)
        with self.precision():
            losses = discriminator_losses(
                batch,
                state.pools["angiogram"].query(paths.b.image, rng),
                state.pools["mask"].query(paths.a.image, rng),
                state.critics,
            )
        _descend(state.optimisers["critics"], torch.stack(list(losses.values())).sum(), self.config.clip)
        return losses


def _fine_tuning(config: TrainingConfig, start: Darl) -> TrainingConfig:
    """Take over the model of `start`, if its networks are those that the configuration asks for."""
    wanted, given = config.model, start.config
    if (wanted.phases, wanted.denoiser, wanted.generator) != (given.phases, given.denoiser, given.generator):
        raise InputError(f"The model to start from is of the preset {given.preset}: train with that preset.")
    # Crops are drawn at the pixel size of the recipe, which then is the model's.
    recipe = {"variant": wanted.variant, "side": wanted.side, "preset": wanted.preset}
    slower = {name: getattr(config, name) / _FINE_TUNING for name in ("learning_rate", "critics_learning_rate")}
    return config.updated(model=given.updated(**recipe), **slower)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor, clip: float | None) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], clip)
    optimiser.step()


def _preview(batch: Batch, paths: Paths) -> Preview:
    shown = (batch.angiogram, paths.a.image, batch.background, batch.mask, paths.b.image, paths.cycle.image)
    return Preview(*(image[0, 0].detach().float().cpu().numpy() for image in shown))
