"""Configuration of a training run, and the presets; saved as the run's config.json and in its checkpoints.

An option that a former version didn't have needs a default with the former behaviour, so that its runs still resume.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from napari_darl.configuration import Config
from napari_darl.darl.config import LITE, PUBLISHED, ModelConfig
from napari_darl.darl.losses import C_DARL, LossConfig
from napari_darl.errors import InputError
from napari_darl.frames.normalisation import Normalisation
from napari_darl.synthetic.clutter import ClutterConfig
from napari_darl.synthetic.tree_config import TreeConfig
from napari_darl.training.draw_config import DrawConfig
from napari_darl.training.teacher import TeacherConfig


class TrainingConfig(Config):
    """Configuration of a training run.

    Attributes
    ----------
    model, losses, draws
        The model, the weights of its losses, and how crops are drawn.
    steps
        Optimisation steps of the whole run.
    batch
        Samples per step.
    learning_rate, discriminator_learning_rate
        Learning rates of Adam (beta_1 = 0.5, beta_2 = 0.999) for the model and for the discriminators.
    falling
        Share of the run, at its end, in which the learning rates fall to 0 along half a cosine. It is a share of
        `steps`, so if a finished run is resumed with more steps, the rates rise again.
    clip
        Gradients of a larger norm are scaled down to this norm; none for no limit.
    ema
        Decay of the exponential moving average of the weights. The average is the model to use.
    faint_noise
        Exponent k of path A's timestep t_a = path_a_steps * u ** k, with u uniform in [0, 1). 1 is as published. A
        larger k gives more steps near t = 0, where thin vessels are visible and frames are segmented.
    self_teaching
        Steps between two updates of the second teacher. It is a copy of the moving average, and teaches beside the
        ridge filter after the first update. None for the ridge filter alone.
    fine_tuned
        Whether the first weights were a model's, not random ones; the trainer sets it.
    teachers
        Models whose soft labels a student learns (`DrawConfig.distillation`); the trainer sets it.
    more_angiograms
        Labelled crops of angiograms per step that only path A sees, beside those of `batch`.
    pool
        Number of past fakes in each discriminator's image pool (Shrivastava et al. 2017).
    seed
        First part of the key of every random draw.
    precision
        Working precision of the networks; see `working_precision`.
    autosave
        Seconds between two checkpoints, which is what a crash costs at most.
    preview_every
        Steps between two previews.
    """

    model: ModelConfig
    losses: LossConfig = LossConfig()
    draws: DrawConfig = DrawConfig()
    steps: int = Field(default=150 * 1621, ge=1)
    batch: int = Field(default=1, ge=1, le=1024)
    learning_rate: float = Field(default=5e-6, gt=0, lt=1)
    discriminator_learning_rate: float = Field(default=5e-6, gt=0, lt=1)
    falling: float = Field(default=0.0, ge=0, le=1)
    clip: float | None = Field(default=None, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    faint_noise: float = Field(default=1.0, ge=1)
    self_teaching: int | None = Field(default=None, ge=1)
    fine_tuned: bool = False
    teachers: tuple[ModelConfig, ...] = Field(default=(), max_length=16)
    more_angiograms: int = Field(default=0, ge=0, le=1024)
    pool: int = Field(default=50, ge=1, le=10_000)
    seed: int = Field(default=0, ge=0, lt=2**63)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    autosave: float = Field(default=60.0, gt=0)
    preview_every: int = Field(default=100, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _map_former_names(cls, fields: Any) -> Any:
        """Accept the field names of former versions, which are in their config.json and checkpoints."""
        former = {"critics_learning_rate": "discriminator_learning_rate"}
        if not isinstance(fields, dict):
            return fields
        renamed = {old: new for old, new in former.items() if new not in fields}
        return {renamed.get(name, name): value for name, value in fields.items()}

    @model_validator(mode="after")
    def _crops_fit(self) -> Self:
        if self.draws.size % self.model.stride:
            raise ValueError(f"draws.size must be a multiple of {self.model.stride} for this model")
        return self

    @model_validator(mode="after")
    def _one_kind_of_teacher(self) -> Self:
        if self.draws.distillation is not None and self.self_teaching is not None:
            raise ValueError("draws.distillation takes the place of self_teaching: set one of them to None")
        if self.more_angiograms and not self.draws.labelled:
            raise ValueError("more_angiograms needs labels: set draws.teacher or draws.distillation")
        return self


_CORONARY_TEACHER = TeacherConfig(
    filter="oriented", top_hat=0.3, vessel=0.085, seed=0.03, shortest=120, crest=0.9, isolated=True
)
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
        teacher=_CORONARY_TEACHER,
    ),
    steps=5100,
    batch=16,
    learning_rate=1e-3,
    discriminator_learning_rate=2e-4,
    clip=1.0,
    falling=0.8,
    faint_noise=3.0,
    self_teaching=1700,
)
LITE_FUNDUS = LITE_CORONARY.updated(
    model=LITE.updated(preset="fundus", side=960, reach=1.2),
    draws=LITE_CORONARY.draws.updated(
        zoom=(0.5625, 1.875),
        transmission=(0.4, 0.9),
        saturation=0.6,
        exposure=1.2,
        shading=0.8,
        gamma=1.6,
        blur=1.3,
        trees=TreeConfig(trees=(3, 7), trunk_radius=(2, 6), tip_radius=0.6, side_branches=5.0),
        teacher=TeacherConfig(side=800, vessel=0.1, background=0.82, shortest=45, crest=0.5, finest=900),
    ),
    steps=3900,
    self_teaching=1300,
)
LITE_FLUORESCENCE = LITE_CORONARY.updated(
    model=LITE.updated(
        preset="fluorescence",
        side=128,
        reach=8.0,
        bright=True,
        normalisation=Normalisation(kind="percentiles", low=0.5, high=99.5, log_offset=0.15, glow=True),
        generator=LITE.generator.updated(widths=(24, 32, 64, 96, 128)),
    ),
    draws=LITE_CORONARY.draws.updated(
        native=True,
        zoom=(0.5, 1.8),
        transmission=(0.08, 0.85),
        saturation=0.7,
        aperture=0.05,
        exposure=0.3,
        gamma=1.6,
        noise=0.2,
        blur=1.5,
        trees=TreeConfig(
            trees=(2, 9), trunk_radius=(2, 12), tip_radius=0.8, side_branches=5.0, outline=1.0, tortuosity=0.5
        ),
        reflex=0.3,
        clutter=ClutterConfig(edges=0.15, bands=0.1, bright_spots=0.3, dark_spots=2.0, contrast=0.6),
        teacher=TeacherConfig(
            side=400,
            filter="oriented",
            sigmas=(1.0, 1.5, 2.0, 2.75, 3.5, 5.0),
            top_hat=0.3,
            vessel=0.13,
            background=0.75,
            shortest=25,
            crest=0.6,
            finest=600,
            grow=0.3,
        ),
    ),
    steps=3000,
    self_teaching=1000,
)
PRESETS = {
    "lite": LITE_CORONARY,
    "fundus": LITE_FUNDUS,
    "fluorescence": LITE_FLUORESCENCE,
    "published": TrainingConfig(model=PUBLISHED, draws=DrawConfig(pseudo_masks="fractals")),
}
"""Presets by name.

