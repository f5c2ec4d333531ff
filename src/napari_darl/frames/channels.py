"""Which channel of an image is used: one of its colours, or one along the axis of channels of a microscope's image."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.missing import known_values
from napari_darl.io.arrays import ImageArray, ImageData

Array = npt.NDArray[Any]

Channel = str | int | None
"""A channel by its name or its number, counted from 0. None is green of colours, and every channel along an axis."""

COLOURS = ("red", "green", "blue")

_OF_COLOURS = (*COLOURS, "luminance", "brightest")
_LUMINANCE = (0.2125, 0.7154, 0.0721)  # Rec. 709, as scikit-image's rgb2gray


def colour_of(channel: Channel) -> str:
    """Return which colour of a colour image a channel is: `red`, `green`, `blue`, `luminance` or `brightest`.

    Raises
    ------
    InputError
        If it is none of them.
    """
    if channel is None:
        return "green"
    number = _number(channel, _OF_COLOURS)
    if number is None or (_is_number(channel) and number >= len(COLOURS)):
        raise InputError(
            f"Colours have no channel '{channel}'. Choose red, green, blue or luminance, or a number from 0 to 2."
        )
    return _OF_COLOURS[number]


def to_grey(image: Array, channel: Channel = None) -> Array:
    """Turn colours into grey.

    Parameters
    ----------
    image : numpy.ndarray, shape (..., 3 or 4)
        Red, green, blue and perhaps alpha, which is ignored.
    channel : str or int, optional
        "red", "green" or "blue", or their numbers from 0 to 2; by default green, in which retinal vessels have the
        highest contrast. "luminance" weights the three by Rec. 709, as `skimage.color.rgb2gray` does, and keeps the
        range of values. "brightest" takes the maximum of the three, for masks of any colour.

    Returns
    -------
    numpy.ndarray, shape (...)
        Grey, of the image's dtype; a single colour is a view.

    Raises
    ------
    InputError
        If there is no such channel.

    Examples
    --------
    >>> import numpy as np
    >>> to_grey(np.array([[10, 20, 30]], np.uint8), "luminance")
    array([19], dtype=uint8)
    """
    colour = colour_of(channel)
    if colour in COLOURS:
        return image[..., COLOURS.index(colour)]
    if colour == "brightest":
        brightest: Array = image[..., :3].max(axis=-1)
        return brightest
    grey: Array = sum(image[..., i] * np.float64(weight) for i, weight in enumerate(_LUMINANCE))  # type: ignore[assignment]
    return (grey if image.dtype.kind == "f" else np.rint(grey)).astype(image.dtype)


def as_grey(image: ImageData[Array], channel: Channel = None) -> ImageData[Array]:
    """Return an image with the chosen channel alone, and its colours, if it has any, turned into grey."""
    chosen: ImageData[Array] = select_channel(image, channel)  # type: ignore[assignment] # an array in memory stays one
    if not chosen.rgb:
        return chosen
    axes = chosen.axes[:-1] if chosen.axes else None
    return replace(chosen, data=to_grey(chosen.data, channel), rgb=False, axes=axes)


def select_channel(image: ImageData[ImageArray], channel: Channel) -> ImageData[ImageArray]:
    """Return an image with the chosen channel alone along its axis of channels.

    Parameters
    ----------
    image : ImageData
        Colour images come back as they are: `to_grey` takes their channel.
    channel : str or int, optional
        The name of a channel, in any case, or its number from 0; by default, all of them stay.

    Returns
    -------
    ImageData
        Without the axis of channels if that is the first one. Else the axis stays, with a length of 1, so that results
        lie over the image.

    Raises
    ------
    InputError
        If there is no such channel. Grey images have red, green and blue alike, and channel 0.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import ImageData
    >>> cells = ImageData(np.zeros((2, 64, 48)), axes="CYX", channels=("DAPI", "CD31"))
    >>> select_channel(cells, "cd31").data.shape
    (64, 48)
    """
    if channel is None or image.rgb:
        return image
    axis = (image.axes or "").find("C")
    if axis < 0:
        if str(channel).casefold() not in (*_OF_COLOURS, "0"):
            known = f" (its axes are {image.axes})" if image.axes else ""
            raise InputError(f"There is no channel '{channel}', since the image has no axis of channels{known}.")
        return image
    count = int(image.data.shape[axis])
    number = _number(channel, image.channels or (), count)
    if number is None:
        names = f"{', '.join(image.channels)}, or " if image.channels else ""
        raise InputError(f"There is no channel '{channel}'. Choose {names}a number from 0 to {count - 1}.")
    part: int | slice = number if axis == 0 else slice(number, number + 1)
    data = image.data
    sliced = isinstance(data, np.ndarray) or hasattr(data, "__dask_graph__")
    axes = image.axes[1:] if image.axes and axis == 0 else image.axes
    return replace(
        image,
        data=data[(*(slice(None),) * axis, part)] if sliced else OneChannel(data, axis, part),
        axes=axes,
        channels=None,
        channel=number if axis else None,
    )


class OneChannel:
    """One channel of an array that is read when it is sliced.

    Parameters
    ----------
    data : array-like
        The array with all channels.
    axis : int
        Its axis of channels.
    part : int or slice
        The channel: a number drops the axis, a slice of one keeps it.
    """

    def __init__(self, data: ImageArray, axis: int, part: int | slice) -> None:
        self._data, self._axis, self._part = data, axis, part
        kept = () if isinstance(part, int) else (1,)
        self.shape = (*data.shape[:axis], *kept, *data.shape[axis + 1 :])
        self.dtype, self.ndim = data.dtype, len(self.shape)

    def __getitem__(self, index: Any, /) -> Any:
        given = index if isinstance(index, tuple) else (index,)
        if (at := next((n for n, part in enumerate(given) if part is Ellipsis), None)) is not None:
            given = (*given[:at], *(slice(None),) * (self.ndim - len(given) + 1), *given[at + 1 :])
        given = (*given, *(slice(None),) * (self.ndim - len(given)))
        if isinstance(self._part, int):
            return self._data[(*given[: self._axis], self._part, *given[self._axis :])]
        whole = isinstance(given[self._axis], slice)
        part = self._part if whole else self._part.start
        return self._data[(*given[: self._axis], part, *given[self._axis + 1 :])]


def colours_that_show(image: ImageData[ImageArray]) -> str:
    """Return a sentence that names the colours with more than one value in the first frame; "" if all or none have."""
    if not image.rgb:
        return ""
    frame = np.asanyarray(image.data[(0,) * len(image.leading_shape)])
    values = [known_values(frame[..., number]) for number in range(len(COLOURS))]
    shown = [name for name, known in zip(COLOURS, values, strict=True) if known.size and known.min() < known.max()]
    if len(shown) in (0, len(COLOURS)):
        return ""
    verb, choice = ("shows", "it") if len(shown) == 1 else ("show", "one of them")
    return f" Of its colours, {' and '.join(shown)} {verb} something: choose {choice} as the channel."


def _number(channel: str | int, names: Sequence[str], count: int = 0) -> int | None:
    """Return the number of a channel by its name or else its number; None if there is no such channel."""
    wanted, known = str(channel).strip().casefold(), [name.strip().casefold() for name in names]
    if known.count(wanted) == 1:
        return known.index(wanted)
    return int(wanted) if wanted.isdecimal() and int(wanted) < max(count, len(names)) else None


def _is_number(channel: str | int) -> bool:
    return str(channel).strip().isdecimal()
