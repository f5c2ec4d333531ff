"""Zarr store that never allocates more memory than its files hold."""

from contextlib import suppress
from typing import TYPE_CHECKING

from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class BoundedStore(LocalStore):
    """A `LocalStore` that cuts ranges, such as those in the damaged index of a shard, to the size of the file."""

    async def get(
        self, key: str, prototype: "BufferPrototype | None" = None, byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Read a file, or the part of a range that exists."""
        return await super().get(key, prototype, self._existing(key, byte_range))

    def get_sync(
        self, key: str, *, prototype: "BufferPrototype | None" = None, byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Read as `get` does, for zarr's synchronous calls."""
        return super().get_sync(key, prototype=prototype, byte_range=self._existing(key, byte_range))

    def _existing(self, key: str, byte_range: "ByteRequest | None") -> "ByteRequest | None":
        if isinstance(byte_range, RangeByteRequest):
            with suppress(OSError):  # the read itself raises it
                size = (self.root / key).stat().st_size
                start = min(byte_range.start, size)
                return RangeByteRequest(start, max(start, min(byte_range.end, size)))
        return byte_range
