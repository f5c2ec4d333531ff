"""Segmenting into zarr, chunk by chunk, here or on a cluster; what was interrupted goes on where it was."""

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from napari_darl.errors import DarlError, FileError, InputError
from napari_darl.inference.segment import check_threshold
from napari_darl.inference.windows import Chunk, Windows

if TYPE_CHECKING:
    from distributed import Client

_DONE = ".darl-done"  # in an unfinished array: the numbers of the chunks that are there
_WAITING = 4  # chunks handed out for each thread of a cluster, so that none runs dry
_RETRIES = 3


@dataclass(frozen=True)
class ZarrOutput:
    """A mask in zarr, and its probability if asked for, that are made chunk by chunk.

    Attributes
    ----------
    mask : Path
        A zarr array, uint8 0 and 1, of the shape of the result; made if missing.
    probability : Path or None
        A zarr array of float32, likewise.
    threshold : float
        Greater probabilities count as vessel.
    """

    mask: Path
    probability: Path | None = None
    threshold: float = 0.5

    def write(
        self,
        windows: Windows,
        settings: Mapping[str, str | float],
        *,
        overwrite: bool = False,
        client: "Client | None" = None,
    ) -> Iterator[int]:
        """Segment what isn't there yet; whoever stops iterating, or is killed, can go on later.

        A result that is there is of this very image, model and settings, and is gone on with or, if finished, left as
        it is; or it is refused. A chunk counts as done once it is written whole; what was under way is made again.

        Parameters
        ----------
        windows : Windows
            The image and how to segment it; for a cluster one that its workers can open, such as a zarr array.
        settings : mapping
            How the result is made; kept as attributes of the arrays.
        overwrite : bool
            Whether results that are there, finished or of other settings, may be replaced.
        client : distributed.Client, optional
            Where to compute; by default here. Its workers need to reach the files. The first one is waited for, and
            those that join later get their part.

        Yields
        ------
        int
            How many chunks are done, at first those of former runs, of `len(windows.chunks())`.

        Raises
        ------
        InputError
            If the threshold isn't between 0 and 1, or zarr isn't installed.
        FileError
            If there is another result already, another run is at work on it, or it can't be written.
        DarlError
            If the cluster fails: its scheduler has gone, or a chunk came to nothing four times.
        """
        if find_spec("zarr") is None:
            raise InputError('zarr isn\'t installed: pip install "napari-darl[large]".')
        check_threshold(self.threshold)
        told = {
            **settings,
            "threshold": self.threshold,
            "probability": self.probability is not None,
            "fingerprint": windows.fingerprint(),
        }
        chunks = windows.chunks()
        kinds = {self.mask: np.uint8} | ({self.probability: np.float32} if self.probability else {})
        try:
            self.mask.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.mask):
                if not overwrite and all(_state(path, windows, told) == "finished" for path in kinds):
                    yield len(chunks)
                    return
                new = [_prepare(path, windows, told, kind, overwrite) for path, kind in kinds.items()]
                log = self.mask / _DONE
                if any(new):
                    log.write_text("")
                done = _read(log, len(chunks))
                yield len(done)
                with log.open("a") as file:
                    todo = [number for number in range(len(chunks)) if number not in done]
                    for number in self._computed(windows, chunks, todo, client):
                        file.write(f"{number}\n")
                        file.flush()
                        done.add(number)
                        yield len(done)
                for path in reversed(kinds):
                    (path / _DONE).unlink(missing_ok=True)
        except FileError:
            raise
        except OSError as error:
            where = f"{error.filename or self.mask} can't be written ({error.strerror})"
            raise FileError(f"{where}: check it and the disk, then go on.") from error

    def _computed(
        self, windows: Windows, chunks: list[Chunk], todo: list[int], client: "Client | None"
    ) -> Iterator[int]:
        """Write chunks, and tell the number of each once it is there."""
        if client is None:
            for number in todo:
                self._write_chunk(windows, chunks[number])
                yield number
            return
        from distributed import as_completed

        waiting = iter(todo)
        with _cluster_errors():
            client.wait_for_workers(1)
            # As a task, which is done again if all the workers that have it are lost; others copy it from them.
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # of its size
                shared = client.submit(_itself, windows, key=f"windows-{uuid4().hex}")
            working = as_completed()
            while True:
                wanted = _WAITING * max(sum(client.nthreads().values()), 1)  # workers come and go
                for number in islice(waiting, max(wanted - working.count(), 0)):
                    key = f"segment-{uuid4().hex}"
                    working.add(client.submit(self._compute, shared, chunks[number], number, key=key, retries=_RETRIES))
                if not working.count():
                    return
                yield next(working).result()

    def _compute(self, windows: Windows, chunk: Chunk, number: int) -> int:
        self._write_chunk(windows, chunk)
        return number

    def _write_chunk(self, windows: Windows, chunk: Chunk) -> None:
        import zarr

        found = windows(chunk)
        if self.probability is not None:
            zarr.open_array(self.probability, mode="r+")[chunk.slices] = found
        zarr.open_array(self.mask, mode="r+")[chunk.slices] = (found > self.threshold).astype(np.uint8)


