"""Layers of all kinds, dtypes and geometries: the mask lies over them, and only what is needed is read."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import pytest
from geometries import anywhere
from windows import Window

from napari_darl.samples import sample_angiogram

da = pytest.importorskip("dask.array")  # napari brings it

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")  # napari, of any rotation out of the plane

FRAME = sample_angiogram()[200:264, 200:296]
MOVIE = np.stack([np.roll(FRAME, 5 * number, axis=1) for number in range(4)])
COLOURS = np.stack([FRAME // 2, FRAME, FRAME // 3], axis=-1)


def in_zarr(array: np.ndarray) -> Any:
    zarr = pytest.importorskip("zarr")
    return zarr.array(array, chunks=(1, *array.shape[1:]))


KINDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "2-D": (lambda: FRAME, anywhere("y", "x")),
    "movie": (lambda: MOVIE, anywhere("t", "y", "x")),
    "movie of channels": (lambda: MOVIE[:, None][:2], anywhere("t", "c", "y", "x")),
    "time last": (lambda: np.moveaxis(MOVIE, 0, -1), {"rgb": False} | anywhere("y", "x", "t")),
    "x before y": (lambda: MOVIE.transpose(2, 0, 1), anywhere("x", "t", "y")),
    "rgb": (lambda: COLOURS, anywhere("y", "x")),
    "rgb stack": (lambda: np.stack([COLOURS] * 2), anywhere("z", "y", "x")),
    "multiscale": (lambda: [FRAME, FRAME[::2, ::2]], {"multiscale": True} | anywhere("y", "x")),
    "dask": (lambda: da.from_array(MOVIE, chunks=(1, 64, 96)), anywhere("t", "y", "x")),
    "dask, time last": (lambda: da.from_array(np.moveaxis(MOVIE, 0, -1)), {"rgb": False} | anywhere("y", "x", "t")),
    "lazy pyramid": (
        lambda: [da.from_array(MOVIE), da.from_array(MOVIE[:, ::2, ::2])],
        {"multiscale": True} | anywhere("t", "y", "x"),
    ),
    "zarr": (lambda: in_zarr(MOVIE), anywhere("t", "y", "x")),
}


def segmented(window: Window, widget: Any) -> Any:
    widget.segment()
    window.finish()
    assert window.messages == []
    return window.viewer.layers[-1]


def assert_over(mask: Any, image: Any) -> None:
    assert mask.extent.data.tolist() == image.extent.data.tolist()
    for corner in np.stack(np.meshgrid(*image.extent.data.T), axis=-1).reshape(-1, image.ndim):
        np.testing.assert_allclose(mask.data_to_world(corner), image.data_to_world(corner), rtol=0, atol=1e-9)
    assert mask.units == image.units
    assert mask.axis_labels == image.axis_labels


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_lies_over_the_image_and_follows_it_on_a_further_run(window: Window, kind: str) -> None:
    viewer = window.viewer
    make, place = KINDS[kind]
    viewer.add_image(make(), name="image", **place)
    image = viewer.layers[0]
    widget = window.open_segment()
    widget.resize_factor.setValue(1)
    mask = segmented(window, widget)
    assert mask.name == "image vessels"
    assert type(mask.data) is np.ndarray
    assert mask.data.dtype == np.uint8
    assert mask.data.flags.writeable
    assert set(np.unique(mask.data)) == {0, 1}
    assert_over(mask, image)

    image.scale = np.array(image.scale) * 1.7
    image.translate = np.array(image.translate) - 3
    widget.frames.setCurrentIndex(widget.frames.count() - 1)  # the visible one, if there are several
    kept = mask.data.copy()
    segmented(window, widget)
    assert len(viewer.layers) == 2
    assert_over(mask, image)
    np.testing.assert_array_equal(mask.data, kept)


def test_frames_are_found_wherever_the_axis_labels_say(window: Window) -> None:
    viewer = window.viewer
    found = []
    widget = window.open_segment()
    for kind in ("movie", "time last", "x before y"):
        make, place = KINDS[kind]
        image = viewer.add_image(make(), name=kind, **place)
        widget.image.value = image.__wrapped__
        assert widget.frames.itemText(0) == "all: 4 t"
        widget.resize_factor.setValue(1)
        found.append(segmented(window, widget).data)
        viewer.layers.clear()  # two orders of axes in one viewer are none
    np.testing.assert_array_equal(np.moveaxis(found[1], 2, 0), found[0])
    np.testing.assert_array_equal(found[2].transpose(1, 2, 0), found[0])


@pytest.mark.parametrize("kind", ["labels", "points", "image", "two"])
def test_a_layer_of_the_masks_name_is_left_alone(window: Window, kind: str) -> None:
    viewer = window.viewer
    viewer.add_image(FRAME, name="x")
    users = {
        "labels": lambda: viewer.add_labels(np.full((64, 96), 7), name="x vessels"),
        "points": lambda: viewer.add_points(np.ones((1, 2)), name="x vessels"),
        "image": lambda: viewer.add_image(FRAME, name="x vessels"),
        "two": lambda: [viewer.add_labels(np.full((64, 96), 7), name=f"x vessels{end}") for end in ("", " [1]")],
    }
    users[kind]()
    widget = window.open_segment()
    widget.image.value = widget.image.choices[0]
    before = {layer.name: np.array(layer.data) for layer in viewer.layers}
    mask = segmented(window, widget)
    assert mask.name == f"x vessels [{len(before) - 1}]"
    assert [layer.name for layer in viewer.layers] == [*before, mask.name]
    for name, data in before.items():
        np.testing.assert_array_equal(viewer.layers[name].data, data)


class Disk:
    """An array that records which of its frames are read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.dtype, self.shape, self.ndim = array, array.dtype, array.shape, array.ndim
        self.read: list[int] = []
        self._lock = Lock()

    def __getitem__(self, index: Any) -> np.ndarray:
        with self._lock:
            self.read += np.arange(self.shape[0])[index[0]].ravel().tolist()
        return self.array[index]


