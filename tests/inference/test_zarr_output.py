"""Results in zarr: interrupted, killed, gone on with, and never mixed with those of other settings."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import zarr

from napari_darl.errors import DarlError, FileError
from napari_darl.inference.windows import Windows
from napari_darl.inference.zarr_output import ZarrOutput
from napari_darl.io.lazy import open_lazily
from napari_darl.samples import sample_angiogram

SETTINGS = {"model": "default"}


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    """A zarr image of 18 chunks."""
    frame = np.tile(sample_angiogram(), (1, 2))[:380, :700]
    array = zarr.create_array(tmp_path / "in.zarr", shape=frame.shape, chunks=(128, 128), dtype=frame.dtype)
    array[:] = frame
    return Windows(open_lazily(tmp_path / "in.zarr").data, resize=1.0, tile=128)


def read(path: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(path, mode="r")[:])


def test_a_result_is_written_whole(tmp_path: Path, windows: Windows) -> None:
    output = ZarrOutput(tmp_path / "out" / "mask.zarr", tmp_path / "out" / "probability.zarr", 0.4)
    counts = list(output.write(windows, SETTINGS))
    total = len(windows.chunks())
    assert counts == list(range(total + 1))
    probability = read(tmp_path / "out" / "probability.zarr")
    np.testing.assert_array_equal(probability, windows.probability((), slice(0, 380), slice(0, 700)))
    np.testing.assert_array_equal(read(output.mask), probability > 0.4)
    told = zarr.open_array(output.mask, mode="r").attrs["napari-darl"]
    assert told == SETTINGS | {"threshold": 0.4, "probability": True, "fingerprint": windows.fingerprint()}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mask.zarr", "probability.zarr"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert list(output.write(windows, SETTINGS)) == [total]  # left as it is
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    with pytest.raises(FileError, match="is there already"):
        next(output.write(windows, {"model": "fundus"}))
    (output.mask / ".darl-done").write_text("".join(f"{number}\n" for number in range(total)))  # killed at the very end
    assert list(output.write(windows, SETTINGS)) == [total]
    assert next(output.write(windows, SETTINGS, overwrite=True)) == 0


def test_an_interrupted_run_goes_on_and_does_nothing_twice(
    tmp_path: Path, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = ZarrOutput(tmp_path / "mask.zarr")
    run = output.write(windows, SETTINGS)
    assert [next(run) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(FileError, match="Another run is at work"):
        next(output.write(windows, SETTINGS))
    run.close()
    with pytest.raises(FileError, match="of other settings"):
        next(output.write(windows, {"model": "fundus"}))
    frame = np.asarray(windows.image[:])
    for image, options in (
        (frame // 2, {}),
        (frame, {"model": "fundus"}),
        (frame, {"bright": True}),
        (frame, {"resize": 1.1}),
        (frame, {"bits": 7}),
    ):
        other = Windows(image, **({"resize": 1.0, "tile": 128} | options))
        with pytest.raises(FileError, match="unfinished result of another image"):
            next(output.write(other, SETTINGS))
    with (output.mask / ".darl-done").open("a") as log:
        log.write("1")  # cut short: it was to be 11
    made = []
    write = ZarrOutput._write_chunk
    monkeypatch.setattr(ZarrOutput, "_write_chunk", lambda *args: (made.append(args[2]), write(*args)))
    counts = list(output.write(windows, SETTINGS))
    assert counts[0] == 3
    assert made == windows.chunks()[3:]
    np.testing.assert_array_equal(read(output.mask), windows.probability((), slice(0, 380), slice(0, 700)) > 0.5)


def test_other_things_in_its_place_are_left_alone(tmp_path: Path, windows: Windows) -> None:
    (tmp_path / "mask.zarr").mkdir()
    (tmp_path / "mask.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="is there already"):
        next(ZarrOutput(tmp_path / "mask.zarr").write(windows, SETTINGS))
    assert (tmp_path / "mask.zarr" / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_run_goes_on(tmp_path: Path, windows: Windows) -> None:
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from napari_darl.io.lazy import open_lazily
        from napari_darl.inference.windows import Windows
        from napari_darl.inference.zarr_output import ZarrOutput
        windows = Windows(open_lazily(Path({str(tmp_path / "in.zarr")!r})).data, resize=1.0, tile=128)
        for done in ZarrOutput(Path({str(tmp_path / "mask.zarr")!r})).write(windows, {SETTINGS!r}):
            print(done, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "2":
            assert process.poll() is None
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    output = ZarrOutput(tmp_path / "mask.zarr")
    counts = output.write(windows, SETTINGS)
    assert next(counts) >= 2
    list(counts)
    np.testing.assert_array_equal(read(output.mask), windows.probability((), slice(0, 380), slice(0, 700)) > 0.5)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_gives_the_same_and_outlives_a_worker(tmp_path: Path, windows: Windows, workers: int) -> None:
    distributed = pytest.importorskip("distributed")
    output = ZarrOutput(tmp_path / "mask.zarr")
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        counts = output.write(windows, SETTINGS, client=client)
        assert [next(counts) for _ in range(2)] == [0, 1]
        next(iter(cluster.workers.values())).process.process._process.kill()
        list(counts)
    np.testing.assert_array_equal(read(output.mask), windows.probability((), slice(0, 380), slice(0, 700)) > 0.5)


def test_a_cluster_whose_workers_come_late_and_one_that_goes(tmp_path: Path, windows: Windows) -> None:
    distributed = pytest.importorskip("distributed")
    output = ZarrOutput(tmp_path / "mask.zarr")
    cluster = distributed.LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        counts = output.write(windows, SETTINGS, client=client)
        Timer(1, cluster.scale, [1]).start()
        assert [next(counts) for _ in range(2)] == [0, 1]
        cluster.scale(0)
        cluster.close()
        with pytest.raises(DarlError, match="The cluster failed"):
            list(counts)
    done = list(output.write(windows, SETTINGS))
    assert done[0] >= 1
    np.testing.assert_array_equal(read(output.mask), windows.probability((), slice(0, 380), slice(0, 700)) > 0.5)
