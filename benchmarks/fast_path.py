"""What a pixel costs: the networks as they were trained, path A as it is used, movies and large frames.

    python benchmarks/fast_path.py [--models default] [--threads 1 2] [--repeats 9] [--side 3712]

Calls alternate, so that other work on the machine disturbs all of them alike, and medians are compared. "Network" is
`Darl.forward`, as it segmented before it was folded; "folded" is what segments now, in float32 or, with the option
`precision="auto"`, in part in bfloat16. The share is that of a large convolution's rate (3 x 3, 128 channels).
A large frame is written as zarr, chunk by chunk; a movie and a single frame of 512 x 512 pixels go through
`segment_probability`. `--models` takes model files, too.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scale import Synthetic
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from napari_darl import Model, SegmentOptions, Windows, load_model, segment_probability, write_zarr
from napari_darl.darl.folded import FoldedPathA
from napari_darl.evaluation.report import markdown_table
from napari_darl.samples import sample_angiogram


def alternating(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each function, called in turn, after a first call of each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def networks(model: Model, threads: int, repeats: int) -> list[tuple[str, ...]]:
    """Compare the network, its folded forms and a large convolution."""
    torch.set_num_threads(threads)
    frame = torch.from_numpy(sample_angiogram().astype(np.float32))[None, None] / 127.5 - 1
    layer = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last).requires_grad_(False)
    features = torch.rand(1, 128, 256, 256).to(memory_format=torch.channels_last)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.network(frame)
    flop = float(counter.get_total_flops())
    forms: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "network": model.network,
        "folded": FoldedPathA(model.network),
        "folded, bfloat16": FoldedPathA(model.network, bfloat16=True),
    }
    with torch.inference_mode():
        masks = {name: form(frame) > 0.5 for name, form in forms.items()}
        calls: dict[str, Callable[[], object]] = {name: partial(form, frame) for name, form in forms.items()}
        seconds = alternating(calls | {"convolution": lambda: layer(features)}, repeats)
    rate = 2 * 9 * 128**2 * 256**2 / seconds["convolution"]
    rows = []
    for name, mask in masks.items():
        ratio, share = seconds[name] / seconds["network"], flop / seconds[name] / rate
        dice = float(2 * (mask & masks["network"]).sum() / (mask.sum() + masks["network"].sum()))
        texts = f"{1e3 * seconds[name]:.1f}", f"{ratio:.2f}", f"{share:.2f}", f"{dice:.4f}"
        rows.append((model.name, str(threads), name, *texts))
    return rows


def images(model: Model, threads: int, repeats: int, side: int) -> list[tuple[str, ...]]:
    """Compare a frame, a movie and a large frame, pixel by pixel."""
    torch.set_num_threads(threads)
    frame = sample_angiogram()
    movie = np.stack([np.roll(frame, 3 * shift, axis=0) for shift in range(16)])
    options = SegmentOptions(resize=1.0, device="cpu")

    def large() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_zarr(Windows(Synthetic((side, side), frame), model, options), Path(folder) / "mask.zarr")

    calls: dict[str, tuple[Callable[[], object], int]] = {
        "frame of 512 x 512": (lambda: segment_probability(frame, model, resize=1.0), frame.size),
        "movie of 16 frames": (lambda: segment_probability(movie, model, resize=1.0), movie.size),
        f"frame of {side} x {side}": (large, side**2),
    }
    seconds = alternating({name: call for name, (call, _) in calls.items()}, max(1, repeats // 3))
    nanoseconds = {name: 1e9 * seconds[name] / pixels for name, (_, pixels) in calls.items()}
    first = nanoseconds["frame of 512 x 512"]
    return [(name, str(threads), f"{value:.0f}", f"{value / first:.2f}") for name, value in nanoseconds.items()]


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["default"], help="names of models or paths of model files")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--side", type=int, default=3712, help="side of the large frame, px; 0 leaves it out")
    args = parser.parse_args()
    models = [load_model(name, "cpu") for name in args.models]
    rows = [row for model in models for threads in args.threads for row in networks(model, threads, args.repeats)]
    header = ("model", "threads", "path A", "ms a frame", "ratio", "share", "Dice")
    print(f"{markdown_table(header, rows)}\n", flush=True)
    if args.side:
        rows = [row for threads in args.threads for row in images(models[0], threads, args.repeats, args.side)]
        print(markdown_table(("image", "threads", "ns a pixel", "ratio"), rows), flush=True)


if __name__ == "__main__":
    main()
