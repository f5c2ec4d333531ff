"""Reader that never allocates more memory than the file holds."""

import io
from pathlib import Path


class BoundedFile(io.BufferedReader):
    """A file, open for reading, of which no read allocates more than is left.

    A damaged header may ask for any number of bytes, and Python's own files allocate them before they read.

    Parameters
    ----------
    path : Path
        An existing file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes, or what is left if that is less."""
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))
