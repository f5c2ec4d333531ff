"""Channels by name and number: of colours, and along the axis of channels of TIFF and zarr, whole or lazily."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_darl import ImageData, InputError, open_image, segment
from napari_darl.frames.channels import as_grey, colours_that_show, select_channel, to_grey
from napari_darl.frames.selection import FrameNumbers
from napari_darl.frames.stacks import read_stack
from napari_darl.inference.loading import Model
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:64, :80]
NAMES = ("DAPI", "488", "CD31")
CELLS = np.stack([FRAME // 3, FRAME // 2, FRAME])  # C, Y, X
MOVIE = np.stack([CELLS, CELLS[:, ::-1]])  # T, C, Y, X


@pytest.mark.parametrize(
    ("channel", "expected"),
    [(None, 20), ("red", 10), ("Blue", 30), (0, 10), ("2", 30), ("luminance", 19), ("brightest", 30)],
)
def test_colours(channel: str | int | None, expected: int) -> None:
    pixels = np.array([[[10, 20, 30]]], np.uint8)
    assert to_grey(pixels, channel).tolist() == [[expected]]
    assert as_grey(ImageData(pixels, rgb=True, axes="YXS"), channel).axes == "YX"


@pytest.mark.parametrize(
    ("colours", "words"),
    [
        ((1, 0, 0), "red shows something: choose it"),
        ((0, 1, 1), "green and blue show something: choose one of them"),
        ((1, 1, 1), ""),  # what a choice would gain isn't known
        ((0, 0, 0), ""),
    ],
)
def test_only_some_colours_show_something(colours: tuple[int, int, int], words: str) -> None:
    hint = colours_that_show(ImageData(FRAME[..., None] * np.array(colours, np.uint8), rgb=True))
    assert hint == (f" Of its colours, {words} as the channel." if words else "")


@pytest.mark.parametrize("channel", ["alpha", 3, "4", ""])
def test_colours_that_arent_there(channel: str | int) -> None:
    with pytest.raises(InputError, match=r"Choose red, green, blue or luminance, or a number from 0 to 2\.$"):
        to_grey(np.zeros((2, 2, 4)), channel)


@pytest.mark.parametrize(("channel", "number"), [("dapi", 0), ("488", 1), (2, 2), ("2", 2), ("CD31", 2)])
def test_channels_along_an_axis(channel: str | int, number: int) -> None:
    first = select_channel(ImageData(CELLS, axes="CYX", channels=NAMES), channel)
    np.testing.assert_array_equal(first.data, CELLS[number])
    assert (first.axes, first.channel) == ("YX", None)
    kept = select_channel(ImageData(MOVIE, axes="TCYX", channels=NAMES), channel)
    np.testing.assert_array_equal(kept.data, MOVIE[:, number : number + 1])
    assert (kept.axes, kept.channel) == ("TCYX", number)


def test_what_grey_images_have_and_what_they_lack() -> None:
    grey = ImageData(FRAME, axes="YX")
    for channel in (None, "red", 0, "luminance"):
        assert select_channel(grey, channel) is grey
    with pytest.raises(InputError, match=r"no channel 'DAPI', since the image has no axis of channels \(its axes are"):
        select_channel(grey, "DAPI")
    with pytest.raises(InputError, match="Choose DAPI, 488, CD31, or a number from 0 to 2"):
        select_channel(ImageData(CELLS, axes="CYX", channels=NAMES), "green")
    with pytest.raises(InputError, match="Choose a number from 0 to 2"):
        select_channel(ImageData(CELLS, axes="CYX"), 3)


@pytest.mark.parametrize("axes", ["CYX", "TCYX"])
def test_lazy_arrays_are_read_where_they_are_sliced(axes: str) -> None:
    class Lazy:
        def __init__(self, data: np.ndarray) -> None:
            self.shape, self.dtype, self._data = data.shape, data.dtype, data

        def __getitem__(self, index: object) -> np.ndarray:
            part = np.asarray(self._data[index])
            assert part.size <= FRAME.size, "more than one channel was read"
            return part

    data = CELLS if axes == "CYX" else MOVIE
    lazy = select_channel(ImageData(Lazy(data), axes=axes), 1)
    whole = select_channel(ImageData(data, axes=axes), 1).data
    assert lazy.data.shape == whole.shape
    for index in (
        (slice(3, 40), slice(None, None, 2)) if axes == "CYX" else (1, 0, slice(3, 40)),
        (..., 5),
        0,
        *([(1, slice(None), slice(2, 5), 3)] if axes == "TCYX" else []),
    ):
        np.testing.assert_array_equal(lazy.data[index], whole[index])


@pytest.mark.parametrize("lazy", [False, True])
def test_names_come_from_ome(tmp_path: Path, lazy: bool, untrained: Model) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", MOVIE, metadata={"axes": "TCYX", "Channel": {"Name": list(NAMES)}})
    image = open_image(tmp_path / "a.ome.tif", lazy=lazy)
    assert image.channels == NAMES
    mask = segment(image, untrained, channel="CD31")
    assert mask.shape == (2, 1, *FRAME.shape)
    np.testing.assert_array_equal(mask[0, 0], segment(FRAME, untrained))
    assert [len(one) for one in read_stack(tmp_path / "a.ome.tif", "CD31").series] == [2]


def test_names_come_from_ome_zarr(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("0", data=CELLS)
    axes = [{"name": name} for name in "cyx"]
    group.attrs["ome"] = {
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
        "omero": {"channels": [{"label": name} for name in NAMES]},
    }
    image = open_image(tmp_path / "a.zarr", lazy=True)
    assert image.channels == NAMES
    np.testing.assert_array_equal(np.asarray(select_channel(image, "488").data[...]), CELLS[1])


@pytest.mark.parametrize(
    ("text", "chosen"), [("3", [3]), ("0,3,5-7", [0, 3, 5, 6, 7]), ("8-", [8, 9]), ("4, 2 ,4", [2, 4])]
)
def test_numbers_of_frames(text: str, chosen: list[int]) -> None:
    assert FrameNumbers(text).of(10) == chosen


@pytest.mark.parametrize("text", ["", "a", "-3", "5-2", "1;2", "1,,2", "1.5", "1 2"])
def test_what_isnt_numbers_of_frames(text: str) -> None:
    with pytest.raises(InputError, match=r"Pass numbers from 0 and ranges"):
        FrameNumbers(text)


@pytest.mark.parametrize("text", ["10", "3-10", "12-"])
def test_frames_that_arent_there(text: str) -> None:
    with pytest.raises(InputError, match="since there are 10, counted from 0"):
        FrameNumbers(text).of(10)
