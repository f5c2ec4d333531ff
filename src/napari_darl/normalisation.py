"""How intensities become [-1, 1]: plain values that a model's configuration carries."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Normalisation(BaseModel):
    """The intensity range of a frame that is stretched to [-1, 1].

    Attributes
    ----------
    kind : {"bits", "percentiles"}
        "bits" takes the range of the stored bits, as published (uint8 / 255); frames whose bits aren't known,
        as those of floats, fall back to percentiles. "percentiles" always takes percentiles of the frame.
    low, high : float
        The percentiles, in percent, that map to -1 and to 1; 0 <= low < high <= 100.
    log_offset : float
        Above 0, intensities I in [0, 1] are looked at as log(I + log_offset), stretched to [-1, 1]: attenuation by a
        vessel then looks the same wherever it is. 0 leaves them linear, as published.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bits", "percentiles"] = "bits"
    low: float = Field(default=0.1, ge=0, le=100)
    high: float = Field(default=99.9, ge=0, le=100)
    log_offset: float = Field(default=0.0, ge=0, le=10)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low} %) must lie below high ({self.high} %)")
        return self
