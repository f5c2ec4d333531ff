"""The base of all configurations: frozen, validated, and saved in every checkpoint."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_darl.errors import InputError


class Config(BaseModel):
    """Base of all configurations: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def updated(self, **changes: Any) -> Self:
        """Make a copy with some fields changed, as strictly checked as any other.

        Raises
        ------
        InputError
            If the values don't fit.
        """
        try:
            return type(self).model_validate(dict(self) | changes)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{place or 'The configuration'} can't be that ({first['msg']}): choose another."
            ) from error
