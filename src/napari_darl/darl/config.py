"""Configuration of a model: its networks, normalisation and sizes; saved in every model file."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_darl.configuration import Config
from napari_darl.frames.normalisation import Normalisation

SIDE = 512
"""Default of `ModelConfig.side`, px."""

Width = Annotated[int, Field(ge=1, le=2048)]
Variant = Literal["darl", "c-darl"]


class ScheduleConfig(Config):
    """Linear noise schedule.

    Attributes
    ----------
    steps
        T.
    first_beta, last_beta
        beta_0 and beta_{T-1}.
    """

    steps: int = Field(default=2000, ge=2, le=100_000)
    first_beta: float = Field(default=1e-6, gt=0, lt=1)
    last_beta: float = Field(default=1e-2, gt=0, lt=1)


class DenoiserConfig(Config):
    """U-Net eps_theta.

    Attributes
    ----------
    channels, multipliers
        Level i has `channels * multipliers[i]` channels; level 0 is the finest, and each level halves the size.
    blocks
        Residual blocks per level on the way down; one more on the way up.
    attention_levels
        Levels with self-attention. If there are any, the bottom has self-attention, too.
    time_channels
        Channels of the time embedding.
    norm
        `group` (as published) or `channel`; see `feature_norm`.
    """

    channels: Width = 64
    multipliers: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(1, 1, 2, 2, 4, 4), min_length=1, max_length=8
    )
    blocks: int = Field(default=2, ge=1, le=8)
    attention_levels: tuple[int, ...] = (4,)
    time_channels: Annotated[int, Field(ge=2, le=1024, multiple_of=2)] = 64
    norm: Literal["group", "channel"] = "group"

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        if self.norm == "group" and self.channels % 32:
            raise ValueError("channels must be a multiple of 32 for a group norm")
        return self


class GeneratorConfig(Config):
    """Generator G with switchable SPADE: an encoder, blocks at the bottom, a decoder.

    Attributes
    ----------
    widths
        Channels of the encoder's levels, finest first; each level halves the size.
    blocks
        S-SPADE blocks at the coarsest level.
    kernel
        Kernel size of the first and the last convolution, px.
    spade_channels
        Hidden channels between the mask and SPADE's scale and shift.
    norm
        `instance` (as published) or `batch`.
    spectral_norm
        Normalise the convolutions of the S-SPADE blocks spectrally (as published).
    skips
        Concatenate the encoder's features to the decoder's. The published generator has no skips.
    spade
        If false, for ablations, the mask is concatenated to the input instead (all zeros on path A), and each path has
        its own affine norm.
    """

    widths: tuple[Width, ...] = Field(default=(64, 128, 256), min_length=2, max_length=8)
    blocks: int = Field(default=2, ge=1, le=16)
    kernel: Literal[3, 5, 7] = 7
    spade_channels: Width = 128
    norm: Literal["instance", "batch"] = "instance"
    spectral_norm: bool = True
    skips: bool = False
    spade: bool = True


class DiscriminatorConfig(Config):
    """PatchGAN discriminator.

    Attributes
    ----------
    widths
        Channels of its layers. All but the last halve the size; four widths give a receptive field of 70 x 70 px.
    """

    widths: tuple[Width, ...] = Field(default=(64, 128, 256, 512), min_length=2, max_length=6)


class Calibration(Config):
    """How path A's probability p is corrected: logit(p') = (logit(p) - logit(cut)) / temperature.

    Attributes
    ----------
    cut
        The probability that becomes 0.5.
    temperature
        Above 1, probabilities move towards 0.5.
    enlarged
        The cut of frames that are enlarged to twice their size or more. Their pixels are large beside vessels, and
        experts mark each pixel that a vessel touches. The default is `cut`.
    """

    cut: float = Field(default=0.5, gt=0, lt=1)
    temperature: float = Field(default=1.0, gt=0, le=100)
    enlarged: float | None = Field(default=None, gt=0, lt=1)

    @property
    def shift(self) -> float:
        """Logit of `cut`."""
        return _logit(self.cut)

    def odds(self, resize: float) -> float:
        """Return what the odds p' / (1 - p') are multiplied by in frames that are resized by a factor.

        Between 1 and 2, the logit of the cut is linear in the logarithm of the factor.
        """
        if self.enlarged is None:
            return 1.0
        share = min(max(math.log2(resize), 0.0), 1.0)
        return math.exp(share * (self.shift - _logit(self.enlarged)) / self.temperature)


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


class ModelConfig(Config):
    """A DARL model.

    Attributes
    ----------
    preset
        Name of the networks and of the training recipe.
    variant
        `darl` (Kim et al. 2023) or `c-darl` (Kim et al. 2024).
    phases
        Where the four interleaved phases `x[i::2, j::2]` of a frame go: into the batch, as four frames of half the size
        (as published), or into the channels, as a space-to-depth stem.
    path_a_steps
        In training, the timestep t_a of path A lies in [0, path_a_steps).
    initialisation
        `published`: orthogonal for the denoiser, N(0, 0.02) for the others. `torch`: the defaults of PyTorch.
    normalisation
        How intensities are mapped to [-1, 1].
    side
        Least shorter side, px, of frames that have the pixel size of the training.
    reach
        Frames whose shorter side has `side` to `reach * side` px have the pixel size of the training. Others are
        resized into this range.
    enlargement
        Frames of that pixel size are enlarged by this for the networks, so that their thinnest vessels are as wide as
        the pixels of the stem.
    bright
        Whether the model is for images in which vessels are brighter than their surroundings.
    calibration
        Correction of path A's probability.
    tile, overlap
        Frames larger than `tile` px are segmented in tiles that overlap by at most `overlap` px.
    schedule, denoiser, generator, discriminator
        The noise schedule and the networks.
    """

    preset: str = Field(default="published", max_length=64)
    variant: Variant = "darl"
    phases: Literal["batch", "channels"] = "batch"
    path_a_steps: int = Field(default=200, ge=1)
    initialisation: Literal["published", "torch"] = "published"
    normalisation: Normalisation = Normalisation()
    side: int = Field(default=SIDE, ge=32, le=16384)
    reach: float = Field(default=1.5, ge=1, le=1000)
    enlargement: float = Field(default=1.0, ge=1, le=4)
    bright: bool = False
    calibration: Calibration = Calibration()
    tile: int = Field(default=512, ge=64, le=8192, multiple_of=64)
    overlap: int = Field(default=128, ge=0, multiple_of=2)
    schedule: ScheduleConfig = ScheduleConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.path_a_steps > self.schedule.steps:
            raise ValueError("path_a_steps may not exceed the schedule's steps")
        if self.overlap * 2 > self.tile:
            raise ValueError("overlap may be at most half of the tile")
        return self

    @property
    def pixel_size(self) -> tuple[int, float, float]:
        """Side, reach and enlargement, from which `guess_resize` estimates."""
        return self.side, self.reach, self.enlargement

    @property
    def stem_factor(self) -> int:
        """Factor of the space-to-depth stem: 2 if the phases are channels, else 1."""
        return 2 if self.phases == "channels" else 1

    @property
    def stride(self) -> int:
        """Height and width of a frame must be multiples of this, px."""
        levels = max(len(self.denoiser.multipliers), len(self.generator.widths)) - 1
        return int(2 * 2**levels)


PUBLISHED = ModelConfig()
LITE = ModelConfig(
    preset="lite",
    phases="channels",
    initialisation="torch",
    normalisation=Normalisation(kind="percentiles", log_offset=0.05),
    side=300,
    tile=1024,
    overlap=192,
    denoiser=DenoiserConfig(
        channels=8, multipliers=(1, 2, 4), blocks=1, attention_levels=(), time_channels=32, norm="channel"
    ),
    generator=GeneratorConfig(
        widths=(24, 32, 64, 96),
        blocks=2,
        kernel=3,
        spade_channels=16,
        norm="batch",
        spectral_norm=False,
        skips=True,
    ),
    discriminator=DiscriminatorConfig(widths=(16, 32, 64, 128)),
)
PRESETS = {config.preset: config for config in (LITE, PUBLISHED)}
