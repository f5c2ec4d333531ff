"""Regions: drawn layers with a geometry of their own, and the field of view."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from windows import Window

pytest.importorskip("napari")

import dask.array as da
from napari.layers import Image, Labels, Layer, Points, Shapes
from scipy.ndimage import binary_dilation

from napari_darl import segment
from napari_darl._napari.segmenting.region import drawn_region
from napari_darl.errors import InputError
from napari_darl.frames.regions import field_of_view
from napari_darl.io.arrays import ImageData
from napari_darl.samples import sample_angiogram, sample_fundus

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")  # napari, of any rotation out of the plane

FRAME = sample_angiogram()[200:264, 200:296]
MOVIE = np.stack([FRAME] * 4)
PLACE = {"scale": (2, 0.5), "translate": (-7, 40), "rotate": 25, "shear": [0.3], "units": ("mm", "mm")}
OTHER = {"scale": (0.4, 0.7), "translate": (3, 30), "rotate": -40, "shear": [-0.2], "units": ("mm", "mm")}

RECTANGLE = np.array([[10, 20], [10, 60], [40, 60], [40, 20]], float)
POLYGON = np.array([[5, 5], [50, 30], [30, 80], [20, 40]], float)


def inside_rectangle(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (y >= 10) & (y <= 40) & (x >= 20) & (x <= 60)


def inside_ellipse(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return ((y - 25) / 15) ** 2 + ((x - 40) / 20) ** 2 <= 1


def inside_polygon(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    inside = np.zeros(y.shape, bool)
    for (y0, x0), (y1, x1) in zip(POLYGON, np.roll(POLYGON, 1, axis=0), strict=True):
        inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


KINDS = {
    "rectangle": (RECTANGLE, inside_rectangle),
    "ellipse": (RECTANGLE, inside_ellipse),
    "polygon": (POLYGON, inside_polygon),
}


def shapes_over(image: Image, corners: np.ndarray, kind: str, place: dict[str, Any]) -> Shapes:
    """Draw a shape, given in the image's pixels, in a layer with another geometry."""
    empty = Shapes(ndim=2, **place)
    drawn = np.array([empty.world_to_data(image.data_to_world(corner)[-2:]) for corner in corners])
    return Shapes([drawn], shape_type=[kind], **place)


def assert_nearly(found: np.ndarray | None, wanted: np.ndarray) -> None:
    """Compare all pixels except those along the rim."""
    assert found is not None
    rim = binary_dilation(wanted, np.ones((3, 3))) & binary_dilation(~wanted, np.ones((3, 3)))
    assert wanted.any()
    np.testing.assert_array_equal(found[~rim], wanted[~rim])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image", [Image(FRAME, **PLACE), Image(np.stack([FRAME] * 3, -1), rgb=True, **PLACE)])
def test_a_shape_counts_where_it_lies_over_the_image(image: Image, kind: str) -> None:
    corners, inside = KINDS[kind]
    wanted = inside(*np.indices(FRAME.shape, float))
    for place in ({}, OTHER):
        region = drawn_region(shapes_over(image, corners, kind, place), image)
        assert_nearly(region.mask_of(()), wanted)


def test_a_shape_in_other_units_counts_where_it_lies() -> None:
    image = Image(FRAME, scale=(0.5, 0.5), units=("mm", "mm"))
    drawn = Shapes([RECTANGLE * 500], units=("um", "um"))
    assert_nearly(drawn_region(drawn, image).mask_of(()), inside_rectangle(*np.indices(FRAME.shape)))


def test_several_shapes_count_together_and_may_reach_beyond_the_image() -> None:
    image = Image(FRAME)
    corners = [RECTANGLE, np.array([[50, 80], [50, 400], [90, 400], [90, 80]]), POLYGON - 1000]
    y, x = np.indices(FRAME.shape, float)
    region = drawn_region(Shapes(corners, shape_type=["ellipse", "rectangle", "polygon"]), image)
    assert_nearly(region.mask_of(()), inside_ellipse(y, x) | ((y >= 50) & (x >= 80)))


@pytest.mark.parametrize("labels", [("t", "y", "x"), ("y", "x", "t")])
def test_a_shape_drawn_at_one_frame_counts_in_all(labels: tuple[str, ...]) -> None:
    time = labels.index("t")
    image = Image(np.moveaxis(MOVIE, 0, time), rgb=False, axis_labels=labels, translate=np.full(3, 5))
    drawn = Shapes([np.insert(RECTANGLE, time, 2, axis=1)], axis_labels=labels, translate=np.full(3, 5))
    wanted = inside_rectangle(*np.indices(FRAME.shape, float))
    for frame in ((0,), (3,)):
        assert_nearly(drawn_region(drawn, image).mask_of(frame), wanted)


def sampled(labels: Labels, image: Image, at: tuple[int, ...] = ()) -> np.ndarray:
    """Look up each pixel of a frame in a Labels layer, one by one."""
    wanted = np.zeros(FRAME.shape, bool)
    for pixel in np.ndindex(FRAME.shape):
        place = np.round(labels.world_to_data(image.data_to_world((*at, *pixel))[-labels.ndim :])).astype(int)
        if all(0 <= index < length for index, length in zip(place, labels.data.shape, strict=True)):
            wanted[pixel] = labels.data[tuple(place)] > 0
    return wanted


