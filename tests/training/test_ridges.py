"""Oriented ridge filters, continuation outside of the field of view, hysteresis, and the labels made from them."""

import numpy as np

from napari_darl.training.ridges import black_top_hat, continued, hysteresis, oriented_ridges
from napari_darl.training.teacher import TeacherConfig, agreed_labels, sure_labels


def frame_with_vessel(length: int) -> np.ndarray:
    """Return a noisy frame in [-1, 1] with one dark vessel of some length, 5 px wide."""
    frame = 0.5 + 0.02 * np.random.default_rng(0).standard_normal((160, 160)).astype(np.float32)
    frame[78:83, 10 : 10 + length] = -0.4
    return frame.astype(np.float32)


def test_oriented_ridges_peak_on_the_axis_in_every_direction() -> None:
    frame = np.ones((96, 96), np.float32)
    frame[40:45] = 0
    for image, axis in ((frame, 1), (frame.T, 0)):
        response = oriented_ridges(np.ascontiguousarray(image), (1.5, 2.5)).mean(axis=axis)
        assert abs(int(response.argmax()) - 42) <= 1
        assert response.min() >= 0
    assert oriented_ridges(1 - frame, (1.5,))[42].max() < oriented_ridges(frame, (1.5,))[42].min()


def test_a_frame_is_continued_only_outside_of_its_field_of_view() -> None:
    frame = np.random.default_rng(1).random((64, 64)).astype(np.float32)
    field = np.zeros((64, 64), np.bool_)
    field[16:48, 16:48] = True
    filled = continued(frame, field)
    assert np.array_equal(filled[field], frame[field])
    assert filled[~field].min() > frame[field].min()
    assert filled[~field].max() < frame[field].max()
    everywhere = np.ones((64, 64), np.bool_)
    assert np.array_equal(continued(frame, everywhere), frame)
    assert np.array_equal(continued(frame, ~everywhere), frame)


def test_hysteresis_keeps_parts_with_enough_seeds() -> None:
    response = np.zeros((20, 20), np.float32)
    response[3] = 0.5
    response[3, :4] = 1
    response[10] = 0.5
    found = hysteresis(response, 0.4, 0.9, 4)
    assert found[3].all()
    assert not found[10].any()
    assert found.sum() == 20
    assert not hysteresis(response, 0.4, 0.9, 5).any()


def test_the_top_hat_is_the_depth_of_narrow_dark_structures() -> None:
    frame = np.ones((40, 40), np.float32)
    frame[20, :] = 0
    depth = black_top_hat(frame, 9)
    assert depth[20].min() > 0.3
    assert depth[:10].max() < 1e-4


def test_short_ridges_are_unsure_or_background() -> None:
    common = {"filter": "oriented", "top_hat": 0.3, "side": 160, "vessel": 0.01}
    long = sure_labels(frame_with_vessel(140), TeacherConfig(**common, shortest=30))
    assert (long[80, 30:130] == 1).mean() > 0.8
    for isolated, label in ((False, 0), (True, -1)):
        config = TeacherConfig(**common, shortest=60, isolated=isolated)
        short = sure_labels(frame_with_vessel(30), config)
        assert (short == 1).sum() == 0
        assert (short[80, 15:35] == label).mean() > 0.8


def test_gaps_between_sure_parts_close() -> None:
    probability = np.zeros((128, 128), np.float32)
    probability[60:65, 4:124] = 0.95
    probability[60:65, 60:70] = 0.4
    ridges = np.zeros((128, 128), np.int8)
    apart = agreed_labels(ridges, probability, TeacherConfig(shortest=20))
    whole = agreed_labels(ridges, probability, TeacherConfig(shortest=20, grow=0.3))
    assert (apart[62, 60:70] == 1).sum() == 0
    assert (whole[60:65, 62:68].max(axis=0) == 1).all()
