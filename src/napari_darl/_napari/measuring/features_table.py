"""napari's own table of features."""

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QItemSelection, Qt
from qtpy.QtWidgets import QMainWindow, QTableView

if TYPE_CHECKING:
    import napari.viewer

_HEIGHT = 240  # px


def open_features_table(viewer: "napari.viewer.Viewer") -> None:
    """Open the table below the picture, since a row is wider than the column of widgets; an open one stays there."""
    opened = list(viewer.window.dock_widgets.values())
    dock, content = viewer.window.add_plugin_dock_widget("napari", "Features table widget")
    window = dock.parent()
    if content in opened or not isinstance(window, QMainWindow):
        return
    window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    window.resizeDocks([dock], [_HEIGHT], Qt.Orientation.Vertical)
    table = content.findChild(QTableView)
    table.selectionModel().selectionChanged.connect(partial(_scroll, table))


def _scroll(table: QTableView, selected: QItemSelection, _: QItemSelection) -> None:
    """Show the row that was selected by a click on its path."""
    rows = {index.row() for index in selected.indexes()}
    if len(rows) == 1:
        table.scrollTo(table.model().index(rows.pop(), max(table.columnAt(0), 0)))
