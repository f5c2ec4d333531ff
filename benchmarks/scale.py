"""Measure how time and memory of segmentation grow with pixels, frames and workers.

    python benchmarks/scale.py [--sides 2500 5000 10000 20000] [--frames 250 500 1000 2000] [--workers 1 2]

Frames and movies are made of copies of the sample angiogram where they are read, and are never whole in memory; masks
are written to zarr on disk. Each measurement runs in its own process. Its memory is the peak of the process and its
children, without their memory before they begin. Times are fitted by time = a * size ** b; b = 1 is proportional
growth. Workers begin when they have imported what they need. For the last table, one of two workers is killed half-way,
and pixels that differ from those of an undisturbed run are counted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from napari_darl.evaluation.report import markdown_table


class Synthetic:
    """A frame (Y, X) or a movie (T, Y, X) of any size, made of copies of a frame with different shades."""

    def __init__(self, shape: tuple[int, ...], tile: Any) -> None:
        self.shape, self.dtype, self.tile = shape, tile.dtype, tile

    def __getitem__(self, index: tuple[Any, ...]) -> Any:
        *leading, rows, columns = index
        y, x = (np.arange(n)[part] for n, part in zip(self.shape[-2:], (rows, columns), strict=True))
        pixels = self.tile[np.ix_(y % len(self.tile), x % self.tile.shape[1])]
        if leading:
            return np.roll(pixels, 3 * leading[0], axis=0)
        copies = (y // len(self.tile))[:, None] * 7 + x // self.tile.shape[1]
        return (pixels * (0.8 + 0.2 * (copies % 5) / 4)).astype(self.dtype)


def one(shape: tuple[int, ...], workers: int, kill: bool, target: Path, threads: int) -> dict[str, float]:
    """Segment a synthetic image, in this process or by workers, and measure it."""
    import torch

    from napari_darl import SegmentOptions, Windows, write_zarr
    from napari_darl.samples import sample_angiogram

    torch.set_num_threads(threads)
    windows = Windows(Synthetic(shape, sample_angiogram()), options=SegmentOptions(resize=1, device="cpu"))
    with _cluster(workers) as cluster:
        client = cluster.get_client() if workers else None
        if client:
            client.run(_begin)
        peak = _PeakMemory()
        start = time.perf_counter()
        total, killed = len(windows.chunks()), not kill

        def kill_half_way(done: int, total: int) -> None:
            nonlocal killed
            if not killed and done * 2 >= total:
                next(iter(cluster.workers.values())).process.process._process.kill()
                killed = True

        write_zarr(windows, target, provenance={}, client=client, progress=kill_half_way)
        seconds = time.perf_counter() - start
        if client:
            client.close()
    return {"seconds": seconds, "megabytes": peak.stop(), "chunks": total}


def _begin() -> None:
    """Import in a worker what segmenting needs: a cluster's workers do it once, whatever they segment."""
    import zarr  # noqa: F401

    from napari_darl import segment
    from napari_darl.samples import sample_angiogram

    segment(sample_angiogram(), device="cpu")


def _cluster(workers: int) -> Any:
    if not workers:
        return nullcontext()
    from napari_darl.inference.cluster import local_cluster

    return local_cluster(workers)


class _PeakMemory:
    """Measures the memory of this process and its children ten times a second."""

    def __init__(self) -> None:
        import psutil

        self._process, self._end, self.peak = psutil.Process(), Event(), 0
        self._gone = psutil.Error
        self._before = self._held()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _held(self) -> int:
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except self._gone:
                continue
        return total

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            self.peak = max(self.peak, self._held())

    def stop(self) -> float:
        self._end.set()
        self._thread.join()
        return (self.peak - self._before) / 1e6


