"""What becomes of a widget that is taken out of napari's window."""

import gc
from functools import partial

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget


class DeletesRemoved(QObject):
    """Lets Qt delete a widget that napari has taken out of its window, as when its dock is closed.

    Nobody but Python holds such a widget. Its parts refer to each other, so Python's collector of garbage would delete
    them one by one in any order, which can crash Qt.

    Parameters
    ----------
    widget : QWidget
        What napari docks. It owns this object.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        widget.installEventFilter(self)

    def eventFilter(self, widget: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Notice that the widget has no parent any more."""
        if event.type() == QEvent.Type.ParentChange and isinstance(widget, QWidget) and widget.parent() is None:
            QTimer.singleShot(0, partial(_delete, [widget]))
        return False


def _delete(held: list[QWidget]) -> None:
    """Delete a widget, unless it was put into a window again or is shown as one.

    The list holds it until Qt has deleted it. Qt holds the list for a while longer.
    """
    widget = held.pop()
    if not isalive(widget):  # type: ignore[no-untyped-call]
        del widget
        gc.collect()  # Python's part of it is left, and would hear of changed layers
    elif widget.parent() is None and not widget.isVisible():
        widget.deleteLater()
        held.append(widget)
        QTimer.singleShot(0, partial(_delete, held))
