"""Files that give what they have, and take no memory for more."""

import io
from pathlib import Path


class BoundedFile(io.BufferedReader):
    """A file to read whose lengths may be damaged: Python's own take all the memory that they are asked for.

    Parameters
    ----------
    path : Path
        An existing file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most what is left."""
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))