`lite` is for coronary angiograms, `fundus` has the same networks for retinal images, `fluorescence` has deeper ones for
bright vessels, and `published` is as in the paper.
"""


def training_config(preset: str, *, c_darl: bool = False, steps: int | None = None, seed: int = 0) -> TrainingConfig:
    """Return the training configuration of a preset.

    Parameters
    ----------
    preset : {"lite", "fundus", "fluorescence", "published"}
        `lite` is for coronary angiograms, `fundus` has the same networks for retinal images, `fluorescence` has deeper
        ones for bright vessels, and `published` is as in the paper (35 million parameters, for a GPU).
    c_darl : bool
        Train C-DARL (Kim et al. 2024): no backgrounds and no mask discriminator, but a contrastive loss.
    steps : int, optional
        Optimisation steps, instead of the preset's.
    seed : int
        First part of the key of every random draw.

    Returns
    -------
    TrainingConfig
        Immutable; its method `updated` makes a copy with other values.

    Raises
    ------
    InputError
        If there is no such preset, or a value is out of range.

    Examples
    --------
    >>> from napari_darl import training_config
    >>> config = training_config("lite", steps=500)
    >>> config.steps, config.batch
    (500, 16)
    >>> config.updated(batch=4).batch
    4
    """
    if preset not in PRESETS:
        raise InputError(f"Unknown preset '{preset}'. Choose one of {', '.join(sorted(PRESETS))}.")
    config = PRESETS[preset]
    update: dict[str, Any] = {"seed": seed, "steps": config.steps if steps is None else steps}
    if c_darl:
        update["model"] = config.model.updated(variant="c-darl")
        update["losses"] = config.losses.updated(**C_DARL)
        if preset == "published":
            update["learning_rate"] = update["discriminator_learning_rate"] = 1e-5
    return config.updated(**update)


def fine_tuned(config: TrainingConfig, given: ModelConfig) -> TrainingConfig:
    """Return a configuration to fine-tune a model whose own configuration is `given`.

    Variant, preset and side stay those of `config`, since crops are drawn at the pixel size of `config`. Learning rates
    are a tenth: the model is refined, not trained anew.

    Raises
    ------
    InputError
        If the model has other networks than `config`.
    """
    wanted = config.model
    if (wanted.phases, wanted.denoiser, wanted.generator) != (given.phases, given.denoiser, given.generator):
        raise InputError(f"The model to start from has the networks of preset {given.preset}. Train with that preset.")
    model = given.updated(variant=wanted.variant, side=wanted.side, reach=wanted.reach, preset=wanted.preset)
    if config.draws.distillation is not None:
        # The soft labels are calibrated already, and crops are as large as the student will see them.
        model = model.updated(calibration=wanted.calibration, enlargement=wanted.enlargement)
    return config.updated(
        model=model,
        learning_rate=config.learning_rate / 10,
        discriminator_learning_rate=config.discriminator_learning_rate / 10,
        fine_tuned=True,
    )
