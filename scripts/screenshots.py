"""Take the pictures in docs/images from the running plugin, on a virtual screen.

xvfb-run -a -s "-screen 0 1280x800x24" python scripts/screenshots.py
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari.settings import get_settings
from PIL import Image
from qtpy.QtWidgets import QApplication

import napari_darl
from napari_darl._napari.commands import segment_vessels
from napari_darl._napari.device_picker import DevicePicker
from napari_darl._napari.training.session import TrainingSession
from napari_darl.io.output import write_png
from napari_darl.samples import sample_angiogram
from napari_darl.training.run_folder import RunFolder

SIZE = (1280, 800)
IMAGES = Path(__file__).parent.parent / "docs" / "images"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=IMAGES)
    parser.add_argument("--only", nargs="+", help="names of pictures")
    parser.add_argument("--run", type=Path, help="run folder whose losses become curves.png")
    args = parser.parse_args()
    for theme in ("dark", "light"):
        get_settings().appearance.theme = theme
        for take in (command, widget, proofread, movie, fundus, folder, train, inspect, doubt, measure, stenosis):
            wanted = args.only is None or take.__name__ in args.only
            if wanted and (theme == "dark" or take is widget):
                viewer = opened()
                name = f"{take.__name__}{'' if theme == 'dark' else '_light'}.png"
                take(viewer)
                shoot(args.output / name)
                viewer.close()
    get_settings().appearance.theme = "dark"
    if args.run:
        curves(args.run, args.output / "curves.png")


def command(viewer: napari.Viewer) -> None:
    """Show the menu command."""
    viewer.open_sample("napari-darl", "angiogram")
    live(1)
    menu = viewer.window._qt_window.menuBar()
    for title in ("Layers", "Segment", "Segment vessels (DARL)"):
        action = next(action for action in menu.actions() if action.text().replace("&", "") == title)
        menu.setActiveAction(action)
        live(0.5)
        menu = action.menu()


def widget(viewer: napari.Viewer) -> None:
    """Show the widget and its result."""
    viewer.open_sample("napari-darl", "angiogram")
    dock(viewer, hint=True)
    segment(viewer)


def movie(viewer: napari.Viewer) -> None:
    """Show a movie that is half segmented."""
    viewer.open_sample("napari-darl", "movie")
    viewer.dims.set_current_step(0, 20)
    docked = dock(viewer)
    docked.resize_factor.setValue(2.5)  # slow enough for a picture
    docked.segment()
    live(0.1, lambda: len(viewer.layers) == 2 and viewer.layers[1].data.any(axis=(1, 2)).sum() > 7)


def fundus(viewer: napari.Viewer) -> None:
    """Show a fundus photograph that is segmented within its field of view."""
    viewer.open_sample("napari-darl", "fundus")
    docked = dock(viewer)
    docked.model.choose("fundus")
    docked.region.value = "field of view"
    docked.cleaning.controls["smallest_piece"].setValue(150)
    docked.segment()
    live(0.5, lambda: len(viewer.layers) == 2)


def proofread(viewer: napari.Viewer) -> None:
    """Show a doubtful spot of a frame."""
    viewer.add_image(frames(), name="angiograms")
    docked = dock(viewer)
    docked.segment()
    live(0.5, lambda: len(viewer.layers) == 2 and not viewer.window._task_status_manager.is_busy())
    docked.refine.spot.click()
    while not np.all(np.abs(np.array(viewer.scene.camera.center[-2:]) - 192) < 96):  # where the frame fills the view
        docked.refine.spot.click()
    live(1.5)


def folder(viewer: napari.Viewer) -> None:
    """Step through a folder: the first mask is edited, and one file is damaged."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:  # the last images are still segmented
        images = Path(place) / "angiograms"
        images.mkdir()
        for number, frame in enumerate(np.concatenate([frames()] * 2), 1):
            write_png(images / f"frame_{number}.png", frame)
        (images / "frame_4.png").write_bytes(b"damaged")
        docked = dock(viewer, "Segment a folder")
        docked.folder.setText(str(images))
        docked.output.setText(str(Path(place) / "masks"))
        docked.list_images()
        session = docked.session
        live(0.5, lambda: session.count > 0 and len(session.outcomes) == session.count)
        for number in (0, 1):
            session.show(number)
            live(0.5, lambda: session.shown is not None and session.shown.mask is not None)
            if number == 0:
                session.shown.mask.data[60:70, 60:70] = 1
        docked.button.click()
        live(0.5, lambda: session.left <= 2)


def train(viewer: napari.Viewer) -> None:
    """Show a model that is fine-tuned, with its previews."""
    viewer.add_image(frames(), name="angiograms")
    docked = dock(viewer, "Train a model")
    docked.form.start_from.setCurrentIndex(docked.form.start_from.findData("default"))
    docked.form.preview_every.setValue(10)
    docked.form.batch.setValue(2)  # a few steps are enough for a picture
    docked.form.seed.setValue(7)  # whose preview shows vessels
    docked.form.folder.setText(f"{tempfile.mkdtemp()}/run")
    docked.start()
    session = TrainingSession.of(viewer)
    live(0.1, lambda: len(session.losses.curve("cycle")[0]) >= 45)
    docked.look_at_previews()
    docked.form.folder.setText("~/runs/mine")
    live(0.5)


