"""Write files whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from napari_darl.errors import FileError


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that replaces it once it is complete and on the disk.

    Parameters
    ----------
    path : Path
        The file to write; missing folders are created.
    overwrite : bool
        Whether an existing file may be replaced.

    Yields
    ------
    BinaryIO
        The temporary file, open for writing.

    Raises
    ------
    FileError
        If `path` exists and may not be replaced, is a folder, or can't be written, for example because the disk is
        full. An existing file is left as it was.
    """
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder. Choose the name of a file.")
        if path.exists() and not overwrite:
            raise FileError(f"{path} exists already. Choose another name, or pass --overwrite (overwrite=True).")
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
        raise FileError(
            f"{path} can't be written ({reason}). Check the folder, its permissions and the disk."
        ) from error
