"""A napari window as the tests use it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest


def needs_windows(config: pytest.Config) -> None:
    """Skip a test where pytest's plugins for windows aren't loaded, by their entry points or by their modules."""
    if not any(config.pluginmanager.hasplugin(name) for name in ("napari", "napari.utils._testsupport")):
        pytest.skip("no window: the pytest plugins are switched off")


def forget_windows() -> None:
    """Delete what closed windows leave behind, some 2 MB each.

    That is their menus' actions, which live as long as the application, and themselves, since themes and npe2's
    plugins hold on to them. napari opens one window, but the tests hundreds.
    """
    from app_model.backends.qt import QMenuItemAction
    from napari.utils.theme import _themes
    from npe2 import PluginManager
    from qtpy.QtCore import QCoreApplication, QEvent
    from qtpy.QtWidgets import QApplication

    for theme in _themes.values():
        theme.events.canvas.disconnect()
    for context in PluginManager.instance()._contexts.values():
        context._disposables.clear()
    for action in QApplication.instance().findChildren(QMenuItemAction):
        action.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


class Clipboard:
    """What the plugin uses of Qt's clipboard, in this process alone."""

    def __init__(self) -> None:
        self._text = ""

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        self._text = text

    def text(self) -> str:
        return self._text


@dataclass
class Window:
    """A viewer with the plugin.

    Attributes
    ----------
    viewer : napari.Viewer
        In the proxy that plugins get from napari.
    messages : list of str
        All notifications so far.
    """

    viewer: Any
    qtbot: Any
    busy: Callable[[], bool]
    messages: list[str] = field(default_factory=list)

    def wait(self, until: Callable[[], bool], timeout: int = 60_000) -> None:
        """Process events until a condition holds, for at most `timeout` ms."""
        self.qtbot.waitUntil(until, timeout=timeout)

    def finish(self) -> None:
        """Wait until nothing runs any more."""
        self.wait(lambda: not self.busy())

    def dock(self, title: str) -> Any:
        """Open one of the plugin's widgets."""
        return self.viewer.window.add_plugin_dock_widget("napari-darl", title)[1]

    def open_segment(self, resize: float | None = None) -> Any:
        """Open the Segment widget, with a resize factor if there is an image."""
        widget = self.dock("Segment vessels")
        if resize is not None and widget.image.value is not None:
            widget.resize_factor.setValue(resize)
        return widget

    def segment(self, widget: Any) -> Any:
        """Segment with the widget; return the last layer."""
        widget.segment()
        self.finish()
        return self.viewer.layers[-1]
