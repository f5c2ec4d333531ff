"""Which layers the Measure widget chooses: of a mask its own image, and what the user chose as long as it is there."""

import numpy as np
from measured_vessels import FORK, open_measure
from windows import Window


def test_the_image_of_a_mask_is_chosen_unless_the_user_decides(window: Window) -> None:
    viewer = window.viewer.__wrapped__
    frame = np.where(FORK, 50, 200).astype(np.uint8)
    other, image = viewer.add_image(frame, name="other"), viewer.add_image(frame, name="run")
    drawn_by_hand = viewer.add_labels(FORK, name="Labels")
    mask = viewer.add_labels(FORK, name="run vessels")
    opened = viewer.add_labels(FORK, name="expert", metadata={"napari-darl": {"source": "other"}})
    viewer.add_labels(FORK[:60], name="run_mask")  # of another shape
    viewer.layers.selection.active = image
    form = open_measure(window).form
    assert form.chosen is mask
    assert form.image.value is image
    form.image.value = None
    viewer.add_image(frame, name="later")
    assert form.image.value is None  # as the user decided
    form.masks.value = opened
    assert form.image.value is other
    form.masks.value = drawn_by_hand
    assert form.image.value is None
    form.masks.value = mask
    assert form.image.value is image


def test_an_image_that_is_opened_after_its_mask_is_chosen(window: Window) -> None:
    window.viewer.add_labels(FORK, name="run_mask [1]")
    widget = open_measure(window)
    assert widget.form.image.value is None
    image = window.viewer.__wrapped__.add_image(FORK, name="run")
    assert widget.form.image.value is image
    assert widget.compare.other.value is None
    expert = window.viewer.__wrapped__.add_labels(FORK, name="expert")
    assert widget.compare.other.value is expert


def test_renamed_layers_stay_chosen_and_removed_ones_dont(window: Window) -> None:
    viewer = window.viewer.__wrapped__
    run, other = viewer.add_image(FORK, name="run"), viewer.add_image(FORK, name="other")
    expert = viewer.add_labels(FORK, name="expert")
    mask = viewer.add_labels(FORK, name="run vessels")
    viewer.add_labels(FORK, name="third")
    widget = open_measure(window)
    widget.form.masks.value = mask
    widget.form.image.value, widget.compare.other.value = other, expert
    for layer in (mask, other, expert):
        layer.name = f"my {layer.name}"
    assert widget.form.chosen is mask
    assert widget.form.image.value is other
    assert widget.compare.other.value is expert
    viewer.layers.remove(other)
    assert widget.form.image.value is None
    assert widget.form.source().image is None
    viewer.layers.remove(mask)
    assert widget.form.chosen is expert
    assert widget.form.image.value is None
    widget.form.masks.value = viewer.add_labels(FORK, name="run vessels")
    assert widget.form.image.value is run
