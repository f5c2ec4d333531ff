"""Folders of zarr whose files give what they have, and take no memory for more."""

from contextlib import suppress
from typing import TYPE_CHECKING

from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


class BoundedStore(LocalStore):
    """A `LocalStore` in which the damaged index of a shard can't ask for more than the shard has."""

    async def get(
        self, key: str, prototype: "BufferPrototype | None" = None, byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Read a file, or the part of a range that is there."""
        return await super().get(key, prototype, self._there(key, byte_range))

    def get_sync(
        self, key: str, *, prototype: "BufferPrototype | None" = None, byte_range: "ByteRequest | None" = None
    ) -> "Buffer | None":
        """Do the same where zarr doesn't wait for it asynchronously."""
        return super().get_sync(key, prototype=prototype, byte_range=self._there(key, byte_range))

    def _there(self, key: str, byte_range: "ByteRequest | None") -> "ByteRequest | None":
        if isinstance(byte_range, RangeByteRequest):
            with suppress(OSError):  # is told by the read itself
                size = (self.root / key).stat().st_size
                start = min(byte_range.start, size)
                return RangeByteRequest(start, max(start, min(byte_range.end, size)))
        return byte_range
