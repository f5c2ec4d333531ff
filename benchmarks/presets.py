"""What the presets cost: `lite` beside `published`, in one run.

    python benchmarks/presets.py [--size 512] [--repeats 5] [--threads 2]

Prints a Markdown table: GFLOP (2 a multiply-add) and CPU time to segment one frame, parameters, and the size of the
model file. The times are medians, taken in turn; the last column is the ratio of `published` to `lite`.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE, PUBLISHED
from napari_darl.darl.model import Darl


def seconds(model: Darl, frame: torch.Tensor) -> float:
    start = time.perf_counter()
    model(frame)
    return time.perf_counter() - start


def flops(model: Darl, frame: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        model(frame)
    return float(counter.get_total_flops())


def file_size(model: Darl, half: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(path, model, half=half)
        return path.stat().st_size


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the frame, px")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frame = torch.rand(1, 1, options.size, options.size) * 2 - 1
    models = {"published": Darl(PUBLISHED).eval(), "lite": Darl(LITE).eval()}

    rows = {name: [flops(model, frame) / 1e9] for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(options.repeats):
        for name, model in models.items():
            times[name].append(seconds(model, frame))
    for name, model in models.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        rows[name] += [statistics.median(times[name]), parameters / 1e6, file_size(model, name == "lite") / 1e6]

    print(f"One {options.size} x {options.size} frame, {options.threads} threads, torch {torch.__version__}\n")
    print("| | published | lite | published / lite |\n|---|---|---|---|")
    labels = ("GFLOP", "seconds on the CPU", "parameters, M", "file, MB")
    for label, published, lite in zip(labels, rows["published"], rows["lite"], strict=True):
        print(f"| {label} | {published:.3g} | {lite:.3g} | {published / lite:.1f} |")


if __name__ == "__main__":
    main()
