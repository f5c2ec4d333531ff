"""What a training run is made of; saved as the run's config.json and in its checkpoints."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from napari_darl.configuration import Config
from napari_darl.darl.config import LITE, PUBLISHED, ModelConfig
from napari_darl.darl.losses import C_DARL, LossConfig
from napari_darl.errors import InputError
from napari_darl.synthetic.trees import TreeConfig
from napari_darl.training.teacher import TeacherConfig


class DrawConfig(Config):
    """How training crops are drawn.

    Attributes
    ----------
    size
        Side of a crop, px.
    zoom
        Least and greatest side of the window, in multiples of `size`, in a frame that was brought to the model's side;
        it is resized to `size`.
    grounded
        Share of samples, rounded down, whose fake angiogram in the cycle is rendered by attenuation instead of made by
        path B.
    transmission
        Least and greatest part of the intensity that passes the thickest vessel of a rendered angiogram.
    aperture
        Share of samples that are seen through a round field of view whose rim lies in the crop.
    exposure, shading
        Augmentation: natural logarithms of the greatest factor by which a crop is darkened as a whole, and by which one
        of its ends is darkened against the other.
    gamma, noise, blur
        Augmentation: greatest exponent (and its inverse) of the intensity, greatest standard deviations of added
        noise (in units of [-1, 1]) and of a Gaussian blur (px). Flips and transposition always take part.
    pseudo_masks
        Generated unless the user gives some: vessel-like `trees`, or the `fractals` of rectangles of the paper.
    trees
        Look of the trees.
    teacher
        Label what a ridge filter is sure of in the angiograms; none doesn't. Where no backgrounds were given, what it
        takes for vessel, or isn't sure of, is filled.
    """

    size: int = Field(default=512, ge=32, le=4096, multiple_of=32)
    zoom: tuple[float, float] = (1.0, 1.0)
    grounded: float = Field(default=0.0, ge=0, lt=1)
    transmission: tuple[float, float] = (0.25, 0.75)
    aperture: float = Field(default=0.0, ge=0, le=1)
    exposure: float = Field(default=0.0, ge=0)
    shading: float = Field(default=0.0, ge=0)
    gamma: float = Field(default=1.0, ge=1)
    noise: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0)
    pseudo_masks: Literal["trees", "fractals"] = "trees"
    trees: TreeConfig = TreeConfig()
    teacher: TeacherConfig | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("zoom", "transmission"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} takes two positive numbers, the lesser first")
        return self


class TrainingConfig(Config):
    """A training run.

    Attributes
    ----------
    model, losses, draws
        The model, the weights of its losses, and how crops are drawn.
    steps
        Optimisation steps, each of generator and discriminators.
    batch
        Samples a step.
    learning_rate, discriminator_learning_rate
        Of Adam with betas 0.5 and 0.999, for model and discriminators.
    clip
        Greatest norm of a step's gradients, longer ones are shortened; none leaves them.
    ema
        Decay of the running average of the weights, which is the model to use.
    faint_noise
        Exponent k of path A's noise level: t_a = path_a_steps * u ** k with u uniform in [0, 1). 1 is the paper's; more
        spends more steps near t = 0, where thin vessels are seen and frames are segmented.
    self_teaching
        Steps after which the running average joins the ridge filter as teacher, and is renewed; none leaves the filter
        alone.
    pool
        Past fakes that a discriminator is shown beside the newest (Shrivastava et al. 2017).
    seed
        First part of the key of every random draw.
    precision
        `auto` computes in bfloat16 where the device gains from it, else in float32.
    autosave
        Most seconds between two checkpoints: what a crash can cost.
    preview_every
        Steps between previews.
    """

    model: ModelConfig
    losses: LossConfig = LossConfig()
    draws: DrawConfig = DrawConfig()
    steps: int = Field(default=150 * 1621, ge=1)
    batch: int = Field(default=1, ge=1, le=1024)
    learning_rate: float = Field(default=5e-6, gt=0, lt=1)
    discriminator_learning_rate: float = Field(default=5e-6, gt=0, lt=1)
    clip: float | None = Field(default=None, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    faint_noise: float = Field(default=1.0, ge=1)
    self_teaching: int | None = Field(default=None, ge=1)
    pool: int = Field(default=50, ge=1, le=10_000)
    seed: int = Field(default=0, ge=0, lt=2**63)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    autosave: float = Field(default=60.0, gt=0)
    preview_every: int = Field(default=100, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _map_former_names(cls, fields: Any) -> Any:
        """Map names that earlier versions wrote to config.json and checkpoints."""
        former = {"critics_learning_rate": "discriminator_learning_rate"}
        if not isinstance(fields, dict):
            return fields
        return {name if (new := former.get(name, name)) in fields else new: value for name, value in fields.items()}

    @model_validator(mode="after")
    def _crops_fit(self) -> Self:
        if self.draws.size % self.model.stride:
            raise ValueError(f"draws.size must be a multiple of {self.model.stride} for this model")
        return self


LITE_CORONARY = TrainingConfig(
    model=LITE,
    losses=LossConfig(cycle_norm="entropy", teacher=5.0, rendering=5.0),
    draws=DrawConfig(
        size=128,
        zoom=(0.35, 1.0),
        grounded=0.5,
        transmission=(0.15, 0.65),
        aperture=0.2,
        exposure=0.6,
        shading=0.5,
        gamma=1.5,
        noise=0.05,
        blur=1.0,
        trees=TreeConfig(trunk_radius=(3, 9), tip_radius=1.2, side_branches=5.0, outline=0.5**0.5),
        teacher=TeacherConfig(crest=0.9),
    ),
    steps=3500,
    batch=8,
    learning_rate=1e-3,
    discriminator_learning_rate=2e-4,
    clip=1.0,
    faint_noise=3.0,
    self_teaching=1000,
)
LITE_FUNDUS = LITE_CORONARY.updated(
    model=LITE.updated(preset="fundus", side=768),
    draws=LITE_CORONARY.draws.model_copy(
        update={
            "zoom": (0.6, 1.7),
            "transmission": (0.4, 0.9),
            "exposure": 1.2,
            "shading": 0.8,
            "gamma": 1.6,
            "trees": TreeConfig(trees=(3, 7), trunk_radius=(2, 6), tip_radius=0.6, side_branches=5.0),
            "teacher": TeacherConfig(side=700, vessel=0.1, background=0.82, shortest=40),
        }
    ),
    steps=3000,
)
PRESETS = {
    "lite": LITE_CORONARY,
    "fundus": LITE_FUNDUS,
    "published": TrainingConfig(model=PUBLISHED, draws=DrawConfig(pseudo_masks="fractals")),
}
"""Recipes: `lite` for coronary angiograms, `fundus` for retinas by the same networks, `published` as in the paper."""


def training_config(preset: str, *, c_darl: bool = False, steps: int | None = None, seed: int = 0) -> TrainingConfig:
    """Training configuration of a preset.

    Parameters
    ----------
    preset : str
        One of `PRESETS`.
    c_darl : bool
        Train C-DARL: no backgrounds and no mask discriminator, but a contrast of mask patches.
    steps : int, optional
        Instead of the preset's.
    seed : int
        First part of the key of every random draw.

    Raises
    ------
    InputError
        If there is no such preset, or a value is out of range.
    """
    if preset not in PRESETS:
        raise InputError(f"Unknown preset '{preset}': choose one of {', '.join(sorted(PRESETS))}.")
    config = PRESETS[preset]
    update: dict[str, Any] = {"seed": seed, "steps": config.steps if steps is None else steps}
    if c_darl:
        update["model"] = config.model.updated(variant="c-darl")
        update["losses"] = config.losses.updated(**C_DARL)
        if preset == "published":
            update["learning_rate"] = update["discriminator_learning_rate"] = 1e-5
    return config.updated(**update)


def fine_tuned(config: TrainingConfig, given: ModelConfig) -> TrainingConfig:
    """Return a configuration to fine-tune a `given` model.

    It keeps the variant, preset and side of `config`, since crops are drawn at the pixel size of `config`. Learning
    rates are a tenth: the model is refined, not trained anew.

    Raises
    ------
    InputError
        If the model has other networks than `config`.
    """
    wanted = config.model
    if (wanted.phases, wanted.denoiser, wanted.generator) != (given.phases, given.denoiser, given.generator):
        raise InputError(f"The model to start from is of the preset {given.preset}: train with that preset.")
    model = given.updated(variant=wanted.variant, side=wanted.side, preset=wanted.preset)
    return config.updated(
        model=model,
        learning_rate=config.learning_rate / 10,
        discriminator_learning_rate=config.discriminator_learning_rate / 10,
    )
