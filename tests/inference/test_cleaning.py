"""From probability to mask: the same as scikit-image's own functions, on synthetic and real frames, and sooner."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.morphology import reconstruction, remove_small_holes, remove_small_objects, skeletonize

from napari_darl import segment_probability
from napari_darl.errors import InputError
from napari_darl.inference.cleaning import Cleaning, clean_mask
from napari_darl.samples import sample_angiogram

Frame = NDArray[np.float32]

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
SHAPES = [(1, 1), (1, 40), (40, 1), (7, 5), (33, 47), (64, 64)]


def noise(shape: tuple[int, ...], blur: float = 0.0, seed: int = 0) -> Frame:
    """Noise, even in [0, 1]; blurred along Y and X, it has pieces and holes of all sizes."""
    values = np.random.default_rng(seed).random(shape)
    if blur:
        values = gaussian_filter(values, blur, axes=(-2, -1))
    order = values.ravel().argsort().argsort()
    return (order.reshape(shape) / values.size).astype(np.float32)


@pytest.fixture(scope="module")
def real() -> Frame:
    return segment_probability(sample_angiogram(), device="cpu")


def connected(seeds: NDArray[np.bool_], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(reconstruction(seeds.astype(float), mask.astype(float), footprint=np.ones((3, 3))) > 0)


def reference(probability: Frame, cleaning: Cleaning) -> NDArray[np.uint8]:
    mask = probability > cleaning.threshold
    if cleaning.hysteresis:
        grown = connected(mask, probability > cleaning.threshold * (1 - cleaning.hysteresis))
        mask |= binary_dilation(skeletonize(grown) & ~mask, np.ones((3, 3))) & grown
    mask = connected(mask & (probability > cleaning.peak), mask)
    mask = remove_small_objects(mask, max_size=max(cleaning.smallest_piece - 1, 0), connectivity=2)
    if cleaning.largest_hole:
        # Within a frame of background, so that what touches the frame's edge is no hole.
        surrounded = np.pad(mask, 1)
        open_ = np.zeros_like(surrounded)
        open_[[0, -1]] = open_[:, [0, -1]] = True
        outside = reconstruction(open_.astype(float), (~surrounded).astype(float), footprint=CROSS) > 0
        filled = remove_small_holes(surrounded | outside, max_size=cleaning.largest_hole, connectivity=1)
        mask = (filled & ~outside)[1:-1, 1:-1]
    return mask.astype(np.uint8)


SETTINGS = [
    Cleaning(),
    Cleaning(threshold=0.7),
    Cleaning(hysteresis=0.2),
    Cleaning(threshold=0.3, hysteresis=0.9),
    Cleaning(peak=0.4),
    Cleaning(peak=0.9),
    Cleaning(hysteresis=0.4, peak=0.9),
    Cleaning(smallest_piece=1),
    Cleaning(smallest_piece=7),
    Cleaning(largest_hole=1),
    Cleaning(largest_hole=6),
    Cleaning(threshold=0.8, hysteresis=0.15, peak=0.95, smallest_piece=12, largest_hole=5),
    Cleaning(threshold=0.6, hysteresis=0.2, smallest_piece=100_000, largest_hole=100_000),
]


@pytest.mark.parametrize("cleaning", SETTINGS, ids=repr)
@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_equals_scikit_image_on_noise(cleaning: Cleaning, blur: float) -> None:
    for seed, shape in enumerate(SHAPES):
        frame = noise(shape, blur, seed)
        np.testing.assert_array_equal(clean_mask(frame, cleaning), reference(frame, cleaning))


@pytest.mark.parametrize("cleaning", SETTINGS, ids=repr)
def test_equals_scikit_image_on_a_real_frame(cleaning: Cleaning, real: Frame) -> None:
    np.testing.assert_array_equal(clean_mask(real, cleaning), reference(real, cleaning))


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_without_options_it_is_the_threshold(real: Frame, threshold: float) -> None:
    mask = clean_mask(real, Cleaning(threshold=threshold))
    assert mask.dtype == np.uint8
    assert mask.flags.writeable
    np.testing.assert_array_equal(mask, (real > threshold).astype(np.uint8))


def picture(*rows: str) -> Frame:
    """Probability of a drawing: # is 0.9, + is 0.4, and a blank is 0."""
    return np.array([[{"#": 0.9, "+": 0.4, " ": 0.0}[mark] for mark in row] for row in rows], np.float32)


