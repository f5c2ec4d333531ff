"""What is asked of an image in memory, in a file or on a cluster."""

from typing import Any, Protocol

import numpy as np


class ImageArray(Protocol):
    """What is asked of an image, lazy or not: a shape, a NumPy dtype and indexing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, in pixels or frames."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""

    def __getitem__(self, index: Any, /) -> Any:
        """Part of the image, as something that NumPy can take."""


def looks_coloured(shape: tuple[int, ...]) -> bool:
    """Tell whether an array of this shape, of which nothing else is known, has colours: no frame is so narrow."""
    return len(shape) >= 3 and shape[-1] in (3, 4)
