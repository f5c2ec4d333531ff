"""Fixtures with a napari window; tests that need one are skipped where none can be opened."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from windows import Clipboard, Window, forget_windows, needs_windows

from napari_darl.frames.arrays import iter_frames


@pytest.fixture(scope="session")
def imports() -> None:
    """Import what all windows need, and exclude it from garbage collection, which napari runs often."""
    import napari_darl._napari.inspecting.widget
    import napari_darl._napari.segmenting.widget
    import napari_darl._napari.training.widget
    import napari_darl.inference.segment  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def quick_windows() -> Iterator[None]:
    """Spare windows what no test looks at.

    That is searching all packages for plugins twice a window, saving napari's own settings, and filling in the welcome
    screen, which is hidden, for each of some 180 shortcuts.
    """
    from napari._qt.widgets.qt_welcome import QtWelcomeWidget
    from napari.settings import NapariSettings
    from npe2 import PluginManifest

    found = cache(lambda paths=(): list(discover(paths)))
    discover = PluginManifest.discover
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", found)
        patch.setattr(NapariSettings, "save", lambda *_, **__: None)
        patch.setattr(QtWelcomeWidget, "refresh", lambda *_: None, raising=False)
        yield


@pytest.fixture
def styled() -> None:
    """Keep napari's style sheet, for a test of how the window looks; it takes Qt a quarter of the time of a window."""


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings of napari that are independent of those of the user who runs the tests."""
    import napari.settings

    fresh = napari.settings.NapariSettings(tmp_path_factory.mktemp("settings") / "settings.yaml")
    monkeypatch.setattr(napari.settings, "_SETTINGS", fresh)
    return fresh


@pytest.fixture(scope="module")
def kept_until_the_end() -> Iterator[None]:
    """Delete, at the end of a file of tests, what its windows have left behind."""
    yield
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.fixture
def closed_for_good(kept_until_the_end: None) -> Iterator[None]:
    """Delete what a test's windows leave behind; requested first, it is torn down after them.

    What is left is excluded from garbage collection until the file of tests ends.
    """
    yield
    forget_windows()
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # not on this system
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # returns what the threads have freed


@pytest.fixture
def window(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    """A window with the plugin; preferences live in `tmp_path`, and what is copied in this process."""
    needs_windows(request.config)
    request.getfixturevalue("imports")
    request.getfixturevalue("quick_windows")
    request.getfixturevalue("closed_for_good")
    from napari import settings
    from napari._qt.qthreading import wait_for_workers_to_quit
    from napari.utils.notifications import notification_manager
    from qtpy.QtWidgets import QApplication

    from napari_darl._napari import task

    if "styled" not in request.fixturenames:
        monkeypatch.setattr("napari._qt.qt_main_window.get_stylesheet", lambda *_, **__: "")
    # The display's clipboard is one for all test processes, which would take each other's texts.
    clipboard = Clipboard()
    monkeypatch.setattr(QApplication, "clipboard", lambda: clipboard)
    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    own = settings.get_plugin_settings("napari-darl").segmenting
    own.model_folder, own.suggest_model = str(tmp_path / "models"), False
    qtbot = request.getfixturevalue("qtbot")
    viewer = request.getfixturevalue("make_napari_viewer_proxy")(strict_qt=True)
    manager = viewer.__wrapped__.window._task_status_manager

    def busy() -> bool:
        # The plugin hears of a worker's end a moment after napari.
        return manager.is_busy() or bool(task._under_way)

    def note(notification: Any) -> None:
        opened.messages.append(notification.message)

    opened = Window(viewer, qtbot, busy)
    notification_manager.notification_ready.connect(note)
    yield opened
    opened.finish()
    wait_for_workers_to_quit()  # napari no longer calls the workers of a closed window busy
    notification_manager.notification_ready.disconnect(note)
    settings._clear_plugin_settings_cache()


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Replace the network by the frame itself, whose masks aren't cleaned.

    After each frame, the run waits until this event is set.
    """
    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.windows import Windows

    go_on = Event()

    def pausing(self: Any, first: Any) -> Iterator[Any]:
        for index, frame in iter_frames(self.image, first=first):
            yield index, frame.astype(np.float32) / 255
            while not go_on.wait(0.01):
                self.pipeline.predictor.interrupt()  # type: ignore[misc]

    monkeypatch.setattr(Windows, "frames", pausing)
    monkeypatch.setattr(Cleaning, "of_model", classmethod(lambda cls, info: cls()))
    yield go_on
    go_on.set()
