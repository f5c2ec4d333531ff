"""Results in zarr: interrupted, killed, resumed, and never mixed with those of other settings."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Timer, current_thread
from typing import Any

import numpy as np
import pytest
import zarr

from napari_darl import DarlError, FileError, InputError, SegmentOptions, Windows, write_zarr
from napari_darl.inference import zarr_output
from napari_darl.io.lazy import open_lazily
from napari_darl.samples import sample_angiogram

MADE = {"model": "default"}
TILED = SegmentOptions(resize=1, tile=128)


class Stopped(Exception):  # noqa: N818 - no error
    """The work was stopped by its progress."""


class Progress(list[int]):
    """Collects how many chunks are done, and stops the work once `enough` are."""

    def __init__(self, enough: int | None = None) -> None:
        self.enough = enough

    def __call__(self, done: int, total: int) -> None:
        self.append(done)
        if done == self.enough:
            raise Stopped


def write(windows: Windows, mask: Path, **options: Any) -> list[int]:
    """Write a mask; return how many chunks were done each time."""
    progress = Progress()
    write_zarr(windows, mask, **{"provenance": MADE, "progress": progress} | options)
    return progress


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    """A zarr image of 12 chunks."""
    frame = np.tile(sample_angiogram(), (1, 2))[:260, :390]
    array = zarr.create_array(tmp_path / "in.zarr", shape=frame.shape, chunks=(128, 128), dtype=frame.dtype)
    array[:] = frame
    return Windows(open_lazily(tmp_path / "in.zarr"), options=TILED)


def read(path: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(path / "0", mode="r")[:])


def whole(windows: Windows) -> np.ndarray:
    return windows.probability((), slice(0, 260), slice(0, 390))


def test_a_result_is_written_whole(tmp_path: Path, windows: Windows) -> None:
    mask, probability = tmp_path / "out" / "mask.zarr", tmp_path / "out" / "probability.zarr"
    options = {"probability": probability, "threshold": 0.4}
    total = len(windows.chunks())
    assert write(windows, mask, **options) == list(range(total + 1))
    np.testing.assert_array_equal(read(probability), whole(windows))
    np.testing.assert_array_equal(read(mask), read(probability) > 0.4)
    attributes = zarr.open_group(mask, mode="r").attrs["napari-darl"]
    assert attributes == MADE | {"threshold": 0.4, "probability": True, "fingerprint": windows.fingerprint()}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mask.zarr", "probability.zarr"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert write(windows, mask, **options) == [total]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    with pytest.raises(FileError, match=r"mask\.zarr exists already"):
        write(windows, mask, **options, provenance={"model": "fundus"})
    (mask / ".darl-done").write_text("".join(f"{number}\n" for number in range(total)))  # killed at the very end
    assert write(windows, mask, **options) == [total]
    assert write(windows, mask, **options, overwrite=True)[0] == 0


def test_an_interrupted_run_resumes_and_computes_nothing_twice(
    tmp_path: Path, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = tmp_path / "mask.zarr"
    with pytest.raises(Stopped):
        write(windows, mask, progress=Progress(enough=3))
    with pytest.raises(FileError, match="unfinished result"):
        write(windows, mask, provenance={"model": "fundus"})
    frame = np.asarray(windows.image.data[:])
    for image, model, options in (
        (frame // 2, None, {}),
        (frame, "fundus", {}),
        (frame, None, {"bright": True}),
        (frame, None, {"resize": 1.1}),
        (frame, None, {"bits": 7}),
    ):
        with pytest.raises(FileError, match="unfinished result of another image"):
            write(Windows(image, model, TILED.updated(**options)), mask)
    with (mask / ".darl-done").open("a") as log:
        log.write("1")  # cut short: it was to be 11
    made = []
    write_chunk = zarr_output._Output.write
    monkeypatch.setattr(zarr_output._Output, "write", lambda *args: (made.append(args[2]), write_chunk(*args))[1])
    assert write(windows, mask)[0] == 3
    assert made == windows.chunks()[3:]
    np.testing.assert_array_equal(read(mask), whole(windows) > 0.5)


def test_two_runs_never_write_the_same_result(tmp_path: Path, windows: Windows) -> None:
    refused = []

    def intrude(done: int, total: int) -> None:
        if done == 1:
            with pytest.raises(FileError, match=r"Another process is writing .*mask\.zarr"):
                write(windows, tmp_path / "mask.zarr")
            refused.append(done)
            raise Stopped

    with pytest.raises(Stopped):
        write(windows, tmp_path / "mask.zarr", progress=intrude)
    assert refused == [1]


def test_other_things_in_its_place_are_left_alone(tmp_path: Path, windows: Windows) -> None:
    (tmp_path / "mask.zarr").mkdir()
    (tmp_path / "mask.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match=r"mask\.zarr exists already"):
        write(windows, tmp_path / "mask.zarr")
    assert (tmp_path / "mask.zarr" / "notes.txt").read_text() == "mine"


def test_bad_thresholds_are_refused_before_any_work(tmp_path: Path, windows: Windows) -> None:
    for threshold in (0, 1, float("nan")):
        with pytest.raises(InputError, match="threshold"):
            write(windows, tmp_path / "mask.zarr", threshold=threshold)
    assert not (tmp_path / "mask.zarr").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_run_resumes(tmp_path: Path, windows: Windows) -> None:
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from napari_darl import SegmentOptions, Windows, write_zarr
        from napari_darl.io.lazy import open_lazily
        windows = Windows(open_lazily(Path({str(tmp_path / "in.zarr")!r})), options=SegmentOptions(resize=1, tile=128))
        write_zarr(
            windows,
            {str(tmp_path / "mask.zarr")!r},
            provenance={MADE!r},
            progress=lambda done, total: print(done, flush=True),
        )
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "2":
            assert process.poll() is None
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert write(windows, tmp_path / "mask.zarr")[0] >= 2
    np.testing.assert_array_equal(read(tmp_path / "mask.zarr"), whole(windows) > 0.5)


def test_a_cluster_gives_the_same_and_outlives_its_only_worker(tmp_path: Path, windows: Windows) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:

        def kill(done: int, total: int) -> None:
            if done == 1:
                next(iter(cluster.workers.values())).process.process._process.kill()

        write_zarr(windows, tmp_path / "mask.zarr", client=client, progress=kill)
    np.testing.assert_array_equal(read(tmp_path / "mask.zarr"), whole(windows) > 0.5)


def test_a_cluster_whose_workers_come_late_and_one_that_goes(tmp_path: Path, windows: Windows) -> None:
    distributed = pytest.importorskip("distributed")
    mask = tmp_path / "mask.zarr"
    cluster = distributed.LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        timer = Timer(0.5, cluster.scale, [2])

        def close(done: int, total: int) -> None:
            if done == 0:
                timer.start()
            if done == 1:
                cluster.scale(0)
                cluster.close()

        with pytest.raises(DarlError, match="The cluster failed"):
            write(windows, mask, client=client, progress=close)
    assert write(windows, mask)[0] >= 1
    np.testing.assert_array_equal(read(mask), whole(windows) > 0.5)


def test_a_cluster_fills_the_coarser_levels_and_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    # No network: only levels matter here, and workers are threads of this process.
    monkeypatch.setattr(Windows, "compute_chunk", lambda self, chunk, _: np.float32(frame[chunk.slices] / 255))
    frame = np.tile(sample_angiogram(), (2, 3))[:700, :1100]
    windows, fillers = Windows(frame, options=TILED), []
    fill = zarr_output.coarsen
    monkeypatch.setattr(zarr_output, "coarsen", lambda *block: (fillers.append(current_thread().name), fill(*block)))
    write(windows, tmp_path / "here.zarr", probability=tmp_path / "here_probability.zarr")
    here = len(fillers)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    paths = {"mask": tmp_path / "mask.zarr", "probability": tmp_path / "probability.zarr"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        with pytest.raises(Stopped):
            write(windows, **paths, client=client, progress=Progress(enough=30))
        assert write(windows, **paths, client=client)[0] >= 30
    assert here
    assert {name.split("-")[1] for name in fillers[here:]} == {"Dask"}
    for name, path in zip(("here.zarr", "here_probability.zarr"), paths.values(), strict=True):
        one, two = (zarr.open_group(place, mode="r") for place in (tmp_path / name, path))
        assert sorted(one) == sorted(two) == ["0", "1", "2"]
        for level in one:
            np.testing.assert_array_equal(one[level][:], two[level][:])
            assert one[level][:].any()
        assert not (path / ".darl-done").exists()
