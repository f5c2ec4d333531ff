"""The field of view: rectangles and circles found in what detectors make of them, and nothing cut off without need."""

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from napari_darl.errors import InputError
from napari_darl.frames.channels import to_grey
from napari_darl.frames.field_of_view import find_field_of_view
from napari_darl.io.images import image_paths, read_image
from napari_darl.samples import sample_angiogram, sample_fundus
from napari_darl.synthetic.phantom import phantom_angiogram

DRIVE = Path(__file__).parents[3] / "shared" / "data" / "drive" / "training"

Mask = NDArray[np.bool_]


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def rectangle(shape: tuple[int, int]) -> Mask:
    """What a collimator leaves: all four blades are in the frame."""
    lit = np.zeros(shape, bool)
    lit[shape[0] // 8 : -shape[0] // 6, shape[1] // 10 : -shape[1] // 5] = True
    return lit


def circle(shape: tuple[int, int]) -> Mask:
    """What an image intensifier leaves: it reaches beyond the frame above and below."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 0.55 * min(shape)


def shutter(lit: Mask, surround: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    """Made-up angiogram in [0, 1], lit in part; the surround has noise, too."""
    rng = np.random.default_rng(seed)
    frame, _ = phantom_angiogram(lit.shape, rng)
    return np.clip(np.where(lit, frame / 2 + 0.5, surround) + 0.01 * rng.standard_normal(lit.shape), 0, 1)


@pytest.mark.parametrize("shape", [(64, 64), (300, 300), (512, 512), (480, 640), (1024, 1000)])
@pytest.mark.parametrize("form", [rectangle, circle])
@pytest.mark.parametrize("surround", [0.0, 0.15])
def test_finds_what_shutters_leave(shape: tuple[int, int], form: Any, surround: float) -> None:
    lit = form(shape)
    assert dice(find_field_of_view(shutter(lit, surround), margin=0), lit) > 0.98


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: (255 * frame).astype(np.uint8),
        lambda frame: (4095 * frame).astype(np.uint16),
        lambda frame: (4000 * frame - 1000).astype(np.int16),
        lambda frame: frame.astype(np.float32),
        lambda frame: frame.astype(np.float16),
        lambda frame: 1e6 * frame - 3e5,
    ],
    ids=["uint8", "uint16", "int16", "float32", "float16", "float64"],
)
def test_dtypes_and_ranges_do_not_matter(convert: Any) -> None:
    lit = circle((200, 240))
    assert dice(find_field_of_view(convert(shutter(lit)), margin=0), lit) > 0.98


def test_the_margin_is_taken_off_at_the_surround_only() -> None:
    lit = circle((512, 512))
    frame = shutter(lit)
    inside = find_field_of_view(frame)
    assert inside[0].any()
    assert inside[-1].any()
    rim = inside & ~binary_erosion(inside, border_value=1)
    nearest, usual, farthest = np.percentile(distance_transform_edt(lit)[rim], [5, 50, 95])
    assert 3 < nearest < usual < farthest < 9
    assert usual == pytest.approx(6, abs=2)
    assert find_field_of_view(frame, margin=0.45).sum() < inside.sum() / 2


def test_a_margin_can_take_all() -> None:
    assert not find_field_of_view(shutter(rectangle((512, 512))), margin=0.49).any()


def test_dark_things_inside_and_vessels_across_the_rim_belong_to_it() -> None:
    lit = rectangle((512, 512))
    frame = shutter(lit)
    frame[200:210] *= 0.2
    frame[300:330, 200:260] = 0
    field = find_field_of_view(frame, margin=0)
    assert dice(field, lit) > 0.98
    assert field[300:330, 200:260].all()
    assert field[200:210, 100:380].all()


def test_a_mark_on_the_surround_does_not() -> None:
    lit = rectangle((512, 512))
    frame = shutter(lit)
    frame[10:30, 10:40] = 1
    assert not find_field_of_view(frame)[:40, :40].any()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(32, 32), (256, 256), (512, 512)])
def test_frames_without_a_surround_are_kept_whole(shape: tuple[int, int], seed: int) -> None:
    frame, _ = phantom_angiogram(shape, np.random.default_rng(seed))
    assert find_field_of_view(frame).mean() > 0.97


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_frame_of_one_value_is_kept_whole(value: int) -> None:
    assert find_field_of_view(np.full((40, 50), value, np.uint8)).all()


def test_other_frames_with_nothing_in_them() -> None:
    for shape in ((1, 1), (1, 9), (9, 1), (3, 5)):
        frame = np.random.default_rng(0).random(shape)
        assert find_field_of_view(frame).shape == shape
    assert find_field_of_view(np.random.default_rng(0).random((200, 200))).all()
    assert find_field_of_view(np.eye(64, dtype=bool)).shape == (64, 64)


@pytest.mark.parametrize("name", ["angiogram", "angiogram_2"])
def test_sample_angiograms_lose_little(name: str) -> None:
    assert find_field_of_view(sample_angiogram(name)).mean() > 0.93


@pytest.mark.parametrize("channel", ["green", "luminance"])
def test_the_sample_fundus_is_found_as_a_circle(channel: Any) -> None:
    field = find_field_of_view(to_grey(sample_fundus(), channel), margin=0)
    rows, columns = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert 0.9 < height / 960 < 1
    assert height / width == pytest.approx(1, abs=0.02)
    assert field.sum() == pytest.approx(np.pi / 4 * height * width, rel=0.02)


@pytest.mark.skipif(not DRIVE.is_dir(), reason="the DRIVE photographs aren't here; they may not be redistributed")
def test_agrees_with_the_fields_of_view_of_drive() -> None:
    for image, truth in zip(image_paths(DRIVE / "images"), image_paths(DRIVE / "fov"), strict=True):
        field = find_field_of_view(to_grey(read_image(image).data, "luminance"), margin=0)
        assert dice(field, np.squeeze(iio.imread(truth)) > 127) > 0.98


@pytest.mark.parametrize(
    "frame",
    [np.zeros((0, 5)), np.zeros(5), np.zeros((5, 5, 3)), np.full((5, 5), np.nan), np.zeros((5, 5), complex)],
    ids=["empty", "one axis", "colours", "NaN", "complex"],
)
def test_refuses_what_is_no_frame(frame: NDArray[Any]) -> None:
    with pytest.raises(InputError, match="type "):
        find_field_of_view(frame)


@pytest.mark.parametrize("margin", [-0.1, 0.5, np.nan])
def test_refuses_margins_that_leave_nothing(margin: float) -> None:
    with pytest.raises(InputError, match="The margin is"):
        find_field_of_view(np.zeros((5, 5)), margin)
