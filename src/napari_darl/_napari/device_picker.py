"""The choice of the device, with what it is, and what a bug report needs to know."""

from napari.utils.notifications import show_info
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QApplication, QComboBox, QHBoxLayout, QPushButton, QWidget
from superqt.utils import create_worker

from napari_darl._napari.pickers import explanation, widen
from napari_darl._napari.settings import read_settings
from napari_darl._napari.task import warm_up
from napari_darl._napari.text_dialog import TextDialog
from napari_darl.errors import DarlError

_DEVICES = ("auto", "cpu", "cuda", "mps")


class DevicePicker(QWidget):
    """Chooses the device. `line` describes it and, where it is the CPU, says why. A button shows versions and more."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = QComboBox()
        self.choices.addItems(_DEVICES)
        self.choices.setCurrentText(read_settings().device)
        self.choices.setToolTip("The device that computes; auto uses a GPU if there is one.")
        widen(self.choices)
        self.info = QPushButton("Info")
        self.info.setToolTip("Shows versions, devices, models and settings, to copy into a bug report.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.choices, 1)
        row.addWidget(self.info)
        self.line = explanation()
        self.line.setText("Looking for a GPU...")
        self.choices.currentTextChanged.connect(self._describe)
        self.info.clicked.connect(self._collect)
        self._describe(self.device)

    @property
    def device(self) -> str:
        """The chosen device as `resolve_device` takes it."""
        return self.choices.currentText()

    def _describe(self, name: str) -> None:
        # In a thread: it imports torch, and everything else that the first click would wait for.
        create_worker(_described, name, _connect={"returned": self._show})

    def _show(self, described: tuple[str, str]) -> None:
        name, line = described
        if name == self.device:
            self.line.setText(line)

    def _collect(self) -> None:
        """Open the report when a thread has collected it: that imports torch and reads the models."""
        self.info.setEnabled(False)
        create_worker(_report, _connect={"returned": self.show_report})

    def show_report(self, report: str) -> None:
        """Show a report."""
        self.info.setEnabled(True)
        ReportDialog(report, self).open()


class ReportDialog(TextDialog):
    """Shows a report for bug reports, and copies it."""

    def __init__(self, report: str, parent: QWidget) -> None:
        super().__init__("Versions and devices", "Copy", "Copies this text.", parent)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setPlainText(report)
        self.action.clicked.connect(self._copy)

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.text.toPlainText())
        show_info("Copied. Paste it into your bug report.")


def _described(name: str) -> tuple[str, str]:
    warm_up()
    from napari_darl.darl.device import describe_device

    try:
        return name, describe_device(name)
    except DarlError as error:
        return name, str(error)


def _report() -> str:
    from napari_darl._napari.system import window_report
    from napari_darl.inference.system import report_text

    return report_text(window_report())
