"""What a model is made of: frozen, validated, and saved in every checkpoint."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_darl.configuration import Config
from napari_darl.frames.normalisation import Normalisation

SIDE = 512
"""Least shorter side, px, of the frames that suit models that don't say otherwise."""

Width = Annotated[int, Field(ge=1, le=2048)]
Variant = Literal["darl", "c-darl"]


class ScheduleConfig(Config):
    """Linear noise schedule: beta from `first_beta` to `last_beta` in `steps` steps."""

    steps: int = Field(default=2000, ge=2, le=100_000)
    first_beta: float = Field(default=1e-6, gt=0, lt=1)
    last_beta: float = Field(default=1e-2, gt=0, lt=1)


class DenoiserConfig(Config):
    """U-Net eps_theta: `channels` times `multipliers` level by level.

    `blocks` residual blocks a level going down and one more coming up; self-attention on
    `attention_levels` (0 is the finest) and, if there are any, in the middle.
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
    """Generator G with switchable SPADE: an encoder of `widths`, `blocks` at the coarsest, a decoder back.

    Without `spade`, for comparisons, the mask is put beside the input instead (all zeros on path A), and each path has
    an affine norm of its own.
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
    """PatchGAN; three `widths` before the last give the 70 x 70 receptive field."""

    widths: tuple[Width, ...] = Field(default=(64, 128, 256, 512), min_length=2, max_length=6)


class ModelConfig(Config):
    """A whole DARL model.

    `phases` says where the four interleaved phases `x[i::2, j::2]` of a frame go: into the batch, each
    a frame of half the size (as published), or into the channels of the networks' first layer.
    `path_a_steps` bounds the noise level of path A in training: t_a lies in [0, path_a_steps), uniformly
    as published, or nearer to 0 (`TrainingConfig.faint_noise`).
    Whole frames suit it whose shorter side has from `side` to one and a half times as many pixels;
    others are brought there.
    Frames larger than `tile` pixels are segmented in tiles that share `overlap` pixels.
    """

    preset: str = Field(default="published", max_length=64)
    variant: Variant = "darl"
    phases: Literal["batch", "channels"] = "batch"
    path_a_steps: int = Field(default=200, ge=1)
    initialisation: Literal["published", "torch"] = "published"
    normalisation: Normalisation = Normalisation()
    side: int = Field(default=SIDE, ge=32, le=16384)
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
    def stem_factor(self) -> int:
        """Factor of the space-to-depth stem: 2 with the phases as channels, else 1."""
        return 2 if self.phases == "channels" else 1

    @property
    def stride(self) -> int:
        """Pixels of the frame that heights and widths must be a multiple of."""
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
