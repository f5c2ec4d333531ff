"""Film the three clicks from an angiogram to its mask in the running plugin, as docs/images/three_clicks.gif.

xvfb-run -a -s "-screen 0 1280x800x24" python scripts/three_clicks.py
"""

import argparse
from pathlib import Path
from typing import Any

from napari.settings import get_settings
from PIL import Image, ImageDraw, ImageQt
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication, QMenu
from screenshots import IMAGES, dock, live, opened

WIDTH = 880  # px of the film
MENU = ("Layers", "Segment", "Segment vessels (DARL)")
ARROW = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]
"""Outline of the pointer, px."""


class Film:
    """Frames of the screen, each with the time that it is shown, in ms."""

    def __init__(self) -> None:
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def take(self, time: int, pointer: QPoint | None = None, *, pressed: bool = False) -> None:
        """Take the screen, with a pointer, and a ring about it if a button is pressed."""
        frame = ImageQt.fromqpixmap(QApplication.primaryScreen().grabWindow(0)).convert("RGB")
        if pointer is not None:
            x, y = pointer.x(), pointer.y()
            draw = ImageDraw.Draw(frame)
            if pressed:
                draw.ellipse((x - 14, y - 14, x + 14, y + 14), outline="#ff9628", width=4)
            draw.polygon([(x + right, y + down) for right, down in ARROW], fill="white", outline="black")
        self.frames.append(frame.resize((WIDTH, round(WIDTH * frame.height / frame.width)), Image.Resampling.LANCZOS))
        self.times.append(time)

    def save(self, path: Path) -> None:
        """Save a GIF whose frames share one palette, so that they differ only where something moves."""
        palette = self.frames[-1].quantize(128, dither=Image.Dither.NONE)
        first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        first.save(path, save_all=True, append_images=rest, duration=self.times, loop=0, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=IMAGES)
    args = parser.parse_args()
    get_settings().appearance.theme = "dark"
    viewer = opened()
    film = Film()
    viewer.open_sample("napari-darl", "angiogram")
    live(1)
    film.take(1200, QPoint(400, 300))
    click_through(viewer, film)
    live(1, lambda: len(viewer.layers) == 2 and not viewer.window._task_status_manager.is_busy())
    film.take(2000)
    move_threshold(viewer, film)
    film.save(args.output / "three_clicks.gif")
    viewer.close()


def click_through(viewer: Any, film: Film) -> None:
    """Open the menus one after the other, and choose the command."""
    menu: Any = viewer.window._qt_window.menuBar()
    for title in MENU:
        action = next(action for action in menu.actions() if action.text().replace("&", "") == title)
        place = menu.mapToGlobal(menu.actionGeometry(action).center())
        menu.setActiveAction(action)
        live(0.3)
        film.take(700, place)
        film.take(500, place, pressed=True)
        if isinstance(action.menu(), QMenu):
            menu = action.menu()
    while popup := QApplication.activePopupWidget():
        popup.close()
    action.trigger()


def move_threshold(viewer: Any, film: Film) -> None:
    """Open the widget, and show that the mask follows the threshold."""
    docked = dock(viewer)
    live(1)
    slider = docked.cleaning.controls["threshold"]
    film.take(900)
    for percent in (40, 30, 20, 10, 5, 10, 20, 30, 40, 50):
        slider.setValue(percent / 100)
        live(0.3)
        film.take(250)
    film.take(2000)


if __name__ == "__main__":
    main()
