"""A viewer with the plugin installed, as a person has it; skipped where no window can be opened."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def window(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give `viewer`, `wait(until)`, `messages` shown so far and `busy()`; preferences live in `tmp_path`."""
    if not request.config.pluginmanager.hasplugin("napari"):
        pytest.skip("no window: the pytest plugins are switched off")
    from napari import settings
    from napari._qt.qthreading import wait_for_workers_to_quit
    from napari.utils.notifications import notification_manager

    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    settings.get_plugin_settings("napari-darl").segmenting.model_folder = str(tmp_path / "models")
    qtbot = request.getfixturevalue("qtbot")
    viewer = request.getfixturevalue("make_napari_viewer_proxy")(strict_qt=True)
    manager = viewer.__wrapped__.window._task_status_manager
    messages: list[str] = []

    def note(notification: Any) -> None:
        messages.append(notification.message)

    def wait(until: Callable[[], bool], timeout: int = 60_000) -> None:
        qtbot.waitUntil(until, timeout=timeout)

    notification_manager.notification_ready.connect(note)
    yield SimpleNamespace(viewer=viewer, wait=wait, messages=messages, busy=manager.is_busy, qtbot=qtbot)
    wait(lambda: not manager.is_busy())
    wait_for_workers_to_quit()  # of a window that was closed, they are no longer called busy
    notification_manager.notification_ready.disconnect(note)
    settings._clear_plugin_settings_cache()
