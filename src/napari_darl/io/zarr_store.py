"""Zarr store that never reads or allocates more than its files hold."""

import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.storage import LocalStore

from napari_darl.io.size_limits import MAX_CHUNK

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_BLOSC_HEADER = struct.Struct("<4xIII")  # number of bytes unpacked, in a block, and packed with this header


def open_node(path: Path) -> Any:
    """Open a zarr array or group to be read, without zarr's own remarks on metadata."""
    with warnings.catch_warnings(action="ignore"):
        return zarr.open(BoundedStore(path, read_only=True), mode="r")


def member(group: Any, path: str) -> Any:
    """Return an array or group inside of an open group, likewise."""
    with warnings.catch_warnings(action="ignore"):
        return group[path]


class BoundedStore(LocalStore):
    """A `LocalStore` that cuts ranges, such as those in the damaged index of a shard, to the size of the file.

    Attributes
    ----------
    blosc : bool
        Whether chunks are compressed by blosc. It believes their headers: of a chunk that is cut short, it reads what
        lies behind it in memory. Such chunks are refused.
    """

    blosc = False

    async def get(
        self, key: str, prototype: "BufferPrototype | None" = None, byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Read a file, or the part of a range that exists."""
        return self._checked(key, byte_range, await super().get(key, prototype, self._existing(key, byte_range)))

    def get_sync(
        self, key: str, *, prototype: "BufferPrototype | None" = None, byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Read as `get` does, for zarr's synchronous calls."""
        found = super().get_sync(key, prototype=prototype, byte_range=self._existing(key, byte_range))
        return self._checked(key, byte_range, found)

    def _checked(self, key: str, byte_range: "ByteRequest | None", found: "Buffer | None") -> "Buffer | None":
        """Return a value; raise ValueError for a chunk of blosc whose header can't be true."""
        index = isinstance(byte_range, SuffixByteRequest)  # of a shard
        if not self.blosc or found is None or index or key.rsplit("/", 1)[-1] in _METADATA:
            return found
        head = found.as_numpy_array()[: _BLOSC_HEADER.size].tobytes()
        if len(head) == _BLOSC_HEADER.size:
            unpacked, _, packed = _BLOSC_HEADER.unpack(head)
            if packed > len(found) or unpacked > MAX_CHUNK:
                raise ValueError(f"the chunk {key} is cut short")
        return found

    def _existing(self, key: str, byte_range: "ByteRequest | None") -> "ByteRequest | None":
        if isinstance(byte_range, RangeByteRequest):
            with suppress(OSError):  # the read itself raises it
                size = (self.root / key).stat().st_size
                start = min(byte_range.start, size)
                return RangeByteRequest(start, max(start, min(byte_range.end, size)))
        return byte_range
