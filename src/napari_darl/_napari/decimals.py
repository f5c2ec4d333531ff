"""Fields for numbers with a decimal point or a decimal comma.

Qt takes the mark that the locale doesn't use for decimals for a separator of thousands: of 0.7, typed where decimals
have a comma, it makes 7.
"""

from typing import Any

from qtpy.QtCore import QLocale
from qtpy.QtGui import QDoubleValidator
from qtpy.QtWidgets import QDoubleSpinBox, QLineEdit
from superqt import QLabeledDoubleSlider


def _plain() -> QLocale:
    """Return a locale with decimal points, without separators of thousands."""
    locale = QLocale.c()
    locale.setNumberOptions(QLocale.NumberOption.RejectGroupSeparator | QLocale.NumberOption.OmitGroupSeparator)
    return locale


class DecimalBox(QDoubleSpinBox):
    """A spin box that takes a decimal comma for a decimal point, whatever the locale."""

    def __init__(self) -> None:
        super().__init__()
        self.setLocale(_plain())

    def validate(self, text: str, position: int) -> Any:
        """Return whether a text may become a number, and the text with a decimal point."""
        return super().validate(text.replace(",", "."), position)

    def valueFromText(self, text: str) -> float:  # noqa: N802 - Qt's name
        """Return the number that a text stands for."""
        return super().valueFromText(text.replace(",", "."))


class _Validator(QDoubleValidator):
    """Accepts what `DecimalBox` does."""

    def validate(self, text: str, position: int) -> Any:
        return super().validate(text.replace(",", "."), position)


def accept_commas(slider: QLabeledDoubleSlider) -> None:
    """Let the number beside a slider be typed with a decimal point or a decimal comma, whatever the locale."""
    for field in slider.findChildren(QLineEdit):
        validator = _Validator(field)
        validator.setLocale(_plain())
        field.setValidator(validator)
