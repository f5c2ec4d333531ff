"""A table of numbers, one row for each frame or pair."""

from collections.abc import Iterable, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QTableWidget, QTableWidgetItem

from napari_darl._napari.tables import LOW, show_whole_rows

_DECIMALS = 3


class ResultTable(QTableWidget):
    """A sortable table whose first column numbers the rows as they came.

    Parameters
    ----------
    *header : str
        Names of the columns.
    tip : str
        What the rows are.

    Signals
    -------
    chosen : int
        The user selected the row with this number.
    """

    chosen = Signal(int)

    def __init__(self, *header: str, tip: str) -> None:
        super().__init__()
        show_whole_rows(self, header, f"{tip} A selected row is shown in the viewer.")
        self.setMinimumHeight(LOW)
        self.itemSelectionChanged.connect(self._selected)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return a low size: tables in a form share what is left, and more would make their column scroll."""
        return QSize(super().sizeHint().width(), LOW)

    def fill(self, rows: Iterable[Sequence[float | str]]) -> None:
        """Replace all rows. The values don't include the number of the row, which is added."""
        self.setSortingEnabled(False)  # else rows move while they are filled
        self.setRowCount(0)
        for number, values in enumerate(rows):
            self.insertRow(number)
            for column, value in enumerate((number, *values)):
                item = QTableWidgetItem()
                shown = round(value, _DECIMALS) if isinstance(value, float) else value
                item.setData(Qt.ItemDataRole.DisplayRole, shown)  # numbers are sorted as numbers
                item.setFlags(Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled)
                self.setItem(number, column, item)
        self.setSortingEnabled(True)
        self.sortItems(0)

    def _selected(self) -> None:
        if rows := self.selectionModel().selectedRows():
            self.chosen.emit(int(rows[0].data(Qt.ItemDataRole.DisplayRole)))
