"""Recipes of students, which learn the soft labels of earlier models (`training/distillation.py`).

A student starts from the weights of one of its teachers. It sees much noise and many sizes, and more crops of
angiograms than its other losses need.
"""

from typing import Any

from napari_darl.training.config import LITE_CORONARY, LITE_FLUORESCENCE, LITE_FUNDUS, TrainingConfig
from napari_darl.training.distillation import DistillationConfig


def _student(recipe: TrainingConfig, distillation: DistillationConfig, steps: int, **draws: Any) -> TrainingConfig:
    """Return a recipe with soft labels in place of the ridge filter's, and with stronger augmentation."""
    stronger = {"noise": 0.45, "noise_exponent": 2.0, "blur": 1.5} | draws
    return recipe.updated(
        draws=recipe.draws.updated(distillation=distillation, teacher=None, **stronger),
        steps=steps,
        batch=4,
        more_angiograms=12,
        learning_rate=3e-3,  # A tenth of it is used, as in each fine-tuning.
        discriminator_learning_rate=2e-3,
        falling=1.0,
        ema=0.995,
        self_teaching=None,
    )


STUDENTS = {
    "lite": _student(
        LITE_CORONARY,
        DistillationConfig(sizes=(1.0,), mirrored=True, linking=0.1, shortest=60),
        700,
        size=256,
        zoom=(0.35, 1.5),
        coarse=1.5,
    ).updated(batch=2, more_angiograms=2),
    "fundus": _student(
        LITE_FUNDUS,
        DistillationConfig(sizes=(1.0, 1.5), mirrored=True, linking=0.3, shortest=30, finest=1000),
        600,
        noise=0.3,
        coarse=2.0,
    ),
    "fluorescence": _student(
        LITE_FLUORESCENCE,
        DistillationConfig(finest=1000),
        1400,
        size=256,
        zoom=(0.33, 1.47),
        noise=0.3,
        coarse=1.25,
    ).updated(model=LITE_FLUORESCENCE.model.updated(enlargement=1.5), batch=2, more_angiograms=4, learning_rate=6e-3),
}
"""Recipes of students.

All learn to mark in noisy and coarse frames what their teachers mark in sharp ones, with gaps closed and without short
pieces. "fluorescence" learns labels of several teachers (`scripts/make_models.py`). Large crops of angiograms show more
of the tree that a thin branch belongs to.
"""
