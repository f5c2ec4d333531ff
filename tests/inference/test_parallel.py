"""Work in threads: frames side by side for a GPU, and what comes next."""

import threading
from collections.abc import Iterator

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


def test_one_item_is_made_ahead_in_a_thread() -> None:
    made: list[int] = []
    threads: set[int] = set()

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            threads.add(threading.get_ident())
            yield number

    coming = parallel.ahead(items())
    assert next(coming) == 0
    assert made[:1] == [0]
    assert made in ([0], [0, 1])  # no more than one is waiting
    assert list(coming) == [1, 2, 3, 4]
    assert threads.isdisjoint({threading.get_ident()})


def test_an_error_ahead_comes_where_the_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    coming = parallel.ahead(items())
    assert next(coming) == 1
    with pytest.raises(OSError, match="gone"):
        next(coming)


def test_closing_ends_the_work_ahead() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    coming = parallel.ahead(items())
    next(coming)
    coming.close()
    assert closed.wait(10)
