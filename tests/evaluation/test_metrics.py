"""The measures, on masks small enough to count by hand."""

import warnings

import numpy as np
import pytest

from napari_darl.errors import DarlWarning, InputError
from napari_darl.evaluation.metrics import Scores, above_half, average_precision, mean_scores, roc_auc, score

EMPTY = np.zeros((20, 20), bool)


def bar(rows, columns=slice(2, 18)):
    mask = EMPTY.copy()
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (-1, 1), (0.0, 0.3), (False, True)])
def test_above_half_reads_every_coding(values):
    mask = np.array([[values[0], values[1]]])
    assert above_half(mask).tolist() == [[False, True]]


@pytest.mark.parametrize("value", [0, 0.0, -1, False])
def test_above_half_finds_nothing_in_an_empty_mask(value):
    assert not above_half(np.full((3, 3), value)).any()


def test_above_half_drops_the_soft_rim_of_a_lossy_mask():
    assert above_half(np.array([[0, 3, 127, 128, 250, 255]], np.uint8)).sum() == 3


def test_counts_by_hand():
    truth, prediction = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    truth[0] = True  # 4 pixels
    prediction[0, :3] = prediction[2, :2] = True  # 3 hits, 2 false
    scores = score(prediction, truth)
    assert scores.dice == pytest.approx(6 / 9)
    assert scores.iou == pytest.approx(3 / 6)
    assert scores.precision == pytest.approx(3 / 5)
    assert scores.recall == pytest.approx(3 / 4)
    assert scores.roc_auc is None
    assert scores.pr_auc is None


def test_cldice_ignores_width_but_not_gaps():
    truth = bar(slice(9, 12))
    wide, gap = bar(slice(7, 14)), truth.copy()
    gap[:, 8:12] = False
    assert score(wide, truth).cldice > 0.9 > score(wide, truth).dice
    assert score(gap, truth).cldice < 0.9


def test_cldice_of_a_vessel_at_45_degrees():
    # Zhang's thinning leaves one pixel of it, which says nothing of the half that is missing.
    y, x = np.mgrid[:100, :100]
    truth = (np.abs(x - y - 0.5) <= 2) & (x + y > 40) & (x + y < 160)
    found = score(truth & (x + y < 100), truth)
    assert found.cldice == pytest.approx(2 / 3, abs=0.02)


def test_cldice_by_hand():
    truth, prediction = bar(10), bar(10, slice(2, 10))  # lines are their own skeletons
    prediction[4, 2:6] = True
    precision, sensitivity = 8 / 12, 8 / 16
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert score(prediction, truth).cldice == pytest.approx(expected)


def test_both_empty_is_full_agreement():
    assert score(EMPTY, EMPTY) == Scores(1, 1, 1, 1, 1)


@pytest.mark.parametrize(("prediction", "truth"), [(EMPTY, bar(3)), (bar(3), EMPTY), (bar(3), bar(12))])
def test_no_overlap_is_no_agreement(prediction, truth):
    assert score(prediction, truth) == Scores(0, 0, 0, 0, 0)


def test_nothing_outside_the_field_of_view_counts():
    truth, inside = bar(slice(4, 7)), EMPTY.copy()
    inside[:10] = True
    prediction = truth | bar(slice(13, 17))
    probability = prediction * 0.9
    assert score(prediction, truth, probability=probability).precision < 0.5
    assert score(prediction, truth, probability=probability, fov=inside) == Scores(1, 1, 1, 1, 1, 1, 1)


def test_areas_under_the_curves_by_hand():
    truth = np.array([[0, 0, 1, 1]])
    scores = score(truth, truth, probability=np.array([[0.1, 0.4, 0.35, 0.8]]))
    assert scores.roc_auc == pytest.approx(3 / 4)  # three of four pairs in order
    assert scores.pr_auc == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@pytest.mark.parametrize("levels", [3, 256, 10**9])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int8])
def test_areas_are_those_of_scikit_learn(levels: int, dtype: type) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(levels)
    for share in (0.001, 0.1, 0.5, 0.999):
        vessel = rng.random(5000) < share
        vessel[:2] = True, False
        chance = (rng.integers(0, min(levels, 127), 5000) + 20 * vessel).astype(dtype)
        assert roc_auc(vessel, chance) == pytest.approx(metrics.roc_auc_score(vessel, chance), abs=1e-12)
        expected = metrics.average_precision_score(vessel, chance)
        assert average_precision(vessel, chance) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("truth", [EMPTY, ~EMPTY])
def test_no_area_where_the_truth_is_all_alike(truth, rng):
    scores = score(truth, truth, probability=rng.random(truth.shape))
    assert (scores.dice, scores.roc_auc, scores.pr_auc) == (1, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prediction": np.zeros((20, 19))}, r"prediction's shape \(20, 19\)"),
        ({"truth": np.zeros((2, 20, 20))}, "one 2-D frame"),
        ({"truth": np.zeros((0, 20))}, "no pixels"),
        ({"truth": np.full((20, 20), np.nan)}, "NaN"),
        ({"truth": np.full((20, 20), "1")}, "type <U1"),
        ({"probability": np.full((20, 20), np.nan)}, "probability holds NaN"),
        ({"probability": np.zeros((20, 19))}, "probability's shape"),
        ({"fov": EMPTY}, "field of view is empty"),
        ({"fov": np.ones((1, 20), bool)}, "field of view's shape"),
    ],
)
def test_refuses_what_cannot_be_measured(arguments, message):
    with pytest.raises(InputError, match=message):
        score(**{"prediction": EMPTY, "truth": EMPTY} | arguments)


def test_mean_leaves_out_areas_that_are_not_known():
    first, second = Scores(1, 1, 1, 1, 1, 0.8, None), Scores(0, 0.5, 0, 0, 0)
    assert mean_scores([first, second]) == Scores(0.5, 0.75, 0.5, 0.5, 0.5, 0.8, None)
    with pytest.raises(InputError, match="no scores"):
        mean_scores([])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_labels_of_several_kinds_are_warned_of() -> None:
    vessels = np.zeros((8, 8), np.uint8)
    vessels[:2], vessels[4:6] = 1, 2
    with pytest.warns(DarlWarning, match="the values 0, 1, 2"):
        assert above_half(vessels).sum() == 16
    soft = np.repeat(np.arange(0, 256, 4, np.uint8), 8)[: 8 * 64].reshape(8, 64)
    with warnings.catch_warnings(action="error"):
        above_half(soft)
        above_half(vessels > 0)


@pytest.mark.parametrize("values", [(100, 200, 300), (0.2, 0.5, 1.0), (-1, 0, 1), (85, 170, 255)])
def test_labels_of_any_size_are_warned_of(values: tuple[float, float, float]) -> None:
    vessels = np.full((32, 32), min(0, *values), np.float32 if isinstance(values[0], float) else np.int16)
    vessels[2:6], vessels[10:14], vessels[20:24] = values
    with pytest.warns(DarlWarning, match=f"{values[0]}, .*{values[1]}"):
        above_half(vessels)


def test_soft_edges_are_no_labels() -> None:
    edges = np.zeros((64, 64), np.uint8)
    edges[10:50, 10:50] = 255
    edges[9, 10:50] = edges[50, 10:50] = 90
    assert above_half(edges).sum() == 1600
