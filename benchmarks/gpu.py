"""Measure everything that needs a GPU, in one command.

    python benchmarks/gpu.py --output measured [--minutes 10] [--angiograms arcade/ --frames images/ --masks masks/]

Parity with the CPU, the device's convolution rate and path A's share of it in float32, TF32 and bfloat16, frames a
second (one, a movie, 4,096 x 4,096), training steps a second of each preset beside a plain loop, running out of memory,
and `lite` from scratch against Sato's filter in the time that is left: on phantoms, or on frames with expert masks.
Writes gpu.md and gpu.json into the output folder after each measurement. A measurement that fails is told in the table,
and the next one begins. On a CPU it runs, too; `--quick` takes small sizes.
"""

import argparse
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from gpu_parts import memory, speed, training
from gpu_parts.common import Options, Table, write

from napari_darl.darl.device import describe_device, resolve_device
from napari_darl.errors import DarlError


def main() -> None:
    """Measure and write."""
    args = arguments()
    device = resolve_device(args.device)
    args.output.mkdir(parents=True, exist_ok=True)
    tables: list[Table] = []
    machine = {
        "device": describe_device(args.device),
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "Python": platform.python_version(),
    }
    deadline = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as folder:
        options = Options(device, args.quick, deadline, Path(folder), args.angiograms, args.frames, args.masks)
        for name, measure in measurements(options).items():
            if args.only and name not in args.only and not (name == "convolution" and "networks" in args.only):
                continue
            start = time.monotonic()
            try:
                tables.append(measure())
            except Exception as error:  # noqa: BLE001 - the other measurements are wanted all the same
                traceback.print_exc()
                tables.append(Table(name, "Failed.", ("error",), [(f"{type(error).__name__}: {error}",)]))
            print(f"{name}: {time.monotonic() - start:.1f} s\n\n{tables[-1].markdown()}", flush=True)
            write(tables, machine, args.output)


def measurements(options: Options) -> dict[str, Callable[[], Table]]:
    """Name the measurements, in their order."""
    rates: dict[str, float] = {}

    def convolution() -> Table:
        table, found = speed.convolution_rate(options)
        rates.update(found)
        return table

    return {
        "parity": lambda: speed.parity(options),
        "convolution": convolution,
        "networks": lambda: speed.networks(options, rates),
        "frames": lambda: speed.frames(options),
        "steps": lambda: training.steps(options),
        "memory": lambda: memory.out_of_memory(options),
        "scratch": lambda: training.from_scratch(options),
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for gpu.md and gpu.json")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=10, help="for all measurements")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--only", nargs="+", help="names of the measurements to make")
    parser.add_argument("--angiograms", type=Path, help="folder of frames to train on; without it, phantoms")
    parser.add_argument("--frames", type=Path, help="folder of frames that have expert masks")
    parser.add_argument("--masks", type=Path, help="folder of these masks, in the same order")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
