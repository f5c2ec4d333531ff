"""Numbers are typed with decimal points and decimal commas, in any locale."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(params=["en_US", "de_DE", "sv_SE"])
def locale(request: pytest.FixtureRequest) -> Iterator[str]:
    """A locale in which widgets are made."""
    pytest.importorskip("qtpy.QtWidgets")
    from qtpy.QtCore import QLocale

    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def typed(qtbot: Any, field: Any, text: str) -> None:
    from qtpy.QtCore import Qt

    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


@pytest.mark.parametrize("text", ["0.7", "0,7"])
def test_a_box_takes_either_mark(qtbot: Any, locale: str, text: str) -> None:
    from napari_darl._napari.pickers import resize_box

    box = resize_box()
    qtbot.addWidget(box)
    typed(qtbot, box.lineEdit(), text)
    assert (box.value(), box.text()) == (0.7, "0.70"), locale


@pytest.mark.parametrize("text", ["0.7", "0,7"])
def test_the_number_beside_a_slider_takes_either_mark(qtbot: Any, locale: str, text: str) -> None:
    from qtpy.QtWidgets import QLineEdit

    from napari_darl._napari.segmenting.cleaning_form import CleaningForm

    form = CleaningForm()
    qtbot.addWidget(form)
    slider = form.controls["threshold"]
    typed(qtbot, slider.findChild(QLineEdit), text)
    assert slider.value() == pytest.approx(0.7), locale
