"""A dialog that shows a text, with a button for what can be done with it."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QTextBrowser, QVBoxLayout, QWidget


class TextDialog(QDialog):
    """Shows a text that can be scrolled and selected. Subclasses fill `text`, and connect `action`.

    Parameters
    ----------
    title : str
        Title of the dialog.
    action : str
        Text of the button beside Close.
    tip : str
        Tooltip of that button.
    parent : QWidget
        The widget that opens the dialog.
    """

    def __init__(self, title: str, action: str, tip: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(760, 640)
        self.text = QTextBrowser()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setIcon(QIcon())  # Qt's is black in the dark theme, too
        self.action = QPushButton(action)
        self.action.setToolTip(tip)
        buttons.addButton(self.action, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(buttons)
