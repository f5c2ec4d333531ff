"""Frames are prepared side by side while the network is on a GPU, and give the same."""

import threading

import numpy as np
import pytest
import torch

from napari_darl import Model, SegmentOptions, Windows
from napari_darl.inference import parallel
from napari_darl.samples import sample_angiogram


def test_threads_are_for_gpus_and_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    seen: set[int] = set()
    barrier = threading.Barrier(4, timeout=60)

    def double(number: int) -> int:
        seen.add(threading.get_ident())
        barrier.wait()
        return 2 * number

    assert parallel.each(double, range(4), torch.device("cuda")) == [0, 2, 4, 6]
    assert len(seen) == 4
    assert parallel.each(lambda _: threading.get_ident(), range(4), torch.device("cpu")) == [threading.get_ident()] * 4


def test_a_movie_gives_the_same_in_threads(untrained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    movie = np.stack([np.roll(sample_angiogram()[:64, :64], 8 * t, 1) for t in range(4)])
    windows = Windows(movie, untrained, SegmentOptions(resize=1))
    alone = windows.compute()
    monkeypatch.setattr(parallel, "threads", lambda device: 4)
    np.testing.assert_array_equal(windows.compute(), alone)