@pytest.fixture
def lazy(window: Window) -> tuple[Disk, Any]:
    """A movie of 200 frames on a disk, shown at frame 17, and the widget."""
    disk = Disk(np.broadcast_to(sample_angiogram()[:256, :256], (200, 256, 256)))
    movie = da.from_array(disk, chunks=(1, 256, 256), meta=np.empty((0, 0, 0), np.uint8))
    window.viewer.add_image(movie, name="movie", contrast_limits=(0, 255))
    window.viewer.dims.set_current_step(0, 17)
    widget = window.open_segment()
    disk.read.clear()
    return disk, widget


@pytest.mark.parametrize("region", ["everything", "field of view"])
def test_only_the_visible_frame_of_a_lazy_movie_is_read_if_only_it_is_segmented(
    window: Window, lazy: tuple[Disk, Any], region: str
) -> None:
    disk, widget = lazy
    widget.frames.setCurrentIndex(1)
    widget.region.value = region
    mask = segmented(window, widget)
    assert set(disk.read) == {17}
    assert mask.data[17].any()
    assert not mask.data[[16, 18]].any()


def test_a_lazy_movie_is_read_as_the_run_advances(window: Window, lazy: tuple[Disk, Any]) -> None:
    disk, widget = lazy
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2)
    widget._segmenter.cancel()
    window.finish()
    done = widget._segmenter.result_on(window.viewer.layers[1]).done
    assert (17,) in done
    assert len(disk.read) < 100
    assert disk.read[0] == 17
    assert len(set(disk.read)) == len(disk.read)


def test_a_mask_too_large_for_memory_is_reported_once(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_darl._napari.segmenting import segmenter

    def too_large(*_: object) -> None:
        raise MemoryError("Unable to allocate 40. GiB")

    monkeypatch.setattr(segmenter, "mask_layer", too_large)
    window.viewer.add_image(MOVIE, name="movie")
    widget = window.open_segment()
    widget.resize_factor.setValue(1)
    widget.segment()
    window.finish()
    (message,) = window.messages
    assert message.startswith("Memory ran out (Unable to allocate 40. GiB). ")
    assert widget.button.text() == "Segment"


VALUES = {
    "bool": FRAME > 90,
    "uint16": FRAME.astype(np.uint16) * 257,
    "big-endian": FRAME.astype(">u2"),
    "int16": FRAME.astype(np.int16) - 300,
    "int64": FRAME.astype(np.int64) * 10**15,
    "float16": FRAME.astype(np.float16),
    "float64": FRAME * 1e-9 - 4,
    "huge": FRAME.astype(np.float32) * 1e35,
    "read-only": np.broadcast_to(FRAME[:1], FRAME.shape),
}


def test_values_of_any_dtype_and_range(window: Window) -> None:
    from napari_darl import segment

    viewer = window.viewer
    widget = window.open_segment()
    for kind, values in VALUES.items():  # in one window, for they are slow to open
        viewer.add_image(values, name=kind, contrast_limits=(0, 1))
        widget.resize_factor.setValue(1)
        expected = segment(values, resize=1.0)
        mask = segmented(window, widget)
        np.testing.assert_array_equal(mask.data, expected, kind)
        viewer.layers[kind].contrast_limits = (0.2, 0.3)
        viewer.layers[kind].gamma = 0.4
        segmented(window, widget)
        np.testing.assert_array_equal(mask.data, expected, kind)
        assert len(viewer.layers) == 2
        viewer.layers.clear()


def test_the_visible_frame_among_layers_of_other_units(window: Window) -> None:
    from napari_darl._napari.layers import visible_frame

    viewer = window.viewer
    image = viewer.add_image(MOVIE, name="a", scale=(1, 0.5, 0.5), units=("s", "mm", "mm"))
    viewer.add_image(MOVIE, name="b", scale=(1000, 500, 500), units=("ms", "um", "um"))
    viewer.dims.set_point(0, 2000)
    assert visible_frame(image, viewer) == (2,)
    del viewer.layers["b"]
    viewer.layers.units = ("ms", "um", "um")
    viewer.dims.set_point(0, 3000)
    assert visible_frame(image, viewer) == (3,)
