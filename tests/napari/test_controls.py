"""All widgets: each control explains itself, and can be reached and used by the keyboard, in the order of the eye."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QMenu,
    QScrollBar,
    QTabBar,
    QTabWidget,
    QWidget,
)
from windows import Window

from napari_darl._napari.pickers import More, Scrolling
from napari_darl.samples import sample_angiogram

WIDGETS = ["Segment vessels", "Segment a folder", "Measure vessels", "Train a model", "Inspect a model"]
CONTROLS = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit, QAbstractSlider, QAbstractItemView)
WHOLES = (QComboBox, QAbstractSpinBox, QAbstractSlider)
"""Controls whose parts belong to them."""


def controls(widget: QWidget) -> Iterator[QWidget]:
    """The controls of a widget, without their parts, and without what the mouse alone needs."""
    for child in widget.findChildren(QWidget):
        parents = list(above(child, widget))
        part = any(isinstance(parent, (*WHOLES, QAbstractItemView, QMenu)) for parent in parents)
        of_tabs = parents and isinstance(parents[0], QTabBar)
        if isinstance(child, CONTROLS) and not part and not of_tabs and not isinstance(child, QScrollBar | QHeaderView):
            yield child


def above(child: QWidget, widget: QWidget) -> Iterator[QWidget]:
    while (child := child.parentWidget()) is not widget:
        yield child


def named(control: Any) -> str:
    text = (
        control.text() if hasattr(control, "text") else control.currentText() if hasattr(control, "currentText") else ""
    )
    return f"{type(control).__name__} {text!r}"


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("title", WIDGETS)
def test_controls_explain_themselves_and_the_keyboard_reaches_them(window: Window, title: str) -> None:
    movie = np.stack([sample_angiogram()[:64, :80]] * 3)
    window.viewer.add_image(movie, name="movie")
    window.viewer.add_labels((movie < 90).astype(np.uint8), name="mask")
    problems = list(problems_of(window.dock(title)))
    assert not problems, "\n".join(problems)


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("title", WIDGETS)
def test_widgets_scroll_where_the_screen_is_small(window: Window, title: str) -> None:
    widget = window.dock(title)
    for options in widget.findChildren(More):
        options.button.click()
    scrolling = widget.findChild(Scrolling)
    content = scrolling.widget()
    assert content.minimumSizeHint().width() < scrolling.minimumSizeHint().width() < 450  # with room for its bar
    dock = widget.parentWidget()
    widget.setParent(None)  # the window of tests isn't shown
    scrolling.setFixedSize(200, 200)
    widget.show()
    window.wait(lambda: scrolling.verticalScrollBar().maximum() > 0)
    assert scrolling.horizontalScrollBar().maximum() == content.width() - scrolling.viewport().width() > 0
    assert content.height() - scrolling.viewport().height() == scrolling.verticalScrollBar().maximum()
    widget.setParent(dock)


def problems_of(widget: QWidget) -> Iterator[str]:
    for options in widget.findChildren(More):
        options.button.click()
    for control in controls(widget):
        if not any(one.toolTip() for one in (control, *above(control, widget))):
            yield f"{named(control)} has no tooltip"
        if not control.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield f"{named(control)} can't be reached by Tab"
    tabs = widget.findChild(QTabWidget)
    for number in range(tabs.count() if tabs else 1):
        if tabs:
            tabs.setCurrentIndex(number)
            if not tabs.tabToolTip(number):
                yield f"the tab {tabs.tabText(number)} has no tooltip"
        widget.grab()  # lays it out
        yield from out_of_order(widget)


def out_of_order(widget: QWidget) -> Iterator[str]:
    """Name controls that Tab doesn't reach from top to bottom and, in a row, from left to right."""
    found = {control for control in controls(widget) if control.isVisibleTo(widget)}
    chain, current = [], widget.nextInFocusChain()
    while widget.isAncestorOf(current):  # not on through the whole window
        if current in found:
            chain.append(current)
        current = current.nextInFocusChain()
    assert set(chain) == found
    for before, after in pairwise(chain):
        first, second = (QRect(control.mapTo(widget, QPoint(0, 0)), control.size()) for control in (before, after))
        beside = first.top() <= second.center().y() <= first.bottom() and second.left() > first.left()
        if not beside and second.center().y() <= first.bottom():
            yield f"Tab goes from {named(before)} at {first} to {named(after)} at {second}"


def test_the_menu_lists_the_widgets_in_the_order_of_use(window: Window) -> None:
    from npe2 import PluginManager

    manifest = PluginManager.instance().get_manifest("napari-darl")
    assert [widget.display_name for widget in manifest.contributions.widgets] == WIDGETS
