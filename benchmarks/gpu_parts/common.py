"""What the measurements share: options, tables and timing."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from napari_darl.evaluation.report import markdown_table

Cell = str | float | None


@dataclass(frozen=True)
class Table:
    """Rows of one measurement, and a sentence on how they were made."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)

    def markdown(self) -> str:
        """Lay the table out, below its title and note."""
        return f"## {self.title}\n\n{self.note}\n\n{markdown_table(self.header, self.rows)}\n"


@dataclass(frozen=True)
class Options:
    """How large and how long the measurements are.

    Attributes
    ----------
    device
        Where to measure.
    quick
        Small sizes, as the tests use them.
    deadline
        `time.monotonic()` at which training from scratch has to end.
    angiograms, frames, masks
        Folders of frames to train on, and of frames with expert masks to measure on; without them, phantoms.
    folder
        For files that the measurements write.
    """

    device: torch.device
    quick: bool
    deadline: float
    folder: Path
    angiograms: Path | None = None
    frames: Path | None = None
    masks: Path | None = None

    @property
    def cuda(self) -> bool:
        """Whether the device is an NVIDIA GPU."""
        return self.device.type == "cuda"


def median_seconds(function: Callable[[], object], device: torch.device, seconds: float = 1.0, most: int = 50) -> float:
    """Return the median time of a call, after two calls that aren't timed."""
    for _ in range(2):
        function()
    wait_for(device)
    times: list[float] = []
    while not times or (sum(times) < seconds and len(times) < most):
        start = time.perf_counter()
        function()
        wait_for(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Compute in `float32` by the standard, in `tf32` (a GPU's default for convolutions) or in `bfloat16` autocast."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = name != "float32"
    try:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def precisions(device: torch.device) -> tuple[str, ...]:
    """Return the names that `precision` takes and that differ on a device."""
    return ("float32", "tf32", "bfloat16") if device.type == "cuda" else ("float32", "bfloat16")


def write(tables: list[Table], machine: dict[str, str], folder: Path) -> None:
    """Write all tables measured so far as Markdown and JSON, replacing earlier files."""
    lines = [f"- {name}: {value}" for name, value in machine.items()]
    text = "\n".join(["# Measured by benchmarks/gpu.py", "", *lines, "", *(table.markdown() for table in tables)])
    (folder / "gpu.md").write_text(text, encoding="utf-8")
    found = {"machine": machine, "tables": [asdict(table) for table in tables]}
    (folder / "gpu.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
