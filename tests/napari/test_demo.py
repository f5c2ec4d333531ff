"""The demo in napari."""

import napari
import pytest
from windows import Window


def test_demo_opens_the_widget_and_segments_the_sample(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_darl._napari.demo import open_demo
    from napari_darl.cli import demo

    monkeypatch.setattr(napari, "Viewer", lambda **_: window.viewer)
    assert demo._has_window()
    viewer = open_demo()
    window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    assert viewer.layers[1].data.any()
    assert any("Segment vessels" in name for name in viewer.window.dock_widgets)
