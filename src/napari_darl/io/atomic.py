"""Files that are written whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from napari_darl.errors import FileError


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once it is complete and on the disk.

    Parameters
    ----------
    path : Path
        What to write; folders that are missing are made.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FileError
        If `path` is there and may not be replaced, is a folder, or can't be written, say for a full disk; what
        was there before stays.
    """
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder: choose the name of a file")
        if path.exists() and not overwrite:
            raise FileError(f"{path} is there already: choose another name, or use --overwrite (overwrite=True)")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with partial.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except FileError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"{path} can't be written ({reason}): check the folder, its rights and the disk") from error