@pytest.mark.parametrize("place", [{}, PLACE, OTHER])
def test_labels_count_where_they_lie_over_the_image(place: dict[str, Any]) -> None:
    image = Image(FRAME, **PLACE)
    data = np.zeros((200, 300), int)
    data[20:150, 5:200] = 3
    labels = Labels(data, **place)
    assert_nearly(drawn_region(labels, image).mask_of(()), sampled(labels, image))
    pyramid = Labels([data, data[::2, ::2]], multiscale=True, **place)
    np.testing.assert_array_equal(drawn_region(pyramid, image).mask_of(()), drawn_region(labels, image).mask_of(()))


@pytest.mark.parametrize("make", [np.asarray, da.from_array])
def test_labels_of_as_many_frames_count_frame_by_frame(make: Callable[[np.ndarray], Any]) -> None:
    image = Image(MOVIE, scale=(3, 1, 1))
    data = np.zeros((4, 32, 48), np.uint8)
    for number in range(4):
        data[number, 5 * number : 5 * number + 9, 10:30] = 1
    region = drawn_region(Labels(make(data), scale=(1, 2, 2)), image)
    for number in range(4):
        wanted = np.zeros(FRAME.shape, bool)
        wanted[10 * number : 10 * number + 18, 20:60] = True
        assert_nearly(region.mask_of((number,)), wanted)


@pytest.mark.parametrize("shape", [(64, 96), (1, 64, 96)])
def test_labels_of_one_frame_count_in_all(shape: tuple[int, ...]) -> None:
    data = np.zeros(shape, int)
    data[..., 10:20, 30:40] = 1
    region = drawn_region(Labels(data), Image(MOVIE))
    for frame in ((0,), (3,)):
        np.testing.assert_array_equal(region.mask_of(frame), data.reshape(FRAME.shape) > 0)


@pytest.mark.parametrize(
    ("drawn", "image", "said"),
    [
        (Labels(np.ones((3, 64, 96), int), name="r"), Image(MOVIE, name="i"), "'r' has 3 frames, but 'i' has 4 frames"),
        (
            Labels(np.ones((3, 64, 96), int), name="r"),
            Image(FRAME, name="i"),
            "'i' has one frame",
        ),
        (Labels(np.zeros((64, 96), int), name="r"), Image(FRAME), "Nothing in 'r' lies over the image"),
        (Labels(np.ones((64, 96), int), translate=(900, 0)), Image(FRAME), "lies over the image"),
        (Shapes(ndim=2), Image(FRAME), "lies over the image"),
        (Shapes([RECTANGLE + 900]), Image(MOVIE), "lies over the image"),
        (Points(np.ones((2, 2)), name="r"), Image(FRAME), "'r' can't be used as a region"),
    ],
)
def test_invalid_regions_are_refused(drawn: Layer, image: Image, said: str) -> None:
    with pytest.raises(InputError, match=said):
        drawn_region(drawn, image)


def test_field_of_view_of_a_colour_photograph() -> None:
    photograph = sample_fundus()[::4, ::4]
    found = field_of_view(ImageData(photograph, rgb=True)).mask_of(())
    assert found is not None
    assert found.shape == photograph.shape[:2]
    assert 0.5 < found.mean() < 0.95
    assert not found[0, 0]
    stack = field_of_view(ImageData(np.stack([photograph] * 2), rgb=True)).mask_of((1,))
    np.testing.assert_array_equal(found, stack)


@pytest.fixture
def opened(window: Window) -> Any:
    """The window with a movie, and `widget`."""
    window.viewer.add_image(MOVIE, name="movie")
    window.widget = window.open_segment(resize=1)  # type: ignore[attr-defined]
    return window


def segmented(window: Window) -> np.ndarray:
    window.widget.segment()
    window.finish()
    data: np.ndarray = window.viewer.layers["movie vessels"].data
    return data.copy()


def choose(window: Window, layer: Any) -> None:
    window.widget.region.value = layer.__wrapped__


def test_a_region_is_chosen_renamed_changed_and_deleted(opened: Any) -> None:
    viewer, widget = opened.viewer, opened.widget
    everything = segmented(opened)
    assert everything[:, 10:41, 20:61].any()
    shapes = viewer.add_shapes(np.insert(RECTANGLE, 0, 2, axis=1)[None], name="field of view")
    labels = viewer.add_labels(np.zeros((64, 96), int), name="everything")
    assert [widget.region.native.itemText(i) for i in range(4)][:2] == ["everything", "field of view"]
    np.testing.assert_array_equal(segmented(opened), everything)

    choose(opened, shapes)
    shapes.name = "here"
    assert widget.region.native.currentText() == "here"
    inside = np.zeros(FRAME.shape, bool)
    inside[10:41, 20:61] = True
    found = segmented(opened)
    assert viewer.layers["movie vessels"].metadata["napari-darl"]["region"] == "here"
    np.testing.assert_array_equal(found, segment(MOVIE, resize=1, region=inside))
    assert not found[:, ~inside].any()

    choose(opened, labels)
    widget.segment()
    (message,) = opened.messages
    assert "'everything'" in message
    labels.data[30:, :50] = 4
    labels.refresh()
    found = segmented(opened)
    np.testing.assert_array_equal(found, segment(MOVIE, resize=1, region=labels.data))
    assert not found[:, :30].any()

    viewer.layers.remove(labels)
    assert widget.region.value == "everything"
    np.testing.assert_array_equal(segmented(opened), everything)
    assert len(opened.messages) == 1


