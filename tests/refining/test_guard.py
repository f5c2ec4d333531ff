"""The guard of refining: folds, thresholds, disagreement and the choice."""

import numpy as np
import pytest
import torch

from napari_darl.refining.corrections import LabelledFrame
from napari_darl.refining.guard import (
    GAIN,
    LEAST_DICE,
    LEAST_SHARE,
    MOST_DISAGREEMENT,
    Candidate,
    Overlap,
    best_threshold,
    choose,
    disagreement,
    folds,
)


def labelled(probability: np.ndarray, labels: np.ndarray) -> LabelledFrame:
    pixels = np.zeros(labels.shape, np.uint8)
    return LabelledFrame(pixels, torch.zeros(1, 1, *labels.shape), probability.astype(np.float32), 1.0, labels)


@pytest.fixture
def frame() -> LabelledFrame:
    """Columns 0 and 1 are surely vessel, 2 isn't sure, 3 to 9 are surely background; the upper half is corrected."""
    probability = np.tile(np.array([0.95, 0.99, 0.6, 0.01, 0.02, 0.05, 0.03, 0.0, 0.01, 0.02]), (8, 1))
    labels = np.full((8, 10), -1, np.int8)
    labels[:4] = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    return labelled(probability, labels)


def test_sure_pixels_are_those_that_nobody_corrected(frame: LabelledFrame) -> None:
    assert (frame.sure[:4] == -1).all()
    assert frame.sure[4].tolist() == [1, 1, -1, 0, 0, 0, 0, 0, 0, 0]


def test_dice_counts_labelled_pixels_only() -> None:
    overlap = Overlap()
    overlap.add(np.array([[True, True, False, True]]), np.array([[1, 0, 1, -1]], np.int8))
    assert overlap.dice == 0.5
    assert Overlap().dice == 1


def test_each_label_of_two_frames_is_held_out_once(frame: LabelledFrame) -> None:
    other = labelled(frame.probability, frame.labels)
    (fitted, held), (fitted_2, held_2) = folds([frame, other])
    assert fitted == [other]
    assert held == [frame]
    assert fitted_2 == [frame]
    assert held_2 == [other]


def test_a_single_frame_is_split_into_halves_that_both_have_vessels(frame: LabelledFrame) -> None:
    (fitted, held), (fitted_2, held_2) = folds([frame])
    for part, rest in ((fitted, held), (fitted_2, held_2)):
        said, held_out = part[0].labels != -1, rest[0].labels != -1
        assert not (said & held_out).any()
        assert ((said | held_out) == (frame.labels != -1)).all()
        assert (part[0].labels == 1).any()


def test_the_threshold_of_greatest_dice_is_found(frame: LabelledFrame) -> None:
    assert best_threshold([frame.probability], [frame.labels], 0.7) == pytest.approx(0.1, abs=0.051)
    perfect = labelled(frame.probability, np.where(frame.probability > 0.7, 1, 0).astype(np.int8))
    assert best_threshold([perfect.probability], [perfect.labels], 0.7) == 0.7


def test_disagreement_is_measured_where_the_original_is_sure(frame: LabelledFrame) -> None:
    same = frame.probability > 0.5
    assert disagreement([frame], [same]) == 0
    assert disagreement([frame], [np.zeros_like(same)]) == 1


def test_where_all_is_corrected_disagreement_is_measured_there(frame: LabelledFrame) -> None:
    finished = labelled(frame.probability, np.zeros((8, 10), np.int8))
    assert disagreement([finished], [np.zeros((8, 10), bool)]) == 1
    assert disagreement([finished], [frame.probability > 0.5]) == 0


def test_a_candidate_has_to_be_clearly_better_and_must_not_disagree() -> None:
    original = Candidate(0.7, 0.0)
    assert choose({"original": original, "threshold": Candidate(0.7 + GAIN / 2, 0)}) == "original"
    assert choose({"original": original, "threshold": Candidate(0.75, 0), "free": Candidate(0.78, 0.1)}) == "free"
    assert choose({"original": original, "threshold": Candidate(0.75, 0), "free": Candidate(0.76, 0.1)}) == "threshold"
    assert choose({"original": original, "free": Candidate(1.0, MOST_DISAGREEMENT + 0.01)}) == "original"
    assert choose({"original": original, "free": Candidate(0.8, 0.1, worst_gain=-0.01)}) == "original"


def test_a_good_original_gives_way_only_to_a_candidate_that_removes_a_share_of_its_error() -> None:
    original = Candidate(0.7, 0.0)
    needed = 0.7 + LEAST_SHARE * 0.3
    assert choose({"original": original, "free": Candidate(needed - 0.005, 0.1)}) == "original"
    assert choose({"original": original, "free": Candidate(needed + 0.005, 0.1)}) == "free"


def test_gains_among_bad_candidates_are_not_believed() -> None:
    original = Candidate(0.05, 0.0)
    assert choose({"original": original, "threshold": Candidate(LEAST_DICE - 0.01, 0.1)}) == "original"
    assert choose({"original": original, "threshold": Candidate(LEAST_DICE, 0.1)}) == "threshold"
