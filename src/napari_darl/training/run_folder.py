"""A run is a folder: config.json, checkpoint, model, losses.csv, and a lock while a run is at work there."""

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
    """A run as it was last saved: its folder, its configuration and the steps done."""

    folder: "RunFolder"
    config: TrainingConfig
    step: int

    def load(self) -> dict[str, Tensor]:
        """Read the tensors of the checkpoint.

        Raises
        ------
        FileError
            If the file is damaged, or another process has continued the run since.
        """
        tensors, contents = load_tensors(self.folder.checkpoint, "checkpoint")
        if contents.get("step") != self.step:
            raise self.folder.moved_on()
        return tensors

    def misfit(self) -> CheckpointError:
        """Return the error to raise if the tensors are those of another configuration."""
        return CheckpointError(f"{self.folder.checkpoint} doesn't fit the run's config.json: put the right one back.")


class RunFolder:
    """Files of a training run.

    Parameters
    ----------
    path : Path
        The folder; made when the run begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.checkpoint = path / "checkpoint.safetensors"
        self.model = path / "model.safetensors"
        self.losses = path / "losses.csv"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out; the lock goes with the process, even if it is killed.

        Raises
        ------
        FileError
            If another run is at work in the folder, or it can't be written to.
        """
        lock = FileLock(self.path / "run.lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise FileError(
                f"Another run is at work in {self.path}: wait for it, stop it, or choose another folder."
            ) from None
        except OSError as error:
            raise FileError(f"{self.path} can't be written to ({error.strerror}): choose another folder.") from error
        try:
            yield
        finally:
            lock.release()

    def saved_step(self) -> int | None:
        """Step of the checkpoint, or none if there is none.

        Raises
        ------
        FileError
            If it is damaged, or missing where a model was saved beside it.
        """
        if self.checkpoint.exists():
            _, contents = load_tensors(self.checkpoint, "checkpoint", only_contents=True)
            step = contents.get("step")
            if not isinstance(step, int) or step < 0:
                raise CheckpointError(f"{self.checkpoint} doesn't tell its step, and is damaged: put it back.")
            return step
        if self.model.exists():
            raise FileError(f"{self.path} holds a model but no checkpoint: put it back or choose another folder.")
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
            raise FileError(f"{self.path} holds a run already: resume it or choose another folder.")
        for file in (self.config, self.losses):
            if file.exists():
                try:
                    self.read_config()
                except FileError:
                    raise FileError(f"{file} is no run's, and would be replaced: choose another folder.") from None
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
            raise FileError(f"The run in {self.path} ended before it began: start it again, without resuming.")
        return SavedRun(self, config, step)

    def moved_on(self) -> FileError:
        """Return the error to raise if another process has continued the run."""
        return FileError(f"Another run has been at work in {self.path} since: start again from there.")

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
            raise FileError(f"There is no run in {self.path}: start one without resuming.") from None
        except (OSError, ValueError, RecursionError) as error:
            raise FileError(f"{self.config} is damaged: put it back or start a new run.") from error

    def forget_losses_after(self, step: int) -> None:
        """Drop the rows of steps that the checkpoint doesn't know, which will be done again."""
        if not self.losses.exists():
            return
        rows = self.losses.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [row for row in rows[1:] if _step(row) <= step]
        # Without a row, the names of the columns may have been cut short.
        self._write(self.losses, "".join(row + "\n" for row in (rows[:1] + kept if kept else ())))

    def read_losses(self, step: int) -> list[tuple[int, dict[str, float]]]:
        """Losses up to a step, as pairs of step and losses by name; empty where there are none."""
        try:
            with self.losses.open(newline="") as file:
                rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
            return [(int(row.pop("step")), row) for row in rows if row["step"] <= step]
        # A picture of the past is no reason to fail.
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError, csv.Error):
            return []

    def append_losses(self, rows: list[dict[str, float]]) -> None:
        """Append rows of one column a loss, the step first.

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
                f"{self.losses} can't be written ({error.strerror}): check the folder, its rights and the disk."
            ) from error

    @staticmethod
    def _write(path: Path, text: str) -> None:
        with replacing(path) as file:
            file.write(text.encode())


def _step(row: str) -> float:
    """First number of a row of losses; infinite where the row is damaged."""
    first = row.split(",")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) < 20 else float("inf")
