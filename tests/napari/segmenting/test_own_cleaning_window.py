"""The controls of the mask begin with what the model's file asks for, and so does the menu."""

import numpy as np
from windows import Window

from napari_darl import segment
from napari_darl._napari.commands import segment_vessels
from napari_darl.inference.cleaning import Cleaning
from napari_darl.samples import sample_angiogram

OWN = Cleaning(hysteresis=0.9, peak=0.9)


def test_the_menu_and_the_widget_clean_as_the_command_line(window: Window) -> None:
    frame = sample_angiogram()[128:256, 128:320]
    window.viewer.add_image(frame)
    segment_vessels(window.viewer)
    window.finish()
    mask = window.viewer.layers[-1]
    np.testing.assert_array_equal(mask.data, segment(frame))
    widget = window.open_segment()
    assert widget.cleaning.value == OWN
    widget.cleaning.controls["peak"].setValue(0)
    window.wait(lambda: mask.metadata["napari-darl"]["peak"] == 0)
    assert mask.metadata["napari-darl"]["hysteresis"] == 0.9


def test_the_controls_follow_the_model_until_there_is_a_mask(window: Window) -> None:
    window.viewer.add_image(sample_angiogram()[128:192, 128:192])
    widget = window.open_segment(resize=1)
    assert widget.cleaning.value == OWN
    widget.model.choose("fundus")
    assert widget.cleaning.value == Cleaning()
    widget.cleaning.controls["peak"].setValue(0.4)
    widget.segment()
    window.finish()
    widget.model.choose("default")
    assert widget.cleaning.value == Cleaning(peak=0.4)
    widget.segment()
    window.finish()
    assert widget.cleaning.value == OWN


def test_the_folder_widget_begins_with_it_too(window: Window) -> None:
    widget = window.dock("Segment a folder")
    assert widget.cleaning.value == OWN
    widget.model.choose("fundus")
    assert widget.cleaning.value == Cleaning()
