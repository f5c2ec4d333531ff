"""The training loop: what it yields and saves, which networks it changes, and what it refuses."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import same, small, stack

from napari_darl import Trainer, load_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.errors import DarlError, FileError, InputError
from napari_darl.training.config import training_config
from napari_darl.training.gradients import draw_noise
from napari_darl.training.pool import ImagePool
from napari_darl.training.step import learning_rate_factor


def test_a_run_leaves_a_model_that_loads(tmp_path: Path) -> None:
    states = list(Trainer(small(11), tmp_path / "run", stack()).run())
    assert [state.step for state in states] == list(range(1, 12))
    previews = [state.preview for state in states if state.preview is not None]
    assert len(previews) == 2
    assert previews[0].fake_angiogram.shape == (64, 64)
    assert set(np.unique(previews[0].pseudo_mask)) <= {-1.0, 1.0}
    model = load_model(tmp_path / "run")
    assert model.info["step"] == 11
    with (tmp_path / "run" / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 12))
    assert {"diffusion", "cycle", "adversarial_mask", "discriminator_angiogram"} <= rows[0].keys()


def may_stay(name: str) -> bool:
    """Return whether a norm subtracts a parameter, so that its gradient is 0 but for rounding errors.

    These are the biases of convolutions before batch and instance norms.
    """
    return re.fullmatch(r"generator\.encoder\.\d\.bias|.*\.conv_0\.bias|(angiogram|mask)\.2\.bias", name) is not None


@pytest.mark.parametrize("c_darl", [False, True])
def test_training_reaches_every_parameter(tmp_path: Path, c_darl: bool) -> None:
    trainer = Trainer(small(2, c_darl=c_darl), tmp_path / "run", stack())
    networks = (trainer.state.model, trainer.state.discriminators)
    before = {name: value.clone() for network in networks for name, value in network.named_parameters()}
    list(trainer.run())
    after = {name: value for network in networks for name, value in network.named_parameters()}
    assert not [name for name, value in after.items() if torch.equal(before[name], value) and not may_stay(name)]


def test_the_published_preset_trains_on_one_phase(tmp_path: Path) -> None:
    config = small(1, preset="published")
    (state,) = Trainer(config, tmp_path / "run", stack(), stack(2, seed=1), stack(2, seed=2)).run()
    assert state.preview is not None
    assert state.preview.angiogram.shape == (32, 32)


def test_backgrounds_and_masks_of_the_user_are_used(tmp_path: Path) -> None:
    dark, full = np.full((64, 64), 10, np.uint8), np.zeros((64, 64), bool)
    dark[::2] = 12
    full[:, 20:44] = True
    whole = small(1).draws.updated(zoom=(1.5, 1.5))
    (state,) = Trainer(small(1, draws=whole), tmp_path / "run", stack(), [dark], [full]).run()
    assert state.preview is not None
    assert (state.preview.pseudo_mask > 0).mean() == pytest.approx(24 / 64, abs=0.1)


def test_the_moving_average_becomes_a_teacher(tmp_path: Path) -> None:
    trainer = Trainer(small(5, self_teaching=3), tmp_path / "run", stack())
    for state in trainer.run():
        assert (trainer.state.teacher is not None) == (state.step > 3)
    teacher = trainer.state.teacher
    assert teacher is not None
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    frozen = dict(teacher.named_parameters())
    assert any(not torch.equal(now, frozen[name]) for name, now in trainer.model.named_parameters())
    resumed = Trainer.resume(tmp_path / "run", stack(), steps=6)
    assert resumed.state.teacher is not None
    assert same(dict(teacher.state_dict()), dict(resumed.state.teacher.state_dict()))


def test_path_a_gets_faint_noise_more_often() -> None:
    def timesteps(exponent: float) -> torch.Tensor:
        config = small(1, faint_noise=exponent)
        t_a = draw_noise(np.random.default_rng(0), (64, 1, 8, 8), config, torch.device("cpu")).t_a
        assert t_a.min() >= 0
        assert t_a.max() < config.model.path_a_steps
        return t_a.float()

    assert timesteps(1).median() > 60
    assert timesteps(3).median() < 50


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    first = Trainer(small(3), tmp_path / "run", stack()).run()
    next(first)
    with pytest.raises(FileError, match="Another run is at work"):
        next(Trainer(small(3), tmp_path / "run", stack()).run())
    first.close()
    with pytest.raises(FileError, match="already holds a run"):
        Trainer(small(3), tmp_path / "run", stack())


def test_fine_tuning_begins_with_the_model_as_teacher(tmp_path: Path) -> None:
    network, _ = build(small(1).model, seed=1)
    trainer = Trainer(small(3, c_darl=True), tmp_path / "run", stack(), start=(network, None))
    assert trainer.config.fine_tuned
    assert same(dict(network.state_dict()), dict(trainer.model.state_dict()))
    assert trainer.state.teacher is not None
    assert same(dict(network.state_dict()), dict(trainer.state.teacher.state_dict()))
    labels = [batch.labels for batch, _ in trainer._batches()]
    without = Trainer(small(3, c_darl=True), tmp_path / "without", stack())
    assert any((one != batch.labels).any() for one, (batch, _) in zip(labels, without._batches(), strict=True))


def test_fine_tuning_for_another_preset(tmp_path: Path) -> None:
    network, _ = build(LITE, seed=0)
    fundus = Trainer(training_config("fundus", steps=1), tmp_path / "fundus", stack(), start=(network, None))
    assert (fundus.config.model.side, fundus.config.model.preset) == (960, "fundus")
    with pytest.raises(InputError, match="preset lite"):
        Trainer(small(3, preset="published"), tmp_path / "published", stack(), start=(network, None))


def test_a_failing_step_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer(small(9), tmp_path / "run", stack())
    run = trainer.run()
    next(run)
    trainer.save()
    with torch.no_grad():
        next(trainer.state.model.parameters()).fill_(torch.nan)
    with pytest.raises(DarlError, match="diverged at step 2"):
        list(run)
    resumed = Trainer.resume(tmp_path / "run", stack())
    assert resumed.step == 1
    assert all(value.isfinite().all() for value in resumed.state.model.parameters())


def test_c_darl_takes_no_backgrounds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no backgrounds"):
        Trainer(small(1, c_darl=True), tmp_path / "run", stack(), stack())


def test_a_full_pool_returns_old_and_new_fakes() -> None:
    pool = ImagePool(3)
    rng = np.random.default_rng(0)
    shown = [pool.query(torch.full((1, 1, 2, 2), float(i)), rng) for i in range(40)]
    assert len(pool.images) == 3
    old = [index for index, image in enumerate(shown) if image[0, 0, 0, 0] != index]
    assert 8 < len(old) < 30


def test_learning_rates_fall_along_half_a_cosine() -> None:
    config = small(10, falling=0.4)
    factors = [learning_rate_factor(step, config) for step in range(11)]
    assert factors[:7] == [1.0] * 7
    assert factors[8] == pytest.approx(0.5)
    assert factors[10] == pytest.approx(0)
    assert learning_rate_factor(9, small(10)) == 1.0


def test_a_run_ends_with_small_steps(tmp_path: Path) -> None:
    trainer = Trainer(small(2, falling=1.0), tmp_path / "run", stack())
    list(trainer.run())
    rates = {part: optimiser.param_groups[0]["lr"] for part, optimiser in trainer.state.optimisers.items()}
    assert rates == {"generator": pytest.approx(5e-4), "discriminators": pytest.approx(1e-4)}
