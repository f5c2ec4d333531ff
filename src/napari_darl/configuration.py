"""Base class of all configurations, which are frozen, validated and saved in every checkpoint."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_darl.errors import InputError


class Config(BaseModel):
    """Base class of configurations. They are immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def updated(self, **changes: Any) -> Self:
        """Return a copy with some fields changed and all fields validated.

        Raises
        ------
        InputError
            If a value is invalid or a field is unknown.
        """
        try:
            return type(self).model_validate(dict(self) | changes)
        except ValidationError as error:
            first = error.errors()[0]
            reason = first["msg"].removeprefix("Value error, ").rstrip(".")
            if not first["loc"]:  # of fields that don't fit together
                raise InputError(f"Invalid {type(self).__name__}: {reason}.") from error
            field = ".".join(map(str, first["loc"]))
            raise InputError(f"Invalid value {first['input']!r} for {field}: {reason}.") from error
