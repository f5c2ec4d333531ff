"""Numbers of frames, as people type them: 0,3,10-20."""

import re
from dataclasses import dataclass

from napari_darl.errors import InputError

_PART = re.compile(r"\s*(\d+)\s*(?:(-)\s*(\d*)\s*)?")


@dataclass(frozen=True)
class FrameNumbers:
    """Frames of a stack, counted from 0 over all its leading axes.

    Attributes
    ----------
    text : str
        Numbers and ranges with commas between them, such as "0,3,10-20". A range without an end goes to the last frame.

    Raises
    ------
    InputError
        If the text is anything else.

    Examples
    --------
    >>> FrameNumbers("0,3,8-").of(10)
    [0, 3, 8, 9]
    """

    text: str

    def __post_init__(self) -> None:
        for part in self.text.split(","):
            found = _PART.fullmatch(part)
            if found is None or (found[3] and int(found[3]) < int(found[1])):
                raise InputError(f"The frames are '{self.text}'. Pass numbers from 0 and ranges, such as 0,3,10-20.")

    def of(self, count: int) -> list[int]:
        """Return the numbers of the chosen frames of a stack, in order, each once.

        Raises
        ------
        InputError
            If the stack, which has `count` frames, lacks one of them.
        """
        chosen: set[int] = set()
        for start, dash, end in _PART.findall(self.text):
            first = int(start)
            last = int(end) if end else count - 1 if dash else first
            if max(first, last) >= count:
                raise InputError(
                    f"There is no frame {max(first, last)}, since there are {count}, counted from 0. Choose others."
                )
            chosen.update(range(first, last + 1))
        return sorted(chosen)
