"""Masks and probabilities written as OME-Zarr chunk by chunk, here or on a cluster; interrupted work resumes.

An unfinished result holds a log, the numbers of the chunks that are written. A chunk is added to it once it is on disk,
so that a later call computes only what is missing. Chunks of the coarser levels are made once what they cover is
written, and aren't in the log, which goes at the end. The attributes of a result say how it is made, with a hash of
image, model and options: a result of anything else is never continued.
"""

import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from napari_darl.errors import FileError, InputError
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.cluster import Task, on_cluster, send
from napari_darl.inference.context import Chunk
from napari_darl.inference.parallel import ahead
from napari_darl.inference.pipeline import Probability
from napari_darl.inference.windows import Windows
from napari_darl.inference.zarr_results import LOG, find_state, is_former, is_result, warn_of_former
from napari_darl.io.ome_zarr import FINEST, OmeZarr
from napari_darl.io.pyramid import Block, coarsen
from napari_darl.io.zarr_labels import image_of, list_label

if TYPE_CHECKING:
    from distributed import Client


def write_zarr(
    windows: Windows,
    mask: str | Path,
    probability: str | Path | None = None,
    *,
    threshold: float = 0.5,
    provenance: Mapping[str, str | float] | None = None,
    overwrite: bool = False,
    client: "Client | None" = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Segment an image of any size into OME-Zarr, chunk by chunk.

    Interrupted work resumes: a call with the same image, model, options and paths computes what is missing, and leaves
    a finished result as it is. A result of anything else is refused unless it may be overwritten.

    Parameters
    ----------
    windows : Windows
        The image and how to segment it. For a cluster, the image is one that its workers can open, such as a zarr
        array on a shared disk.
    mask : str or Path
        OME-Zarr label of the mask, such as `in_mask.ome.zarr`; created if missing. Its array `0` is uint8, 0 and 1, of
        shape `windows.shape`; others are coarser, for viewers. Axes, scale and units are those of the image. A path
        `labels/<name>` in an OME-Zarr image makes it one of the image's labels.
    probability : str or Path, optional
        OME-Zarr image of the probability, float32 in [0, 1], likewise; by default none is written.
    threshold : float
        Pixels of a greater probability are vessel; above 0 and below 1.
    provenance : mapping, optional
        How the result is made, kept as attributes; by default `windows.model.provenance()`.
    overwrite : bool
        Whether other results at these paths may be replaced.
    client : distributed.Client, optional
        The cluster to compute on; by default this process. Its workers write the files. The first worker is waited
        for, and those that join later are used.
    progress : callable, optional
        Called with the numbers of finished chunks and of all chunks, first with those of earlier calls. What it raises
        ends the work, which then can be resumed.

    Raises
    ------
    InputError
        If the threshold isn't between 0 and 1, the image has more than five axes, or zarr isn't installed.
    FileError
        If there is another result already, another process is writing it, or it can't be written.
    DarlError
        If the cluster fails: its scheduler is gone, or a chunk failed four times.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from napari_darl import Windows, write_zarr
    >>> from napari_darl.samples import sample_angiogram
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_zarr(Windows(sample_angiogram()), Path(folder) / "mask.ome.zarr", progress=print)
    0 1
    1 1
    """
    if find_spec("zarr") is None:
        raise InputError('zarr isn\'t installed. Install it by: pip install "napari-darl[large]".')
    cleaning = Cleaning().updated(threshold=threshold)
    output = _Output(Path(mask), None if probability is None else Path(probability), cleaning.threshold)
    attributes = {
        **(windows.model.provenance() if provenance is None else provenance),
        "threshold": cleaning.threshold,
        "probability": probability is not None,
        "fingerprint": windows.fingerprint(),
        **({"at_detector": True} if windows.image.at_detector else {}),
    }
    total = len(windows.chunks())
    warn_of_former(output.mask)
    try:
        output.mask.parent.mkdir(parents=True, exist_ok=True)
        with _locked(output.mask), closing(_write(output, windows, attributes, overwrite, client)) as counts:
            for done in counts:
                if progress is not None:
                    progress(done, total)
            if image_of(output.mask):
                list_label(output.mask)
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"{error.filename or mask} can't be written ({error.strerror}). Check it and the disk, then resume."
        ) from error


@dataclass(frozen=True)
class _Output:
    """What is written; what a cluster's workers get."""

    mask: Path
    probability: Path | None
    threshold: float

    @property
    def dtypes(self) -> dict[Path, type]:
        return {self.mask: np.uint8} | ({self.probability: np.float32} if self.probability else {})

    def compute(self, windows: Windows, chunk: Chunk, number: int) -> int:
        """Compute and write a chunk; return its number."""
        return self.write(windows(chunk), chunk, number)

    def write(self, probability: Probability, chunk: Chunk, number: int) -> int:
        """Write a chunk; return its number."""
        import zarr

        if self.probability is not None:
            zarr.open_array(self.probability / FINEST, mode="r+")[chunk.slices] = probability
        zarr.open_array(self.mask / FINEST, mode="r+")[chunk.slices] = (probability > self.threshold).astype(np.uint8)
        return number


def _write(
    output: _Output, windows: Windows, attributes: dict[str, Any], overwrite: bool, client: "Client | None"
) -> Generator[int, None, None]:
    """Write the missing chunks; yield how many are done, at first those of earlier calls."""
    chunks = windows.chunks()
    if not overwrite and all(find_state(path, windows, attributes) == "finished" for path in output.dtypes):
        yield len(chunks)
        return
    shared = None if client is None else send(client, windows)
    created = [_prepare(path, dtype, windows, attributes, overwrite) for path, dtype in output.dtypes.items()]
    log = output.mask / LOG
    if any(created):
        log.write_text("")
    done = _read_log(log, len(chunks))
    yield len(done)
    levels = _Levels({path: _layout(path, dtype, windows) for path, dtype in output.dtypes.items()}, done)
    missing = [(number, chunk) for number, chunk in enumerate(chunks) if number not in done]
    if client is None:
        numbers = _write_here(output, windows, missing)
    else:
        tasks = ((output.compute, (shared, chunk, number)) for number, chunk in missing)
        numbers = levels.sort(on_cluster(client, levels.tasks, tasks))
    with log.open("a") as file:
        for number in numbers:
            file.write(f"{number}\n")
            file.flush()
            done.add(number)
            levels.written(number)
            yield len(done)
    levels.fill()
    for path in reversed(output.dtypes):
        (path / LOG).unlink(missing_ok=True)


class _Levels:
    """The coarser levels of the results, filled once what they cover is written: on a cluster by its workers."""

    def __init__(self, layouts: Mapping[Path, OmeZarr], done: Iterable[int]) -> None:
        self._pyramids = {path: layout.pyramid() for path, layout in layouts.items()}
        self._blocks = {path: list(pyramid.blocks(0)) for path, pyramid in self._pyramids.items()}
        self._ready: deque[tuple[Path, Block]] = deque()
        for number in done:
            self.written(number)

    def written(self, number: int) -> None:
        """Note that a chunk is written."""
        for path, blocks in self._blocks.items():
            self._filled(path, blocks[number])

    def _filled(self, path: Path, block: Block) -> None:
        self._ready.extend((path, above) for above in self._pyramids[path].filled(block))

    def tasks(self) -> Iterator[Task]:
        """Yield what can be filled now."""
        while self._ready:
            yield _coarsen, self._ready.popleft()

    def sort(self, results: Iterable[int | tuple[Path, Block]]) -> Iterator[int]:
        """Yield the numbers of chunks that a cluster has written, and note what it has filled."""
        for result in results:
            if isinstance(result, int):
                yield result
            else:
                self._filled(*result)

    def fill(self) -> None:
        """Fill here what isn't filled yet."""
        for function, values in self.tasks():
            self._filled(*function(*values))


def _write_here(output: _Output, windows: Windows, missing: list[tuple[int, Chunk]]) -> Iterator[int]:
    """Write chunks; yield the number of each once it is written.

    While a chunk is computed, the next one is read and the one before it is written.
    """
    read = ahead((number, chunk, windows.read(chunk)) for number, chunk in missing)
    computed = ahead((windows.compute_chunk(chunk, pixels), chunk, number) for number, chunk, pixels in read)
    for found in computed:
        yield output.write(*found)


def _coarsen(path: Path, block: Block) -> tuple[Path, Block]:
    """Fill a chunk of a coarser level; return which."""
    coarsen(path, block)
    return path, block


def _prepare(path: Path, dtype: type, windows: Windows, attributes: dict[str, Any], overwrite: bool) -> bool:
    """Create an empty result, unless one of the same attributes can be resumed; return whether it was created."""
    state = find_state(path, windows, attributes)
    if state == "unfinished" or (state == "finished" and not overwrite):  # the other result isn't finished
        return False
    if state is not None:
        if image_of(path) and not is_result(path):
            raise FileError(f"{path} is a label of another program, which is never replaced. Choose another name.")
        if not overwrite:
            if is_former(path):
                what = "is an array that a former version wrote"
            elif (path / LOG).exists():
                what = "holds an unfinished result of another image or of other settings"
            else:
                what = "exists already"
            raise FileError(f"{path} {what}. Choose another folder, or pass --overwrite (overwrite=True).")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Created beside its place, so that it is there whole or not at all.
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    _layout(path, dtype, windows).create(draft, {"napari-darl": attributes})
    (draft / LOG).touch()
    draft.rename(path)
    return True


def _layout(path: Path, dtype: type, windows: Windows) -> OmeZarr:
    return OmeZarr.of(windows.image, windows.shape, windows.chunk_shape, dtype, path)


def _read_log(log: Path, count: int) -> set[int]:
    """Return the numbers of the finished chunks; a last line without its end doesn't count."""
    *lines, _ = log.read_text().split("\n")
    return {int(line) for line in lines if line.isdigit() and int(line) < count}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_name(f".{path.name}.lock"), blocking=False)
    try:
        with lock:
            yield
            Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise FileError(f"Another process is writing {path}. Wait for it, or choose another folder.") from None
