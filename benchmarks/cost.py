"""Measure the cost of segmenting a frame with the presets and Sato's filter, each in its own process, alternating.

    python benchmarks/cost.py [--size 512] [--repeats 5] [--threads 2]

Prints two Markdown tables. The first has GFLOP (2 per multiply-add), the median time per frame for single frames and
a movie of 16, the peak memory without that of the imports, and the last three relative to Sato's filter at the best
scales for DCA1. The second has GFLOP/s of the networks and of a large convolution, in the same process and dtype.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

METHODS = ("sato", "lite", "published")
MOVIE = 16


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """Time a function, after a first call."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def peak_memory() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def measure_sato(frames: np.ndarray, repeats: int) -> dict[str, float]:
    """Measure Sato's filter as the accuracy benchmark applies it."""
    from baselines import vesselness

    before = peak_memory()
    one = median_seconds(lambda: vesselness("sato", frames[0]), repeats)
    return {"one": one, "movie": one, "memory": peak_memory() - before}


def measure_model(preset: str, frames: np.ndarray, repeats: int, threads: int) -> dict[str, float]:
    """Measure the networks of a preset as users run them; random weights take the same time."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from napari_darl import segment_probability
    from napari_darl.darl.config import PRESETS
    from napari_darl.darl.model import Darl
    from napari_darl.inference.loading import Model

    torch.set_num_threads(threads)
    side = frames.shape[-1]
    network = Darl(PRESETS[preset]).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    model = Model(network, preset, "", {})
    before = peak_memory()
    one = median_seconds(lambda: segment_probability(frames[0], model, resize=1), repeats)
    result = {"one": one, "memory": peak_memory() - before}
    many = 1 if preset == "published" else MOVIE  # the published networks take half a minute for a few frames
    movie = median_seconds(lambda: segment_probability(frames[:many], model, resize=1), max(1, repeats // 2))
    result |= {"movie": movie / many, "parameters": sum(p.numel() for p in network.parameters()) / 1e6}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, side, side))
    result["flop"] = float(counter.get_total_flops())
    with torch.inference_mode():
        frame = torch.rand(1, 1, side, side)
        result["network"] = median_seconds(lambda: network(frame), repeats)
        conv = torch.nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
        features = torch.rand(1, 128, 256, 256).to(memory_format=torch.channels_last)
        result["convolution"] = 2 * 9 * 128**2 * 256**2 / median_seconds(lambda: conv(features), repeats)
    return result


def main() -> None:
    """Measure each method in its own process, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the frame, px")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of the networks; the filter uses one")
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.method:
        frames = np.random.default_rng(0).random((MOVIE, options.size, options.size), np.float32)
        if options.method == "sato":
            print(json.dumps(measure_sato(frames, options.repeats)))
        else:
            print(json.dumps(measure_model(options.method, frames, options.repeats, options.threads)))
        return
    found = {}
    for method in METHODS:
        command = [sys.executable, *sys.argv, "--method", method]
        found[method] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    sato = found["sato"]
    print(f"Frames of {options.size} x {options.size}, {options.threads} threads for the networks\n")
    print("| | GFLOP | parameters, M | s/frame | x sato | s/frame in a movie | x sato | peak MB | x sato |")
    print("|---|---|---|---|---|---|---|---|---|")
    for method, its in found.items():
        size = f"{its['flop'] / 1e9:.3g} | {its['parameters']:.3g}" if "flop" in its else "- | -"
        ratios = " | ".join(f"{its[k]:.3g} | {its[k] / sato[k]:.2f}" for k in ("one", "movie", "memory"))
        print(f"| {method} | {size} | {ratios} |")
    print("\n| | GFLOP/s of the network | of a large convolution | ratio |\n|---|---|---|---|")
    for method in METHODS[1:]:
        speed, peak = found[method]["flop"] / found[method]["network"], found[method]["convolution"]
        print(f"| {method} | {speed / 1e9:.0f} | {peak / 1e9:.0f} | {speed / peak:.2f} |")


if __name__ == "__main__":
    main()
