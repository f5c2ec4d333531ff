"""The training loop: what it yields and leaves behind, and that a killed run goes on as if nothing had happened."""

import csv
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_darl import Trainer, load_model
from napari_darl.errors import CheckpointError, DarlError, FileError, InputError
from napari_darl.synthetic.phantom import phantom_angiogram
from napari_darl.training.config import TrainingConfig, training_config
from napari_darl.training.pool import ImagePool
from napari_darl.training.run_folder import RunFolder
from napari_darl.training.step import draw_noise

STEPS = 30


def tiny(steps: int, *, c_darl: bool = False, preset: str = "lite", **changes: object) -> TrainingConfig:
    """The preset's networks and losses on small crops, two a step."""
    config = training_config(preset, c_darl=c_darl, steps=steps, seed=3)
    draws = config.draws.model_copy(update={"size": 64})
    model = config.model.updated(side=96)
    return config.model_copy(
        update={"model": model, "draws": draws, "batch": 2, "pool": 4, "preview_every": 10, **changes}
    )


def stack(count: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Frames of different sizes and types, as users have them."""
    rng = np.random.default_rng(seed)
    frames = [phantom_angiogram((80 + 8 * i, 96), rng)[0] for i in range(count)]
    frames[0] = ((frames[0] + 1) * 127.5).astype(np.uint8)
    frames[1] = ((frames[1] + 1) * 2000).astype(np.uint16)
    return frames


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_a_model_that_loads(tmp_path: Path) -> None:
    states = list(Trainer(tiny(11), tmp_path / "run", stack()).run())
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


@pytest.mark.parametrize("c_darl", [False, True])
def test_training_reaches_every_parameter(tmp_path: Path, c_darl: bool) -> None:
    trainer = Trainer(tiny(2, c_darl=c_darl), tmp_path / "run", stack())
    before = {
        name: value.clone()
        for part in (trainer.state.model, trainer.state.discriminators)
        for name, value in part.named_parameters()
    }
    list(trainer.run())
    for part in (trainer.state.model, trainer.state.discriminators):
        for name, value in part.named_parameters():
            # a bias before a norm that takes the mean out has no gradient
            assert not torch.equal(before[name], value) or name.endswith("bias"), name


def test_the_published_preset_trains_on_one_phase(tmp_path: Path) -> None:
    config = tiny(1, preset="published")
    denoiser = config.model.denoiser.model_copy(update={"channels": 32, "multipliers": (1, 1), "attention_levels": ()})
    generator = config.model.generator.model_copy(update={"widths": (8, 8, 8), "spade_channels": 8})
    config = config.model_copy(
        update={"model": config.model.model_copy(update={"denoiser": denoiser, "generator": generator})}
    )
    (state,) = Trainer(config, tmp_path / "run", stack(), stack(2, seed=1), stack(2, seed=2)).run()
    assert state.preview is not None
    assert state.preview.angiogram.shape == (32, 32)


def test_backgrounds_and_masks_of_the_user_are_used(tmp_path: Path) -> None:
    dark, full = np.full((64, 64), 10, np.uint8), np.zeros((64, 64), bool)
    dark[::2] = 12
    full[:, 20:44] = True
    whole = tiny(1).draws.model_copy(update={"zoom": (1.5, 1.5)})
    (state,) = Trainer(tiny(1, draws=whole), tmp_path / "run", stack(), [dark], [full]).run()
    assert state.preview is not None
    assert (state.preview.pseudo_mask > 0).mean() == pytest.approx(24 / 64, abs=0.1)


KILLED = """
    import sys
    sys.path[:0] = {path!r}
    import torch
    from test_trainer import stack, tiny
    from napari_darl import Trainer
    torch.set_num_threads(1)
    config = tiny({steps}, autosave={autosave}, self_teaching=20)
    trainer = Trainer.resume({folder!r}, stack()) if {resume} else Trainer(config, {folder!r}, stack())
    for state in trainer.run():
        print(state.step, flush=True)
"""


def train_apart(folder: Path, steps: int, *, resume: bool, kill_after: int | None = None) -> None:
    """Train in a process of its own, killed with SIGKILL once it has done `kill_after` steps."""
    code = textwrap.dedent(KILLED).format(
        path=[str(Path(__file__).parent)],
        folder=str(folder),
        steps=steps,
        resume=resume,
        autosave=60 if kill_after is None else 0.5,
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == kill_after:
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == (0 if kill_after is None else -signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    at_once, killed = tmp_path / "at_once", tmp_path / "killed"
    train_apart(at_once, 2 * STEPS, resume=False)
    train_apart(killed, 2 * STEPS, resume=False, kill_after=STEPS)
    train_apart(killed, 2 * STEPS, resume=True)
    assert same(weights(at_once), weights(killed))
    assert (at_once / "losses.csv").read_text() == (killed / "losses.csv").read_text()
    assert same(load_file(at_once / "model.safetensors"), load_file(killed / "model.safetensors"))


def test_stopping_saves_and_resuming_goes_on(tmp_path: Path) -> None:
    stop = threading.Event()
    trainer = Trainer(tiny(9), tmp_path / "run", stack())
    for state in trainer.run(stop):
        if state.step == 4:
            stop.set()
    assert trainer.step == 4
    resumed = Trainer.resume(tmp_path / "run", stack(), steps=6)
    assert [state.step for state in resumed.run()] == [5, 6]
    list(Trainer(tiny(6), tmp_path / "whole", stack()).run())
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_run_of_the_former_version_resumes(tmp_path: Path) -> None:
    """Checkpoints and config.json of a version that called the discriminators critics."""
    list(Trainer(tiny(2), tmp_path / "whole", stack()).run())
    list(Trainer(tiny(1), tmp_path / "run", stack()).run())
    config, checkpoint = tmp_path / "run" / "config.json", tmp_path / "run" / "checkpoint.safetensors"
    config.write_text(config.read_text().replace("discriminator_learning_rate", "critics_learning_rate"))
    with safe_open(checkpoint, framework="pt") as file:
        header = file.metadata()
    header["contents"] = header["contents"].replace("discriminator_learning_rate", "critics_learning_rate")
    tensors = {re.sub(r"\bdiscriminators\.", "critics.", name): value for name, value in load_file(checkpoint).items()}
    assert {"critics.angiogram.0.weight", "optimiser.critics.0.exp_avg"} <= tensors.keys()
    save_file(tensors, checkpoint, header)

    trainer = Trainer.resume(tmp_path / "run", stack(), steps=2)
    assert trainer.config == tiny(2)
    list(trainer.run())
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    with pytest.raises(InputError, match="critics_learning_rate"):
        trainer.config.updated(critics_learning_rate=0.1)


def test_the_model_joins_the_teacher(tmp_path: Path) -> None:
    trainer = Trainer(tiny(5, self_teaching=3), tmp_path / "run", stack())
    for state in trainer.run():
        assert (trainer.state.teacher is not None) == (state.step > 3)
    teacher = trainer.state.teacher
    assert teacher is not None
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    taught = dict(teacher.named_parameters())
    assert any(not torch.equal(now, taught[name]) for name, now in trainer.model.named_parameters())
    resumed = Trainer.resume(tmp_path / "run", stack(), steps=6)
    assert resumed.state.teacher is not None
    for name, value in resumed.state.teacher.state_dict().items():
        assert torch.equal(value, teacher.state_dict()[name])


def test_path_a_sees_faint_noise_more_often() -> None:
    def levels(exponent: float) -> torch.Tensor:
        config = tiny(1, faint_noise=exponent)
        t_a = draw_noise(np.random.default_rng(0), (64, 1, 8, 8), config, torch.device("cpu")).t_a
        assert t_a.min() >= 0
        assert t_a.max() < config.model.path_a_steps
        return t_a.float()

    assert levels(1).median() > 60
    assert levels(3).median() < 50


def test_closing_the_iterator_saves(tmp_path: Path) -> None:
    run = Trainer(tiny(9), tmp_path / "run", stack()).run()
    next(run)
    next(run)
    run.close()
    assert Trainer.resume(tmp_path / "run", stack(), steps=9).step == 2


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    first = Trainer(tiny(3), tmp_path / "run", stack()).run()
    next(first)
    with pytest.raises(FileError, match="Another run is at work"):
        next(Trainer(tiny(3), tmp_path / "run", stack()).run())
    first.close()
    with pytest.raises(FileError, match="already holds a run"):
        Trainer(tiny(3), tmp_path / "run", stack())


def test_fine_tuning_begins_with_the_model(tmp_path: Path) -> None:
    list(Trainer(tiny(3), tmp_path / "first", stack()).run())
    network = load_model(tmp_path / "first", "cpu").network
    trainer = Trainer(tiny(3, c_darl=True), tmp_path / "second", stack(), start=(network, None))
    assert same(dict(network.state_dict()), dict(trainer.model.state_dict()))
    assert trainer.state.teacher is not None
    assert same(dict(network.state_dict()), dict(trainer.state.teacher.state_dict()))
    labels = [draw.labels.clone() for draw in trainer._batches()]
    untaught = Trainer(tiny(3, c_darl=True), tmp_path / "untaught", stack())
    assert any((one != draw.labels).any() for one, draw in zip(labels, untaught._batches(), strict=True))
    fundus = Trainer(training_config("fundus", steps=1), tmp_path / "fundus", stack(), start=(network, None))
    assert (fundus.config.model.side, fundus.config.model.preset) == (768, "fundus")
    with pytest.raises(InputError, match="preset lite"):
        Trainer(tiny(3, preset="published"), tmp_path / "third", stack(), start=(network, None))


def test_fine_tuning_that_is_killed_in_its_first_step(tmp_path: Path) -> None:
    list(Trainer(tiny(1), tmp_path / "first", stack()).run())
    network = load_model(tmp_path / "first", "cpu").network
    trainer = Trainer(tiny(3), tmp_path / "run", stack(), start=(network, None))

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    trainer._advance = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        next(trainer.run())
    resumed = Trainer.resume(tmp_path / "run", stack(), steps=3)
    assert resumed.step == 0
    assert same(dict(network.state_dict()), dict(resumed.state.model.state_dict()))
    assert resumed.state.teacher is not None
    assert resumed.config.learning_rate == trainer.config.learning_rate
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert next(Trainer(tiny(2), tmp_path / "run", stack()).run()).total == 2  # nothing was learnt: begun anew
    for name in ("model", "checkpoint"):
        (tmp_path / "run" / f"{name}.safetensors").unlink()
    with pytest.raises(FileError, match="without resuming"):
        Trainer.resume(tmp_path / "run", stack(), steps=3)


@pytest.mark.parametrize("left", ["", "step,cyc"])
def test_losses_whose_first_line_was_cut_short(tmp_path: Path, left: str) -> None:
    folder = RunFolder(tmp_path)
    folder.losses.write_text(left)
    folder.forget_losses_after(0)
    for step in (1, 2):
        folder.append_losses([{"step": step, "cycle": 0.5}])
    assert folder.read_losses(2) == [(1, {"cycle": 0.5}), (2, {"cycle": 0.5})]


def test_a_run_that_went_on_elsewhere_is_left_alone(tmp_path: Path) -> None:
    list(Trainer(tiny(1), tmp_path / "run", stack()).run())
    late = Trainer.resume(tmp_path / "run", stack(), steps=4)
    list(Trainer.resume(tmp_path / "run", stack(), steps=3).run())
    with pytest.raises(FileError, match="Another process has continued the run"):
        next(late.run())
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    with pytest.raises(FileError, match="no checkpoint"):
        Trainer(tiny(4), tmp_path / "run", stack())
    with pytest.raises(FileError, match="no checkpoint"):
        Trainer.resume(tmp_path / "run", stack())


def test_a_failing_step_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer(tiny(9), tmp_path / "run", stack())
    run = trainer.run()
    next(run)
    trainer.save()
    with torch.no_grad():
        next(trainer.state.model.parameters()).fill_(torch.nan)
    with pytest.raises(DarlError, match="diverged"):
        list(run)
    resumed = Trainer.resume(tmp_path / "run", stack(), steps=9)
    assert resumed.step == 1
    assert all(value.isfinite().all() for value in resumed.state.model.parameters())


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "config.json"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    list(Trainer(tiny(1), tmp_path / "run", stack()).run())
    file = tmp_path / "run" / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises((CheckpointError, FileError), match=name):
        Trainer.resume(tmp_path / "run", stack(), steps=2)


def test_c_darl_takes_no_backgrounds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no backgrounds"):
        Trainer(tiny(1, c_darl=True), tmp_path / "run", stack(), stack())


def test_pool_keeps_its_size_and_shows_old_fakes() -> None:
    pool = ImagePool(3)
    rng = np.random.default_rng(0)
    shown = [pool.query(torch.full((1, 1, 2, 2), float(i)), rng) for i in range(40)]
    assert len(pool.images) == 3
    old = [index for index, image in enumerate(shown) if image[0, 0, 0, 0] != index]
    assert 8 < len(old) < 30
