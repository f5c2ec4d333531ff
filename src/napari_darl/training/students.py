"""Recipes of students, which learn the soft labels of earlier models (`training/distillation.py`).

A student starts from the weights of one of its teachers. It sees much noise and many sizes, and more crops of
angiograms than its other losses need.
"""

from napari_darl.training.config import LITE_CORONARY, TrainingConfig
from napari_darl.training.distillation import DistillationConfig


def _student(
    recipe: TrainingConfig, distillation: DistillationConfig, zoom: tuple[float, float], steps: int
) -> TrainingConfig:
    """Return a recipe with soft labels in place of the ridge filter's, and with stronger augmentation."""
    return recipe.updated(
        draws=recipe.draws.updated(
            zoom=zoom, noise=0.45, noise_exponent=2.0, blur=1.5, distillation=distillation, teacher=None
        ),
        steps=steps,
        batch=4,
        more_angiograms=12,
        learning_rate=3e-3,  # A tenth of it is used, as in each fine-tuning.
        discriminator_learning_rate=2e-3,
        falling=1.0,
        ema=0.995,
        self_teaching=None,
    )


_LITE = _student(LITE_CORONARY, DistillationConfig(), (0.35, 1.5), steps=700)
STUDENTS = {
    "lite": _LITE,
    "lite, whole": _LITE.updated(
        draws=_LITE.draws.updated(distillation=DistillationConfig(shortest=60)), steps=200, learning_rate=2e-3
    ),
}
"""Recipes of students. "lite, whole" continues with a student that marks too many short pieces."""