def _itself(windows: Windows) -> Windows:
    return windows


def _prepare(path: Path, windows: Windows, told: dict[str, Any], kind: type, overwrite: bool) -> bool:
    """Make an empty array, or leave the one that an interrupted run of the same settings left; tell which."""
    import zarr

    state = _state(path, windows, told)
    if state == "unfinished" or (state == "finished" and not overwrite):  # finished beside one that isn't
        return False
    if state is not None:
        if not overwrite:
            other = "holds an unfinished result of another image or of other settings"
            what = other if (path / _DONE).exists() else "is there already"
            raise FileError(f"{path} {what}: choose another folder or pass --overwrite (overwrite=True).")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Made beside it, so that it is there whole or not at all.
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    zarr.create_array(
        draft, shape=windows.shape, chunks=windows.chunk_shape, dtype=kind, attributes={"napari-darl": told}
    )
    (draft / _DONE).touch()
    draft.rename(path)
    return True


def is_result(path: Path) -> bool:
    """Tell whether `ZarrOutput` made what is at a path."""
    found = _told_by(path)
    return found is not None and found[0] is not None


def _told_by(path: Path) -> tuple[Any, ...] | None:
    """Tell settings, shape and chunks of an array; none if it is something else."""
    import zarr

    try:
        array = zarr.open_array(path, mode="r")
        return array.attrs.asdict().get("napari-darl"), array.shape, array.chunks
    except Exception:  # noqa: BLE001 - whatever it is, it isn't ours
        return None


def _state(
    path: Path, windows: Windows, told: dict[str, Any]
) -> Literal["unfinished", "finished", "something else"] | None:
    """Tell what is at a path where a result of these settings is to be; none if there is nothing."""
    if not path.exists():
        return None
    if _told_by(path) != (told, windows.shape, windows.chunk_shape):
        return "something else"
    return "unfinished" if (path / _DONE).exists() else "finished"


def _read(log: Path, count: int) -> set[int]:
    """Which chunks are done; a last line that was cut short doesn't count."""
    *lines, _ = log.read_text().split("\n")
    return {int(line) for line in lines if line.isdigit() and int(line) < count}


@contextmanager
def _cluster_errors() -> Iterator[None]:
    """Say in one sentence that a cluster failed; errors of ours, and of the disk, stay what they are."""
    try:
        yield
    except DarlError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise DarlError(f"The cluster failed ({reason}): see to its scheduler and workers, then go on.") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_name(f".{path.name}.lock"), blocking=False)
    try:
        with lock:
            yield
            Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise FileError(f"Another run is at work on {path}: wait for it, or choose another folder.") from None