def inspect(viewer: napari.Viewer) -> None:
    """Show pairs and their agreement, and the scores of real frames."""
    viewer.add_image(frames(), name="angiograms")
    docked = dock(viewer, "Inspect a model")
    docked.pairs.count.setValue(8)
    docked.pairs.make.click()
    live(0.5, lambda: docked.pairs.table.rowCount() == 8)
    docked.pairs.table.sortItems(2)
    docked.pairs.table.selectRow(0)
    viewer.layers["angiograms"].visible = False
    live(0.5)
    for notification in viewer.window._qt_window.findChildren(NapariQtNotification):
        notification.close()
    live(0.5)


def doubt(viewer: napari.Viewer) -> None:
    """Show the scores of real frames, and one of them under noise."""
    viewer.add_image(frames(), name="angiograms")
    docked = dock(viewer, "Inspect a model")
    docked.tabs.setCurrentIndex(1)
    docked.frames.assess.click()
    live(0.5, lambda: docked.frames.scores.rowCount() == 4)
    docked.frames.try_noise.click()
    live(0.5, lambda: docked.frames.noises.rowCount() > 4)
    docked.frames.noises.selectRow(3)
    for name in ("angiograms", "uncertainty"):
        viewer.layers[name].visible = False
    live(0.5)


def measure(viewer: napari.Viewer) -> None:
    """Show the vessels of the sample in numbers, and the row of the longest one."""
    docked = measured(viewer)
    docked.vessels.features.click()
    live(1)
    lengths = docked.measurement.found().segments["length"]
    viewer.layers["angiogram vessels paths"].selected_data = {int(lengths.argmax())}
    live(1)


def stenosis(viewer: napari.Viewer) -> None:
    """Show the diameters along a main branch of the sample."""
    docked = measured(viewer)
    for layer in viewer.layers[2:]:
        layer.visible = False
    docked.tabs.setCurrentWidget(docked.stenosis)
    docked.stenosis.place.click()
    points = viewer.layers["stenosis points"]
    points.add((172, 316))
    points.add((278, 358))
    live(1, lambda: docked.stenosis.found is not None)


def measured(viewer: napari.Viewer) -> Any:
    """Segment the sample, and measure its mask."""
    frame = sample_angiogram()
    image = viewer.add_image(frame, name="angiogram")
    viewer.add_labels(napari_darl.segment(frame), name="angiogram vessels", opacity=0.4)
    live(0.5)
    _, docked = viewer.window.add_plugin_dock_widget("napari-darl", "Measure vessels")
    docked.form.image.value = image
    docked.measure()
    live(0.5, lambda: docked.measurement is not None)
    return docked


def curves(run: Path, path: Path) -> None:
    """Draw the loss curves of a run."""
    from napari_darl._napari.training.loss_history import LossHistory
    from napari_darl._napari.training.loss_plot import LossPlot

    losses = LossHistory()
    losses.add(RunFolder(run).read_losses(10**9))
    plot = LossPlot()
    plot.resize(900, 420)
    plot.setStyleSheet("background: #262930")
    plot.draw(losses)
    plot.show()
    live(0.5)
    plot.grab().save(str(path))
    plot.close()


def frames() -> np.ndarray:
    """Cut frames from the sample that look different."""
    whole = sample_angiogram()
    return np.stack([np.rot90(whole, turn)[64:448, 64:448] for turn in range(4)])


def opened() -> napari.Viewer:
    viewer = napari.Viewer()
    viewer.window._qt_window.setGeometry(0, 0, *SIZE)
    live(0.5)
    return viewer


def dock(viewer: napari.Viewer, name: str = "Segment vessels", *, hint: bool = False) -> Any:
    """Open a widget; the Segment widget with the box that suggests a model, or without."""
    _, docked = viewer.window.add_plugin_dock_widget("napari-darl", name)
    device = docked.findChild(DevicePicker)
    live(3, lambda: "GPU..." not in device.line.text())
    if name == "Segment vessels" and not hint:
        docked.hint.hide()
    return docked


def segment(viewer: napari.Viewer) -> None:
    segment_vessels(viewer)
    live(0.5, lambda: len(viewer.layers) == 2 and not viewer.window._task_status_manager.is_busy())


def live(seconds: float, until: Callable[[], bool] = lambda: True) -> None:
    """Process the events of the window until a condition holds, and for some more seconds."""
    patience = time.monotonic() + 180
    while not until():
        if time.monotonic() > patience:
            raise TimeoutError("the window never got there")
        QApplication.processEvents()
        time.sleep(0.01)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def shoot(path: Path) -> None:
    """Save a screenshot with a palette, which halves the file size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    QApplication.primaryScreen().grabWindow(0).save(str(path))
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
