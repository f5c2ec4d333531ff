"""Read-only tables of the Measure widget."""

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTableWidget, QTableWidgetItem

from napari_darl._napari.tables import show_whole_rows, take_what_is_left


def value_table(*header: str, tip: str) -> QTableWidget:
    """Make an empty table of whole rows; `tip` says what they are."""
    table = QTableWidget()
    show_whole_rows(table, header, tip)
    take_what_is_left(table)
    return table


def fill(table: QTableWidget, rows: Sequence[Sequence[str | float]], tips: Sequence[str] = ()) -> None:
    """Fill a table; numbers are shown with four digits, and NaN as a dash."""
    table.setRowCount(len(rows))
    for number, values in enumerate(rows):
        for column, value in enumerate(values):
            item = QTableWidgetItem(value if isinstance(value, str) else shown(value))
            item.setFlags(Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled)
            if tips:
                item.setToolTip(tips[number])
            table.setItem(number, column, item)


def shown(value: float) -> str:
    """Write a number with four significant digits, a large one as a whole number."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