def test_hysteresis_follows_a_faint_branch_also_diagonally_but_not_an_island() -> None:
    frame = picture("#   +", " +  +", "  + +")
    np.testing.assert_array_equal(clean_mask(frame, Cleaning(hysteresis=0.3)), picture("#    ", " #   ", "  #  ") > 0)


def test_hysteresis_follows_the_centreline_and_leaves_outlines_alone() -> None:
    sure = ["+++++           ", "#####           ", "#####++++++++++ ", "#####           ", "+++++           "]
    frame = picture(*sure)
    mask = clean_mask(frame, Cleaning(hysteresis=0.3))
    assert mask[[0, -1]].sum() == 0  # pixels beside the vessel
    assert mask[2, :14].all()  # its faint continuation, but for the last pixel, which thinning takes


def test_pieces_without_a_peak_go() -> None:
    frame = picture("#++ ++++", "        ")
    found = clean_mask(frame, Cleaning(threshold=0.3, peak=0.8))
    np.testing.assert_array_equal(found, picture("###     ", "        ") > 0)
    np.testing.assert_array_equal(clean_mask(frame, Cleaning(threshold=0.3, peak=0.3)), frame > 0.3)


def test_pieces_below_the_size_go_and_those_of_the_size_stay() -> None:
    frame = picture("# ## ###", "        ")
    np.testing.assert_array_equal(clean_mask(frame, Cleaning(smallest_piece=2)), picture("  ## ###", "        ") > 0)


def test_holes_up_to_the_size_are_filled_unless_they_reach_the_edge() -> None:
    frame = picture("#########", "# ##  # #", "#########", "## ######")
    filled = picture("#########", "####  ###", "#########", "## ######")
    np.testing.assert_array_equal(clean_mask(frame, Cleaning(largest_hole=1)), filled > 0)


def test_a_hole_that_a_dropped_piece_leaves_is_filled_if_small_enough() -> None:
    frame = picture("#####", "#   #", "# # #", "#   #", "#####")
    assert clean_mask(frame, Cleaning(smallest_piece=2, largest_hole=9)).all()
    assert clean_mask(frame, Cleaning(smallest_piece=2, largest_hole=8)).sum() == 16


def test_stacks_are_cleaned_frame_by_frame() -> None:
    movie = noise((2, 3, 20, 30), 1.0)
    cleaning = Cleaning(hysteresis=0.1, smallest_piece=5, largest_hole=5)
    mask = clean_mask(movie, cleaning)
    assert mask.shape == movie.shape
    np.testing.assert_array_equal(mask[1, 2], clean_mask(movie[1, 2], cleaning))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_empty_and_full_frames(value: float) -> None:
    frame = np.full((9, 12), value, np.float32)
    cleaning = Cleaning(hysteresis=0.1, smallest_piece=3, largest_hole=3)
    assert (clean_mask(frame, cleaning) == value).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"threshold": 1},
        {"threshold": float("nan")},
        {"hysteresis": -0.1},
        {"hysteresis": 1},
        {"peak": -0.1},
        {"peak": 1},
        {"smallest_piece": -1},
        {"smallest_piece": 2.5},
        {"largest_hole": -1},
    ],
    ids=repr,
)
def test_settings_refuse_nonsense(wrong: dict[str, float]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(InputError, match=rf"{value} for {name}"):
        Cleaning(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"{value} for {name}"):
        Cleaning().updated(**wrong)


def test_models_say_how_their_masks_are_cleaned() -> None:
    assert Cleaning.of_model({}) == Cleaning()
    said = {"threshold": 0.4, "cleaning": {"hysteresis": 0.3, "peak": 0.9}}
    assert Cleaning.of_model(said) == Cleaning(threshold=0.4, hysteresis=0.3, peak=0.9)


@pytest.mark.parametrize("asked", [None, 3, "peak", {"peak": 7}, {"peak": "high"}, {"sharpen": 1}], ids=repr)
def test_what_a_model_file_says_wrongly_is_left_out(asked: object) -> None:
    assert Cleaning.of_model({"threshold": "low", "cleaning": asked}) == Cleaning()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Cleaning().threshold = 0.4  # type: ignore[misc]


def test_refuses_what_is_no_frame() -> None:
    with pytest.raises(InputError, match=r"shape \(5,\)"):
        clean_mask(np.zeros(5, np.float32), Cleaning())
