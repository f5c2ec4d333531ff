"""The window that shows a model's card, from which the model is exported."""

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_darl._napari.task import Task, warm_up
from napari_darl._napari.text_dialog import TextDialog
from napari_darl.errors import DarlError

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari

    from napari_darl.exporting.export import Format

_LINK = "#3d8bfd"  # readable in the dark and in the light theme
_ONNX, _PACKAGE = "ONNX graph (*.onnx)", "Package for the BioImage Model Zoo (*.zip)"
_FORMATS: "dict[str, Format]" = {".onnx": "onnx", ".zip": "bioimageio"}


def show_card(model: str, parent: QWidget, viewer: "napari.Viewer") -> None:
    """Open the card of a model, or show why there is none."""
    from napari_darl.inference.loading import describe_model

    try:
        card = describe_model(model)
    except DarlError as error:
        show_error(str(error))
        return
    CardDialog(model, card, parent, viewer).open()


class CardDialog(TextDialog):
    """Shows a model card in Markdown, and exports the model.

    Parameters
    ----------
    model : str
        As `load_model` takes it.
    card : str
        Its card.
    parent : QWidget
        The widget that opens the dialog.
    viewer : napari.Viewer
        Shows the progress of an export.
    """

    def __init__(self, model: str, card: str, parent: QWidget, viewer: "napari.Viewer") -> None:
        super().__init__(
            Path(model).stem, "Export...", "Write the model for programs that don't have this plugin.", parent
        )
        self._model, self._viewer = model, viewer
        self.text.setOpenExternalLinks(True)
        self.text.setMarkdown(card)
        self.text.setHtml(self.text.toHtml().replace("#0000ff", _LINK))  # Qt's own blue is hard to read in the dark
        self.action.clicked.connect(self._ask)

    def _ask(self) -> None:
        """Ask for a file, and export to it."""
        proposed = f"{Path(self._model).stem}.onnx"
        name, kind = QFileDialog.getSaveFileName(self, "Export the model", proposed, f"{_ONNX};;{_PACKAGE}")
        if name:
            path = Path(name)
            if path.suffix not in _FORMATS:
                path = path.with_name(path.name + (".zip" if kind == _PACKAGE else ".onnx"))
            export_in_background(self._model, path, self._viewer, overwrite=str(path) == name and path.exists())


def export_in_background(model: str, path: Path, viewer: "napari.Viewer", *, overwrite: bool) -> None:
    """Export a model, and say where it is; `overwrite` if the user has agreed to replace the file."""

    def work(_: Event) -> "Generator[list[Path], None, None]":
        warm_up()
        from napari_darl.exporting.export import export_model

        yield export_model(model, path, _FORMATS[path.suffix], overwrite=overwrite)

    def tell(written: list[Path]) -> None:
        show_info(f"Exported to {' and '.join(map(str, written))}.")

    Task(work, viewer, title="Exporting", total=0, on_yield=tell, on_end=lambda _: None)
