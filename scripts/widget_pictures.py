"""Take pictures of all widgets and dialogs in both themes, to look at; and print which parts are cut off.

xvfb-run -a -s "-screen 0 1280x800x24" python scripts/widget_pictures.py OUTPUT
xvfb-run -a -s "-screen 0 1920x1200x24" python scripts/widget_pictures.py OUTPUT --scale 1.5
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
from napari.settings import get_settings
from qtpy.QtWidgets import QApplication, QDialog, QScrollArea, QTabWidget, QWidget
from screenshots import frames, live, opened

from napari_darl._napari.pickers import More

WIDGETS = ("Segment vessels", "Segment a folder", "Measure vessels", "Train a model", "Inspect a model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="scaling of the display (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=WIDGETS, help="titles of widgets")
    args = parser.parse_args()
    if args.scale != float(os.environ.get("QT_SCALE_FACTOR", 1)):  # Qt reads it when it starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"QT_SCALE_FACTOR": str(args.scale)})
    args.output.mkdir(parents=True, exist_ok=True)
    before = get_settings().appearance.theme
    for theme in ("dark", "light"):
        get_settings().appearance.theme = theme
        for title in args.only:
            viewer = opened()
            for number, part in enumerate(states(viewer, title)):
                name = f"{title.replace(' ', '_').lower()}_{number}_{theme}_{args.scale:g}"
                QApplication.primaryScreen().grabWindow(0).save(str(args.output / f"{name}.png"))
                for cut in cut_off(part):
                    print(f"{name}: {cut}", flush=True)
            viewer.close()
            live(0.2)
    get_settings().appearance.theme = before


def states(viewer: napari.Viewer, title: str) -> Iterator[QWidget]:
    """Open a widget and yield it once for each tab and each page of scrolling; then yield its dialogs."""
    viewer.window._qt_window.setGeometry(QApplication.primaryScreen().availableGeometry())
    viewer.add_image(frames(), name="angiograms")
    viewer.add_labels((frames() < 90).astype("uint8"), name="angiograms vessels")
    _, docked = viewer.window.add_plugin_dock_widget("napari-darl", title)
    live(3)
    for options in docked.findChildren(More):
        options.button.click()
    tabs = docked.findChildren(QTabWidget)
    for number in range(tabs[0].count() if tabs else 1):
        if tabs:
            tabs[0].setCurrentIndex(number)
        live(0.5)
        bar = docked.findChild(QScrollArea).verticalScrollBar()
        for position in [*range(0, bar.maximum(), max(1, bar.pageStep())), bar.maximum()]:
            bar.setValue(position)
            live(0.2)
            yield docked
    if title == "Segment vessels":
        yield from dialogs(docked)


def dialogs(docked: Any) -> Iterator[QWidget]:
    """Open and yield the model card and the report of versions."""
    docked.model.show_card()
    live(0.5)
    card = docked.model.findChild(QDialog)
    yield card
    card.close()
    docked.device.info.click()
    live(0.5, lambda: docked.device.findChild(QDialog) is not None)
    yield docked.device.findChild(QDialog)
    docked.device.findChild(QDialog).close()
    live(0.2)


def cut_off(shown: QWidget) -> Iterator[str]:
    """Yield the parts of a widget that are narrower than they need to be, and whether it leaves the screen."""
    for part in filter(QWidget.isVisible, [shown, *shown.findChildren(QWidget)]):
        if part.width() < part.minimumSizeHint().width():
            yield f"{type(part).__name__} has {part.width()} of {part.minimumSizeHint().width()} px"
    if shown.mapToGlobal(shown.rect().topRight()).x() > QApplication.primaryScreen().availableGeometry().right():
        yield "it ends outside the screen"


if __name__ == "__main__":
    main()
