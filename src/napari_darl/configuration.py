"""Base class of all configurations, which are frozen, validated and saved in every checkpoint."""

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_darl.errors import InputError

_LONGEST = 100  # characters of a value in a message


class Config(BaseModel):
    """Base class of configurations. They are immutable, and an unknown field is an error.

    Raises
    ------
    InputError
        If a value is invalid or a field is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers derive the signature from the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise _input_error(type(self).__name__, error) from error

        # Keeps pydantic from calling this for nested configurations, whose errors name the outer field, too.
        __init__.__pydantic_base_init__ = True

    def updated(self, **changes: Any) -> Self:
        """Return a copy with some fields changed and all fields validated.

        Raises
        ------
        InputError
            If a value is invalid or a field is unknown.
        """
        return type(self)(**dict(self) | changes)


def _input_error(name: str, error: ValidationError) -> InputError:
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    if not first["loc"]:  # of fields that don't fit together
        return InputError(f"Invalid {name}: {reason}.")
    field = ".".join(map(str, first["loc"]))
    return InputError(f"Invalid value {_short(first['input'])} for {field}: {reason}.")


def _short(value: object) -> str:
    """Return a value as Python writes it, with the middle of a long one left out."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"