def test_masks_of_two_regions_never_mix_in_one_layer(opened: Any) -> None:
    viewer, widget = opened.viewer, opened.widget
    segmented(opened)
    shapes = viewer.add_shapes([RECTANGLE], name="drawn")
    choose(opened, shapes)
    widget.frames.setCurrentIndex(1)  # the visible frame only
    viewer.dims.set_current_step(0, 0)
    assert segmented(opened)[0].any()
    viewer.dims.set_current_step(0, 1)
    found = segmented(opened)
    assert found[:2].any(axis=(1, 2)).all()  # of one region, both stay

    shapes.data = [RECTANGLE + np.array([0, 30])]
    viewer.dims.set_current_step(0, 2)
    found = segmented(opened)
    assert not found[:2].any()
    inside = np.zeros(FRAME.shape, bool)
    inside[10:41, 50:91] = True
    assert found[2].any()
    assert not found[2][~inside].any()
    np.testing.assert_array_equal(found[2], segment(MOVIE[2], resize=1, region=inside))
    assert opened.messages == []


def test_regions_with_the_same_pixels_are_equal(opened: Any) -> None:
    image = opened.viewer.layers["movie"].__wrapped__
    labels = np.zeros(MOVIE.shape, np.uint8)
    labels[:, 10:20, 30:60] = 1
    alike = [
        [drawn_region(Shapes([RECTANGLE], name=name), image) for name in "ab"],
        [drawn_region(Labels(labels * value, name="a"), image) for value in (1, 7)],
        [field_of_view(ImageData(image.data)), field_of_view(ImageData(image.data))],
    ]
    for one, other in alike:
        assert one == other
    assert len({one for one, _ in alike}) == len(alike)
    for other in (np.roll(labels, 1, axis=0), np.roll(labels, 1, axis=2)):
        other[0, 0, 0] ^= 1
        assert drawn_region(Labels(other), image) != alike[1][0]
    lazy = Labels(da.from_array(labels))
    assert drawn_region(lazy, image) != drawn_region(lazy, image)  # too large to compare


def test_a_run_keeps_its_region_when_the_drawing_changes_or_goes(opened: Any) -> None:
    viewer = opened.viewer
    data = np.zeros(MOVIE.shape, np.uint8)
    data[:, :40] = 1
    labels = viewer.add_labels(data, name="mine")
    choose(opened, labels)
    opened.widget.segment()
    labels.data[...] = 0
    viewer.layers.remove(labels)
    opened.wait(lambda: not opened.busy())
    found = viewer.layers["movie vessels"].data
    region = np.zeros(FRAME.shape, bool)
    region[:40] = True
    np.testing.assert_array_equal(found, segment(MOVIE, resize=1, region=region))
    assert not found[:, 40:].any()


def test_a_mask_may_be_the_region_of_the_run_that_replaces_it(opened: Any) -> None:
    first = segmented(opened)
    choose(opened, opened.viewer.layers["movie vessels"])
    found = segmented(opened)
    np.testing.assert_array_equal(found, segment(MOVIE, resize=1, region=first))
    assert found.any()


def test_each_frame_has_its_own_field_of_view(opened: Any) -> None:
    dark = MOVIE.copy()
    for number, frame in enumerate(dark):
        frame[:, : 8 * number] = 0
    opened.viewer.layers["movie"].data = dark
    opened.widget.region.value = "field of view"
    found = segmented(opened)
    inside = field_of_view(ImageData(dark))
    for number in range(4):
        assert not found[number][~inside.mask_of((number,))].any()
    assert not inside.mask_of((3,))[:, :24].any()
    assert inside.mask_of((0,))[:, :8].any()


def test_text_outside_a_region_changes_nothing_inside(opened: Any) -> None:
    deep = MOVIE.astype(np.uint16) * 8
    deep[:, :16] = np.linspace(0, 65535, FRAME.shape[1])
    opened.viewer.layers["movie"].data = deep
    everything = segmented(opened)
    region = np.zeros(FRAME.shape, np.uint8)
    region[24:] = 1
    choose(opened, opened.viewer.add_labels(region, name="mine"))
    found = segmented(opened)
    wanted = segment(deep, resize=1, region=region)
    np.testing.assert_array_equal(found, wanted)
    assert found[:, 24:].sum() > everything[:, 24:].sum()
