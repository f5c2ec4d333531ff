"""Saving of edited masks a second after each edit, so that a crash of napari doesn't lose them.

All slow work happens in a thread: finding out which frames are edited, hashing the image, compressing. The window only
notes which frames may have changed. napari reports strokes; undo and redo, which may reach other frames, it reports as
a redrawn layer only. Therefore all frames that were ever edited are looked at each time, too.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import numpy as np
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication, QObject, QTimer
from superqt.utils import create_worker

from napari_darl._napari.layers import Index, checksum, pixels
from napari_darl._napari.segmenting.edits import EDITS, About, Digest, Edits, EditStore, Frame, frame_digest
from napari_darl._napari.segmenting.result import Result
from napari_darl._napari.settings import read_settings
from napari_darl.errors import FileError

_DELAY = 1000  # ms
_ANYWHERE = ("paint", "data")
"""Types of events after which frames other than the visible one may have changed."""
_log = logging.getLogger(__name__)

Checks = dict[Index, tuple[int, bool]]
"""Checksum of a frame's labels, and whether the frame is finished."""


@dataclass(eq=False)
class _Watched:
    """A mask whose edits are saved.

    Attributes
    ----------
    result : Result
        The mask.
    store : EditStore
        Where its edits are saved.
    name : str
        Name of its edits there.
    digests : dict of tuple of int to str
        Digests of the image's frames, as far as they are known.
    suspects : set of tuple of int
        Frames that may have changed since the last look.
    touched : set of tuple of int
        Frames that were edited at some time; undo and redo reach them.
    saved : dict of tuple of int to tuple
        What the file holds, or what the user has saved as a mask.
    """

    result: Result
    store: EditStore
    name: str
    digests: dict[Index, str] = field(default_factory=dict)
    suspects: set[Index] = field(default_factory=set)
    touched: set[Index] = field(default_factory=set)
    saved: Checks = field(default_factory=dict)


_open: dict[str, "_Watched"] = {}
"""The edits of all masks that are open in this process, by name."""


class Autosave(QObject):
    """Saves the edits of masks in a viewer.

    Parameters
    ----------
    visible : callable
        Maps a result to the index of the frame that the viewer shows.
    """

    def __init__(self, visible: Callable[[Result], Index]) -> None:
        super().__init__()
        self._visible = visible
        self._watched: list[_Watched] = []
        self._busy = self._told = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self._start)
        if (application := QCoreApplication.instance()) is not None:
            application.aboutToQuit.connect(self.flush)

    def watch(self, result: Result, name: str | None = None) -> None:
        """Save the edits of a mask from now on; `name` is that of edits which were restored to it."""
        watched = _Watched(result, edits_store(), name or uuid4().hex)
        self._watched.append(watched)
        _open[watched.name] = watched
        result.layer.metadata = {**result.layer.metadata, EDITS: watched.name}
        events = result.layer.events
        for event in (events.paint, events.labels_update, events.data, events.set_data):
            event.connect(lambda event, result=result: self.look_at(result, everywhere=event.type in _ANYWHERE))

    def look_at(self, result: Result, *, everywhere: bool = False) -> None:
        """Note that the visible frame of a result may have been edited, or all of its frames."""
        watched = next((one for one in self._watched if one.result is result), None)
        if watched is None:
            return
        if everywhere:
            watched.suspects |= result.done
        watched.suspects.add(self._visible(result))
        if not self._timer.isActive():
            self._timer.start()

    def release(self, result: Result) -> None:
        """Save what is pending of a mask that is being removed. Its edits stay in the store."""
        for watched in [one for one in self._watched if one.result is result]:
            self._report(_save(watched))
            self._watched.remove(watched)
            _open.pop(watched.name, None)

    def flush(self) -> None:
        """Save all that is pending, before the application ends."""
        for watched in self._watched:
            _save(watched)

    def _start(self) -> None:
        for watched in self._watched:
            if not watched.result.claimed:  # all that has changed is the segmentation's own
                watched.suspects.clear()
        waiting = [watched for watched in self._watched if watched.suspects]
        if self._busy or not waiting:
            return
        self._busy = True
        create_worker(lambda: [_save(watched) for watched in waiting], _connect={"returned": self._saved})

    def _saved(self, errors: list[FileError | None]) -> None:
        self._busy = False
        for error in errors:
            self._report(error)
        if any(watched.suspects for watched in self._watched):
            self._timer.start()

    def _report(self, error: FileError | None) -> None:
        if error is not None and not self._told:
            self._told = True
            show_warning(f"Your edits can't be saved for the case of a crash. {error}")


def edits_store() -> EditStore:
    """Return the store of edits in the application's data folder."""
    return EditStore(read_settings().edits)


def find_edits(data: Any, shape: tuple[int, ...]) -> str | None:
    """Return the name of edits of an image that no open mask has; slow, so it is called in a thread."""
    return edits_store().find(shape, frame_digest(data), without=frozenset(_open))


def forget_edits(metadata: dict[str, Any]) -> None:
    """Remove the edits of a mask, given its layer's metadata, because it was saved as a file."""
    name = metadata.get(EDITS)
    if not isinstance(name, str):
        return
    if name in _open:
        _save(_open[name])  # so that it knows what has been saved now
    edits_store().forget(name)


def _save(watched: _Watched) -> FileError | None:
    """Write the edited frames, if they have changed since they were last written."""
    suspects, result = set(watched.suspects), watched.result
    if not suspects or result.replaced:
        return None
    watched.suspects -= suspects
    try:
        looked_at = sorted(suspects | watched.touched | result.finished)
        kept = [index for index in looked_at if result.edited(index) or index in result.finished]
        watched.touched.update(kept)
        checks = {index: _check(result, index) for index in kept}
        if checks == watched.saved:
            return None
        if not kept:
            watched.store.forget(watched.name)
        else:
            digest = _known(watched.digests, frame_digest(pixels(result.image)))
            frames = {index: _frame(result, index, digest(index)) for index in kept}
            watched.store.write(watched.name, Edits(_about(result), frames))
        watched.saved = checks
    except FileError as error:
        _log.warning("%s", error)
        return error
    return None


def _known(digests: dict[Index, str], digest: Digest) -> Digest:
    def known(index: Index) -> str:
        if index not in digests:
            digests[index] = digest(index)
        return digests[index]

    return known


def _check(result: Result, index: Index) -> tuple[int, bool]:
    return checksum(result.labels(index)), index in result.finished


def _frame(result: Result, index: Index, digest: str) -> Frame:
    labels = np.minimum(result.labels(index), 255).astype(np.uint8)
    return Frame(labels, result.own_mask(index), digest, index in result.finished)


def _about(result: Result) -> About:
    made = result.layer.metadata.get("napari-darl", {})
    return About(
        image=result.image.name,
        saved=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        shape=result.probability.shape,
        model=result.options.model,
        segment=result.options.segment,
        cleaning=result.cleaning,
        region=result.options.region.name,
        provenance={str(key): value for key, value in made.items() if isinstance(value, str | float | int)},
    )
