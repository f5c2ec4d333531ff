"""Runs that are stopped, killed or damaged, and resumed: the weights are those of an uninterrupted run, to the bit."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_runs import same, small, stack, weights

from napari_darl import Trainer
from napari_darl.darl.model import build
from napari_darl.errors import DarlWarning, FileError, InputError
from napari_darl.training.run_folder import RunFolder

RUN = """
    import sys
    sys.path[:0] = {path!r}
    import torch
    from small_runs import small, stack
    from napari_darl import Trainer
    torch.set_num_threads(1)
    for state in Trainer(small({steps}, autosave=0.1, self_teaching=4), {folder!r}, stack()).run():
        print(state.step, flush=True)
"""


def train_and_kill(folder: Path, *, steps: int, kill_after: int) -> None:
    """Train in another process, and kill it by SIGKILL after it has reported `kill_after` steps."""
    code = textwrap.dedent(RUN).format(path=[str(Path(__file__).parent)], folder=str(folder), steps=steps)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == kill_after:
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    list(Trainer(small(12, autosave=60, self_teaching=4), whole, stack()).run())
    train_and_kill(killed, steps=12, kill_after=6)
    resumed = Trainer.resume(killed, stack(), autosave=60)
    assert 0 < resumed.step < 12
    list(resumed.run())
    assert same(weights(whole), weights(killed))
    assert (whole / "losses.csv").read_text() == (killed / "losses.csv").read_text()
    assert (whole / "config.json").read_text() == (killed / "config.json").read_text()
    assert same(load_file(whole / "model.safetensors"), load_file(killed / "model.safetensors"))


def test_a_stopped_run_is_saved_and_resumes(tmp_path: Path) -> None:
    stop = threading.Event()
    trainer = Trainer(small(9), tmp_path / "run", stack())
    for state in trainer.run(stop):
        if state.step == 4:
            stop.set()
    assert trainer.step == 4
    resumed = Trainer.resume(tmp_path / "run", stack(), steps=6)
    assert [state.step for state in resumed.run()] == [5, 6]
    list(Trainer(small(6), tmp_path / "whole", stack()).run())
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_run_of_a_former_version_resumes(tmp_path: Path) -> None:
    """Former versions called the discriminators critics, in config.json and checkpoint."""
    list(Trainer(small(2), tmp_path / "whole", stack()).run())
    list(Trainer(small(1), tmp_path / "run", stack()).run())
    config, checkpoint = tmp_path / "run" / "config.json", tmp_path / "run" / "checkpoint.safetensors"
    config.write_text(config.read_text().replace("discriminator_learning_rate", "critics_learning_rate"))
    with safe_open(checkpoint, framework="pt") as file:
        header = file.metadata()
    header["contents"] = header["contents"].replace("discriminator_learning_rate", "critics_learning_rate")
    tensors = {re.sub(r"\bdiscriminators\.", "critics.", name): value for name, value in load_file(checkpoint).items()}
    assert {"critics.angiogram.0.weight", "optimiser.critics.0.exp_avg"} <= tensors.keys()
    save_file(tensors, checkpoint, header)

    trainer = Trainer.resume(tmp_path / "run", stack(), steps=2)
    assert trainer.config == small(2)
    list(trainer.run())
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    with pytest.raises(InputError, match="critics_learning_rate"):
        trainer.config.updated(critics_learning_rate=0.1)


def test_closing_the_iterator_saves(tmp_path: Path) -> None:
    run = Trainer(small(9), tmp_path / "run", stack()).run()
    next(run)
    next(run)
    run.close()
    assert Trainer.resume(tmp_path / "run", stack()).step == 2


def test_fine_tuning_that_is_killed_in_its_first_step(tmp_path: Path) -> None:
    network, _ = build(small(1).model, seed=1)
    trainer = Trainer(small(3), tmp_path / "run", stack(), start=(network, None))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    trainer._advance = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        next(trainer.run())
    resumed = Trainer.resume(tmp_path / "run", stack())
    assert resumed.step == 0
    assert same(dict(network.state_dict()), dict(resumed.state.model.state_dict()))
    assert resumed.state.teacher is not None
    assert resumed.config.learning_rate == trainer.config.learning_rate
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_run_without_a_step_may_be_replaced_but_one_without_a_checkpoint_not_resumed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config(small(3))
    with pytest.raises(FileError, match="ended before its first checkpoint"):
        Trainer.resume(tmp_path, stack())
    assert next(Trainer(small(2), tmp_path, stack()).run()).total == 2


def test_a_run_that_another_process_continued_is_left_alone(tmp_path: Path) -> None:
    list(Trainer(small(1), tmp_path / "run", stack()).run())
    late = Trainer.resume(tmp_path / "run", stack(), steps=4)
    read_before = RunFolder(tmp_path / "run").read()
    list(Trainer.resume(tmp_path / "run", stack(), steps=3).run())
    with pytest.raises(FileError, match="Another process has continued the run"):
        next(late.run())
    with pytest.raises(FileError, match="Another process has continued the run"):
        Trainer.resume(read_before, stack(), steps=4)
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    with pytest.raises(FileError, match="no checkpoint"):
        Trainer(small(4), tmp_path / "run", stack())
    with pytest.raises(FileError, match="no checkpoint"):
        Trainer.resume(tmp_path / "run", stack())


@pytest.mark.parametrize("left", ["", "step,cyc"])
def test_losses_whose_header_is_damaged(tmp_path: Path, left: str) -> None:
    folder = RunFolder(tmp_path)
    folder.losses.write_text(left)
    folder.forget_losses_after(0)
    for step in (1, 2):
        folder.append_losses([{"step": step, "cycle": 0.5}])
    assert folder.read_losses(2) == [(1, {"cycle": 0.5}), (2, {"cycle": 0.5})]


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "config.json"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    list(Trainer(small(1), tmp_path / "run", stack()).run())
    file = tmp_path / "run" / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FileError, match=name):
        Trainer.resume(tmp_path / "run", stack())


def test_resuming_with_other_stacks_gives_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    backgrounds = stack(seed=5)
    list(Trainer(small(1), tmp_path, stack(), backgrounds).run())
    Trainer.resume(tmp_path, stack(), backgrounds, steps=2)
    assert len(recwarn) == 0
    with pytest.warns(DarlWarning, match="The angiograms aren't those that the run was trained on so far"):
        Trainer.resume(tmp_path, stack()[::-1], backgrounds, steps=2)
    with pytest.warns(DarlWarning, match="The backgrounds and the masks aren't"):
        Trainer.resume(tmp_path, stack(), None, [frame > 0 for frame in stack(seed=5)], steps=2)
    with pytest.warns(DarlWarning, match="backgrounds"):
        list(Trainer.resume(tmp_path, stack(), steps=2).run())
    Trainer.resume(tmp_path, stack(), steps=3)  # that run has saved the fingerprints of these stacks


def test_former_checkpoints_say_nothing_of_their_stacks(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    list(Trainer(small(1), tmp_path, stack()).run())
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    contents = json.loads(header["contents"])
    del contents["stacks"]
    save_file(load_file(path), path, header | {"contents": json.dumps(contents)})
    assert Trainer.resume(tmp_path, stack(seed=9), steps=2).step == 1
    assert len(recwarn) == 0
