"""Students, which learn the soft labels of several models."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from small_runs import same, small, stack, weights

from napari_darl import Trainer, segment_probability
from napari_darl.darl.config import Calibration
from napari_darl.darl.losses import cycle
from napari_darl.darl.model import build
from napari_darl.errors import InputError
from napari_darl.inference.loading import Model
from napari_darl.training.config import TrainingConfig
from napari_darl.training.distillation import DistillationConfig, mean_probability, soft_labels
from napari_darl.training.sampler import Sampler, Stacks


def teacher(seed: int, **changes: object) -> Model:
    network, _ = build(small(1).model.updated(**changes), seed)
    return Model(network.eval().requires_grad_(False), "teacher", "", {})


def student(steps: int, **changes: object) -> TrainingConfig:
    draws = small(1).draws.updated(teacher=None, distillation=DistillationConfig(sizes=(1.0,), unsure=0.0))
    return small(steps, draws=draws, self_teaching=None, more_angiograms=3, **changes)


def test_the_mean_of_one_model_at_one_size_is_its_probability() -> None:
    model, frame = teacher(1, bright=True), stack()[0]
    alone = mean_probability(frame, [model], DistillationConfig(sizes=(1.0,)))
    np.testing.assert_allclose(alone, segment_probability(frame, model, bright=False), atol=2e-4)


def test_the_mean_is_one_of_logits_over_models_and_mirrored_sizes() -> None:
    models, frame = [teacher(1), teacher(2)], stack()[2]
    each = []
    for model in models:
        each.append(segment_probability(frame, model, resize=1.0))
        each.append(segment_probability(frame[:, ::-1], model, resize=0.8)[:, ::-1])
    mean = mean_probability(frame, models, DistillationConfig(sizes=(1.0, 0.8)))
    np.testing.assert_allclose(mean, expit(logit(np.clip(each, 1e-4, 1 - 1e-4)).mean(axis=0)), atol=1e-5)


def test_a_mirrored_teacher_says_the_same_of_a_turned_frame() -> None:
    models, frame = [teacher(1)], stack()[2]
    config = DistillationConfig(sizes=(1.0,), mirrored=True)
    mean = mean_probability(frame, models, config)
    np.testing.assert_allclose(mean_probability(np.rot90(frame), models, config), np.rot90(mean), atol=1e-5)
    alone = mean_probability(frame, models, DistillationConfig(sizes=(1.0,)))
    assert np.abs(mean - alone).max() > 1e-3


def test_soft_labels_are_in_proportion_to_the_probability() -> None:
    probability = np.array([[0.0, 1.0, 0.25, 0.75], [0.45, 0.55, 0.5, 0.9]], np.float32)
    labels = soft_labels(probability, DistillationConfig(unsure=0.1))
    assert labels.dtype == np.int8
    assert labels.tolist() == [[-127, 127, -64, 64], [0, 0, 0, 102]]
    assert soft_labels(np.zeros((80, 100), np.float32), DistillationConfig(finest=40)).shape == (40, 50)


def test_short_vessels_become_background() -> None:
    probability = np.full((300, 300), 0.02, np.float32)
    probability[150, 20:280] = probability[40, 20:60] = 0.9
    labels = soft_labels(probability, DistillationConfig(shortest=60))
    assert (labels[150, 20:280] == 102).all()
    assert (labels[40, 20:60] == -127).all()
    assert (soft_labels(probability, DistillationConfig(shortest=30))[40, 20:60] == 102).all()
    larger = np.kron(probability, np.ones((2, 2), np.float32))
    assert (soft_labels(larger, DistillationConfig(shortest=60, finest=600))[80:82, 40:120] == -127).all()


def test_gaps_are_linked_where_the_vessel_is_faint() -> None:
    probability = np.full((60, 100), 0.02, np.float32)
    probability[28:33, 10:90] = 0.9
    probability[28:33, 40:50] = 0.35
    probability[28:33, 70:75] = 0.1
    probability[10, 10:90] = 0.35
    labels = soft_labels(probability, DistillationConfig(linking=0.3))
    assert (labels[30, 10:70] > 0).all()
    assert (labels[28, 42:48] < 0).all()
    assert (labels[30, 70:75] < 0).all()
    assert (labels[10] < 0).all()
    assert (soft_labels(probability, DistillationConfig())[30, 40:50] < 0).all()
    whole = soft_labels(probability, DistillationConfig(linking=0.3, shortest=200))
    assert (whole[30, 12:68] > 0).all()
    assert (whole[30, 75:90] < 0).all()


def test_the_entropy_of_soft_masks_is_least_at_the_mask() -> None:
    mask = torch.full((1, 1, 4, 4), -0.4)  # A probability of 0.3.
    guesses = torch.linspace(-0.9, 0.9, 19)
    overlap = torch.tensor(
        [float(2 * 0.3 * (g + 1) / 2 * 16 + 1) / float(16 * (0.3 + (g + 1) / 2) + 1) for g in guesses]
    )
    losses = torch.stack([cycle(torch.full_like(mask, float(g)), mask, "entropy") for g in guesses])
    assert guesses[(losses - (1 - overlap)).argmin()] == pytest.approx(-0.4, abs=0.01)


def test_only_path_a_sees_more_angiograms() -> None:
    config = student(1)
    sampler = Sampler(config.draws, config.model, Stacks(stack()), seed=1)
    sampler.teach(lambda frame: np.full(frame.shape, 0.8, np.float32))
    batch, few = sampler.draw(0, 2, 3), sampler.draw(0, 2)
    assert len(batch.angiogram) == len(batch.labels) == 5
    assert len(batch.background) == len(batch.mask) == len(batch.rendered) == 2
    assert torch.equal(batch.angiogram[:2], few.angiogram)
    assert torch.equal(batch.background, few.background)
    inside = batch.labels[batch.labels > -1]  # -1 lies outside of the field of view.
    assert torch.allclose(inside, torch.tensor(76 / 127))


def test_a_student_resumes_to_the_bit_without_its_teachers(tmp_path: Path) -> None:
    teachers = [teacher(1), teacher(2)]
    list(Trainer(student(4), tmp_path / "whole", stack(), teachers=teachers).run())
    stop = Event()
    for state in Trainer(student(4), tmp_path / "stopped", stack(), teachers=teachers).run(stop):
        if state.step == 2:
            stop.set()
    resumed = Trainer.resume(tmp_path / "stopped", stack())
    assert resumed.step == 2
    list(resumed.run())
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def test_a_student_of_a_calibrated_model_starts_without_calibration(tmp_path: Path) -> None:
    given = teacher(1, calibration=Calibration(cut=0.3, temperature=2.0))
    trainer = Trainer(student(1), tmp_path / "run", stack(), start=(given.network, None), teachers=[given])
    assert trainer.model.config.calibration == Calibration()
    assert trainer.config.teachers[0].calibration.cut == 0.3


def test_distillation_and_teachers_need_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs teachers"):
        Trainer(student(1), tmp_path / "run", stack())
    with pytest.raises(InputError, match="need a distillation"):
        Trainer(small(1), tmp_path / "run", stack(), teachers=[teacher(1)])
    with pytest.raises(InputError, match="self_teaching"):
        student(1).updated(self_teaching=2)
    with pytest.raises(InputError, match="needs labels"):
        small(1, draws=small(1).draws.updated(teacher=None), self_teaching=None, more_angiograms=1)


def test_a_model_for_bright_vessels_teaches_on_dark_ones(tmp_path: Path) -> None:
    config = small(3, self_teaching=1)
    trainer = Trainer(config.updated(model=config.model.updated(bright=True)), tmp_path / "run", stack())
    list(trainer.run())
    predict, frame = trainer.sampler.angiograms.predict, stack()[0]
    assert predict is not None
    network = trainer.state.teacher
    assert network is not None
    dark = segment_probability(frame, Model(network, "teacher", "", {}), bright=False)
    np.testing.assert_array_equal(predict(frame), dark)
