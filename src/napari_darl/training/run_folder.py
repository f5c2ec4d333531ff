"""The folder of a training run.

`config.json`
    The `TrainingConfig`.
`checkpoint.safetensors`
    The complete state: networks, moving average, teacher, optimisers, image pools, step.
`model.safetensors`
    The moving average, which is the model to use.
`losses.csv`
    The losses of every step.
`run.lock`
    A lock of the operating system, held while the run is in progress and released when its process ends.

Checkpoint and model are replaced in one step each, so a crash leaves the previous file or the next one.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from torch import Tensor

from napari_darl.darl.checkpoint import load_tensors
from napari_darl.errors import CheckpointError, FileError
from napari_darl.io.atomic import replacing
from napari_darl.training.config import TrainingConfig


@dataclass(frozen=True)
class SavedRun:
    """A run at its last checkpoint.

    Attributes
    ----------
    folder
        Its folder.
    config
        Its configuration.
    step
        Steps done.
    """

    folder: "RunFolder"
    config: TrainingConfig
    step: int

    def load(self) -> tuple[dict[str, Tensor], object]:
        """Read the tensors of the checkpoint, and the fingerprints of the stacks, which former checkpoints lack.

        Raises
        ------
        FileError
            If the file is damaged, or another process has continued the run since.
        """
        tensors, contents = load_tensors(self.folder.checkpoint, "checkpoint")
        if contents.get("step") != self.step:
            raise self.folder.continued_elsewhere()
        return tensors, contents.get("stacks")

    def misfit(self) -> CheckpointError:
        """Return the error for tensors that don't fit the configuration."""
        return CheckpointError(f"{self.folder.checkpoint} doesn't fit the run's config.json. Restore the right one.")


class RunFolder:
    """The files of a training run.

    Parameters
    ----------
    path : Path
        The folder; created when the run begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.checkpoint = path / "checkpoint.safetensors"
        self.model = path / "model.safetensors"
        self.losses = path / "losses.csv"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder. It is released when the process ends, even if the process is killed.

        Raises
        ------
        FileError
            If another run holds the lock, or the folder can't be written to.
        """
        lock = FileLock(self.path / "run.lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise FileError(
                f"Another run is at work in {self.path}. Wait for it, stop it, or choose another folder."
            ) from None
        except OSError as error:
            raise FileError(f"{self.path} can't be written to ({error.strerror}). Choose another folder.") from error
        try:
            yield
        finally:
            lock.release()

    def saved_step(self) -> int | None:
        """Return the number of steps in the checkpoint, or none if there is no checkpoint.

        Raises
        ------
        FileError
            If the checkpoint is damaged, or missing although there is a model.
        """
        if self.checkpoint.exists():
            _, contents = load_tensors(self.checkpoint, "checkpoint", only_contents=True)
            step = contents.get("step")
            if not isinstance(step, int) or step < 0:
                raise CheckpointError(
                    f"{self.checkpoint} is damaged: it has no valid step. Restore it, or start a new run."
                )
            return step
        if self.model.exists():
            raise FileError(
                f"{self.path} holds a model but no checkpoint. Restore the checkpoint, or choose another folder."
            )
        return None

    def check_free(self) -> int | None:
        """Check that a new run would replace nothing but a run that has done no step.

        Returns
        -------
        int or None
            0 if there is such a run, else none.

        Raises
        ------
        FileError
            If the folder holds another run, or files of the same names that no run has written.
        """
        step = self.saved_step()
        if step:
            raise FileError(f"{self.path} already holds a run. Resume it, or choose another folder.")
        for file in (self.config, self.losses):
            if file.exists():
                try:
                    self.read_config()
                except FileError:
                    raise FileError(
                        f"{file} was not written by a training run, but would be replaced. Choose another folder."
                    ) from None
        return step

    def read(self) -> SavedRun:
        """Read config.json and the header of the checkpoint, to resume the run.

        Raises
        ------
        FileError
            If there is no run, it ended before its first checkpoint, or one of the files is damaged.
        """
        step = self.saved_step()
        config = self.read_config()
        if step is None:
            raise FileError(
                f"The run in {self.path} ended before its first checkpoint. Start it again, without resuming."
            )
        return SavedRun(self, config, step)

    def continued_elsewhere(self) -> FileError:
        """Return the error for a run that another process has continued in the meantime."""
        return FileError(f"Another process has continued the run in {self.path}. Resume it from there.")

    def forget_beginning(self) -> None:
        """Remove checkpoint and model of a run that has done no step."""
        self.model.unlink(missing_ok=True)
        self.checkpoint.unlink(missing_ok=True)

    def write_config(self, config: TrainingConfig) -> None:
        """Write config.json."""
        self._write(self.config, config.model_dump_json(indent=2) + "\n")

    def read_config(self) -> TrainingConfig:
        """Read config.json.

        Raises
        ------
        FileError
            If there is none, or it is damaged.
        """
        try:
            return TrainingConfig.model_validate(json.loads(self.config.read_text()))
        except FileNotFoundError:
            raise FileError(f"There is no run in {self.path}. Start one without resuming.") from None
        except (OSError, ValueError, RecursionError) as error:
            raise FileError(f"{self.config} is damaged. Restore it, or start a new run.") from error

    def forget_losses_after(self, step: int) -> None:
        """Remove the losses of later steps, which will be repeated because they are not in the checkpoint."""
        if not self.losses.exists():
            return
        rows = self.losses.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [row for row in rows[1:] if _step(row) <= step]
        # If there are no rows, the header may be damaged, too, so it is written anew.
        self._write(self.losses, "".join(row + "\n" for row in (rows[:1] + kept if kept else ())))

    def read_losses(self, step: int) -> list[tuple[int, dict[str, float]]]:
        """Return pairs of step and losses by name, up to a step; none if the file is missing or damaged."""
        try:
            with self.losses.open(newline="") as file:
                rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
            return [(int(row.pop("step")), row) for row in rows if row["step"] <= step]
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError, csv.Error):
            return []  # Past losses are only plotted, so the run continues without them.

    def append_losses(self, rows: list[dict[str, float]]) -> None:
        """Append rows to losses.csv.

        Parameters
        ----------
        rows : list of dict of str to float
            Values by column, `step` first.

        Raises
        ------
        FileError
            If they can't be written.
        """
        if not rows:
            return
        try:
            with self.losses.open("a", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerows(rows)
        except OSError as error:
            raise FileError(
                f"{self.losses} can't be written ({error.strerror}). Check the folder, its permissions and the disk."
            ) from error

    @staticmethod
    def _write(path: Path, text: str) -> None:
        with replacing(path) as file:
            file.write(text.encode())


def _step(row: str) -> float:
    """Return the first number of a row of losses; infinity if the row is damaged."""
    first = row.split(",")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) < 20 else float("inf")
