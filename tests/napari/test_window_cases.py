"""Layers, views and moments of clicking as the public reports in docs/cases.md describe them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pytest
from windows import Window

da = pytest.importorskip("dask.array")

MOVIE = np.random.default_rng(0).integers(0, 256, (3, 40, 50), np.uint8)
FRAME = MOVIE[0]


@dataclass(frozen=True)
class Case:
    """A layer, a way of showing it, and something that happens while it is segmented."""

    data: Any
    options: dict[str, Any] = field(default_factory=dict)
    show: Callable[[Any, Any], Any] = lambda viewer, layer: None
    meanwhile: Callable[[Any, Any], Any] = lambda viewer, layer: None


def set_to(name: str, value: Any, of: str = "dims") -> Callable[[Any, Any], None]:
    return lambda viewer, layer: setattr(viewer.dims if of == "dims" else layer, name, value)


CASES = {
    "float16": Case(FRAME.astype("f2")),
    "big-endian": Case(FRAME.astype(">u2")),
    "negative strides": Case(MOVIE[::-1, ::-1]),
    "dask with axes of length 1": Case(da.from_array(FRAME)[None, None]),
    "six axes": Case(MOVIE[:, None, None, None]),
    "levels of lazy frames": Case([da.from_array(MOVIE), da.from_array(MOVIE[:, ::2, ::2])], {"multiscale": True}),
    "rotated": Case(FRAME, {"rotate": 30, "scale": (0.5, 0.25), "translate": (100, -50)}),
    "affine": Case(FRAME, {"affine": [[1, 0.3, 5], [0.2, 1, 7], [0, 0, 1]], "shear": [0.2]}),
    "huge pixels": Case(MOVIE, {"scale": (20_000,) * 3}),
    "out of view": Case(da.from_array(MOVIE), {"translate": (40, 0, 0)}),
    "a name of tags and lines": Case(FRAME, {"name": "<b>図</b>\n" + "n" * 300}),
    "in 3-D": Case(MOVIE, show=set_to("ndisplay", 3)),
    "rolled": Case(MOVIE, show=set_to("order", (1, 2, 0))),
    "renamed": Case(MOVIE, meanwhile=set_to("name", "other", "layer")),
    "moved on": Case(MOVIE, meanwhile=lambda viewer, layer: viewer.dims.set_point(0, 2)),
    "duplicated": Case(MOVIE, meanwhile=lambda viewer, layer: viewer.add_image(MOVIE, name=layer.name)),
}


def test_layers_of_public_reports(window: Window, pause: Event) -> None:
    pause.set()
    viewer, widget = window.viewer, window.open_segment()
    for name, case in CASES.items():  # in one window, for they are slow to open
        layer = viewer.add_image(case.data, **case.options)
        case.show(viewer, layer)
        widget.resize_factor.setValue(1)
        widget.segment()
        case.meanwhile(viewer, layer)
        window.finish()
        mask = next(one for one in viewer.layers if hasattr(one, "brush_size"))
        values = np.asarray(case.data[0] if case.options.get("multiscale") else case.data)
        np.testing.assert_array_equal(mask.data > 0, values.astype(np.float32) / 255 > 0.5, name)
        for corner in (0, 30):
            place = [corner if n > 30 else 0 for n in values.shape]
            np.testing.assert_allclose(mask.data_to_world(place), layer.data_to_world(place), err_msg=name)
        viewer.dims.ndisplay = 2
        viewer.layers.clear()
        window.qtbot.wait(1)
    assert window.messages == []


def test_two_viewers_are_segmented_at_once(window: Window, make_napari_viewer: Any, pause: Event) -> None:
    from napari_darl._napari.commands import segment_vessels
    from napari_darl._napari.segmenting.segmenter import Segmenter

    first, second = window.viewer, make_napari_viewer()
    first.add_image(FRAME, name="one")
    second.add_image(MOVIE, name="two")
    for viewer in (first, second):
        segment_vessels(viewer)
    pause.set()
    window.finish()
    window.wait(lambda: Segmenter.of(second).progress == "")
    assert [layer.name for layer in first.layers] == ["one", "one vessels"]
    assert [layer.name for layer in second.layers] == ["two", "two vessels"]
    assert window.messages == []