def apart(shape: tuple[int, ...], target: Path, threads: int, workers: int = 0, kill: bool = False) -> dict[str, float]:
    """Measure in a separate process."""
    request = json.dumps({"shape": shape, "workers": workers, "kill": kill, "target": str(target), "threads": threads})
    done = subprocess.run([sys.executable, __file__, "--one", request], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def growth(sizes: list[float], seconds: list[float]) -> float:
    """Fit the exponent."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def series(name: str, sizes: list[int], shape: Callable[[int], tuple[int, ...]], folder: Path, threads: int) -> str:
    rows, pixels, seconds = [], [], []
    for size in sizes:
        found = apart(shape(size), folder / f"{name}_{size}.zarr", threads)
        pixels.append(float(np.prod(shape(size))))
        seconds.append(found["seconds"])
        size_text, speed = " x ".join(map(str, shape(size))), pixels[-1] / 1e6 / found["seconds"]
        rows.append((size_text, str(int(found["chunks"])), found["seconds"], speed, found["megabytes"]))
        print(f"{name} {size}: {found}", file=sys.stderr, flush=True)
    table = markdown_table((name, "parts", "s", "megapixels/s", "peak MB"), rows)
    return f"{table}\n\nTime grows as size ** {growth(pixels, seconds):.2f}.\n" if len(sizes) > 1 else table + "\n"


def convolutions(count: int) -> float:
    """Return how many times as many convolutions a second `count` processes of one thread do as one process."""

    def seconds(processes: int) -> float:
        running = [subprocess.Popen([sys.executable, "-c", _CONVOLUTIONS], stdout=subprocess.PIPE, text=True)
                   for _ in range(processes)]  # fmt: skip
        return float(np.mean([float(process.communicate()[0]) for process in running]))

    rounds = [(seconds(1), seconds(count)) for _ in range(3)]
    return count * float(np.median([alone / beside for alone, beside in rounds]))


_CONVOLUTIONS = """
import time, torch
torch.set_num_threads(1)
layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last).requires_grad_(False)
features = torch.rand(1, 64, 256, 256).to(memory_format=torch.channels_last)
end = time.perf_counter() + 8
count = 0
while time.perf_counter() < end:
    layer(features)
    count += 1
print(8 / count)
"""


def workers(counts: list[int], side: int, folder: Path) -> str:
    """Measure workers with one thread each, one that is killed, and how much convolving alone gains."""
    import zarr

    rows, results = [], []
    for count, kill in [*((count, False) for count in counts), (counts[-1], True)]:
        target = folder / f"workers_{count}_{kill}.zarr"
        found = apart((side, side), target, 1, count, kill)
        results.append(zarr.open_array(target / "0", mode="r")[:])
        name = f"{count}, one killed half-way" if kill else str(count)
        rows.append((name, found["seconds"], rows[0][1] / found["seconds"] if rows else 1.0, found["megabytes"],
                     str(int((results[-1] != results[0]).sum()))))  # fmt: skip
        print(f"workers {name}: {found}", file=sys.stderr, flush=True)
    table = markdown_table(("workers", "s", "speed-up", "peak MB of all", "pixels that differ"), rows)
    possible, reached = convolutions(counts[-1]), rows[len(counts) - 1][2]
    share = f"{reached:.2f} of {possible:.2f}, {reached / possible:.2f} of it"
    return f"{table}\n\n{counts[-1]} processes that only convolve do {possible:.2f} times the work of one: {share}."


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="*", default=[2500, 5000, 10000, 20000], help="of a frame, px")
    parser.add_argument("--frames", type=int, nargs="*", default=[250, 500, 1000, 2000], help="of 512 x 512 px")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--workers-side", type=int, default=5000, help="side of the frame for the workers, px")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        request = json.loads(args.one)
        target, shape = Path(request.pop("target")), tuple(request.pop("shape"))
        print(json.dumps(one(shape, target=target, **request)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.sides:
            print(series("frame", args.sides, lambda side: (side, side), Path(folder), args.threads), flush=True)
        if args.frames:
            print(series("movie", args.frames, lambda n: (n, 512, 512), Path(folder), args.threads), flush=True)
        if args.workers:
            print(workers(args.workers, args.workers_side, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
