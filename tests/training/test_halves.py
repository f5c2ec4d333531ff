"""The two halves of a step: what they compute together is what they compute one after the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from small_runs import small, stack

from napari_darl import Trainer
from napari_darl.errors import DarlError
from napari_darl.training import gradients
from napari_darl.training.gradients import Computed, compute
from napari_darl.training.halves import in_halves


@pytest.fixture
def two_threads() -> Iterator[None]:
    former = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(former)


def computed(folder: Path, threads: int, **changes: object) -> tuple[Computed, dict[str, torch.Tensor]]:
    """Compute a step of a new run; return also the state, in which running means have changed."""
    torch.set_num_threads(threads)
    trainer = Trainer(small(1, **changes), folder, stack(), device="cpu")
    batch = trainer.sampler.draw(0, trainer.config.batch, trainer.config.more_angiograms)
    calls: list[int] = []
    found = compute(trainer.state, batch, trainer.config, trainer._precision, lambda: calls.append(threads))
    assert calls == [threads]
    return found, trainer.state.tensors()


@pytest.mark.parametrize("changes", [{}, {"c_darl": True}, {"precision": "bfloat16"}])
def test_halves_at_once_compute_the_same_to_the_bit(
    tmp_path: Path, two_threads: None, changes: dict[str, object]
) -> None:
    (found, state), (wanted, expected) = (computed(tmp_path / str(n), n, **changes) for n in (2, 1))
    assert found.losses == wanted.losses
    assert expected.keys() == state.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    torch.testing.assert_close(found.paths, wanted.paths, atol=0, rtol=0)
    torch.testing.assert_close(found.gradients, wanted.gradients, atol=0, rtol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("failing", ["run_path_a", "run_path_b", "run_cycle", "discriminator_losses"])
def test_an_error_of_a_half_ends_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_threads: None, failing: str, threads: int
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    torch.set_num_threads(threads)
    monkeypatch.setattr(gradients, failing, fail)
    with pytest.raises(DarlError, match="Memory ran out in step 1"):
        list(Trainer(small(1), tmp_path / "run", stack(), device="cpu").run())


def test_other_threads_keep_all_theirs(two_threads: None) -> None:
    torch.set_num_threads(4)
    assert in_halves(torch.get_num_threads, torch.get_num_threads, torch.get_num_threads, True) == (2, 2, 2)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads() == 4


def test_runs_beside_each_other_end(tmp_path: Path, two_threads: None) -> None:
    def run(number: int) -> int:
        return len(list(Trainer(small(4), tmp_path / str(number), stack(), device="cpu").run()))

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(run, number) for number in range(3)]
        assert [one.result(timeout=120) for one in runs] == [4, 4, 4]


def test_gradients_have_the_layout_of_their_parameters(tmp_path: Path, two_threads: None) -> None:
    trainer = Trainer(small(1), tmp_path / "run", stack(), device="cpu")
    list(trainer.run())
    parameters = list(trainer.state.model.parameters())
    assert all(one.grad is not None and one.grad.stride() == one.stride() for one in parameters)
    assert any(one.stride() != one.detach().contiguous().stride() for one in parameters)
