"""What the tables and lists of all widgets have in common."""

from collections.abc import Sequence

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget

LOW = 110  # pixels of height that a table or a list needs at least


def take_what_is_left(view: QAbstractItemView) -> None:
    """Give a table or a list the height that its column has left; the height that it wants would make that scroll."""
    view.setMinimumHeight(LOW)
    view.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)


def show_whole_rows(table: QTableWidget, header: Sequence[str], tip: str) -> None:
    """Give a table its columns, and let the user select one whole row at a time; `tip` says what the rows are."""
    table.setColumnCount(len(header))
    table.setHorizontalHeaderLabels(header)
    table.verticalHeader().hide()
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setTabKeyNavigation(False)  # Tab leaves the table; the arrow keys go through it
    table.setToolTip(tip)
