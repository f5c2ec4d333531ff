"""The published networks: released checkpoints load, and outputs and losses are those of the released code."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing.models import Attack, published_checkpoint
from published_weights import FIXTURES, write_checkpoints
from torch import Tensor

from napari_darl.darl.losses import (
    Batch,
    LossConfig,
    Noise,
    discriminator_losses,
    losses_of_path_a,
    losses_of_path_b,
    run_cycle,
    run_path_a,
    run_path_b,
    weighted,
)
from napari_darl.darl.model import Darl, Discriminators
from napari_darl.darl.published import import_published
from napari_darl.errors import CheckpointError

EVALUATION, TRAINING = 1e-3, 5e-3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoints(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def networks(checkpoint: Path) -> tuple[Darl, Discriminators]:
    """Imported networks, for tests that don't train them."""
    model, discriminators = import_published(checkpoint)
    assert discriminators is not None
    return model, discriminators


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    arrays = dict(np.load(FIXTURES / "published_seed0.npz"))
    arrays["input_x512"] = arrays["input_x512"] / np.float32(32767)
    arrays["input_f"] = np.where(arrays["input_f"], 1, -1).astype(np.float32)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def difference(output: Tensor, expected: Tensor) -> float:
    """Return the greatest absolute difference at the centre of the output, which the reference contains."""
    middle, half = output.shape[-1] // 2, expected.shape[-1] // 2
    window = slice(middle - half, middle + half)
    return float((output[..., window, window] - expected).abs().max())


def test_path_a(networks: tuple[Darl, Discriminators], reference: dict[str, Tensor]) -> None:
    model = networks[0].eval()
    step = torch.tensor([150])
    noisy = model.schedule.add_noise(reference["input_a"], step, reference["input_noise"])
    with torch.no_grad():
        noise, mask = model.path_a(noisy, step)
    assert difference(noise, reference["path_a_t150_eps"]) < EVALUATION
    assert difference(mask, reference["path_a_t150_mask"]) < EVALUATION


def test_path_b_and_reverse_step(networks: tuple[Darl, Discriminators], reference: dict[str, Tensor]) -> None:
    model = networks[0].eval()
    step = torch.tensor([1200])
    noisy = model.schedule.add_noise(reference["input_b"], step, reference["input_noise"])
    with torch.no_grad():
        noise, angiogram = model.path_b(noisy, step, reference["input_f"])
    assert difference(noise, reference["path_b_t1200_eps"]) < EVALUATION
    assert difference(angiogram, reference["path_b_t1200_angiogram"]) < EVALUATION
    mean = model.schedule.reverse_mean(noisy, step, noise)
    assert difference(mean, reference["reverse_mean_t1200"]) < EVALUATION
    torch.testing.assert_close(model.schedule.reverse_variance(step), reference["reverse_var_t1200"].view(1, 1, 1, 1))


def test_segmentation_by_phases(networks: tuple[Darl, Discriminators], reference: dict[str, Tensor]) -> None:
    """Segment one of the four phases, to save time; `test_model.py` tests that they are interleaved again."""
    phases = networks[0].split(reference["input_x512"])
    with torch.no_grad():
        mask = networks[0].eval().path_a(phases[1:2], torch.tensor([0])).image
    assert difference(mask, reference["segment_512"][..., ::2, 1::2]) < EVALUATION


@pytest.fixture
def in_training(networks: tuple[Darl, Discriminators]) -> Iterator[tuple[Darl, Discriminators]]:
    """The networks in training mode, which changes the buffers of their norms; these are restored."""
    buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
    yield networks[0].train(), networks[1].train()
    for buffer, before in buffers:
        buffer.copy_(before)


def test_training_outputs_and_losses(in_training: tuple[Darl, Discriminators], reference: dict[str, Tensor]) -> None:
    model, discriminators = in_training
    frames = {name: reference[f"input_{name}"] for name in ("a", "b", "f", "noise")}
    batch = Batch(
        frames["a"],
        frames["b"],
        frames["f"],
        rendered=frames["b"],
        labels=torch.zeros_like(frames["a"]),
        on_path_b=1,
    )
    noise = Noise(frames["noise"], t_a=torch.tensor([150]), t_b=torch.tensor([1200]))
    with torch.no_grad():
        networks = model.train(), batch, noise
        a, b = run_path_a(*networks), run_path_b(*networks)
        cycle = run_cycle(*networks, b.image)
        losses = losses_of_path_a(a, batch, discriminators.train(), LossConfig())
        losses |= losses_of_path_b(b, cycle, batch, noise.eps, discriminators, LossConfig())
        total = weighted(losses, LossConfig())
        losses |= discriminator_losses(batch, b.image, a.image, discriminators)
    assert difference(a.image, reference["train_segm_V"]) < TRAINING
    assert difference(b.image, reference["train_synt_A"]) < TRAINING
    assert difference(cycle.image, reference["train_recn_F"]) < TRAINING
    expected = {
        "diffusion": "loss_diffusion",
        "cycle": "loss_cycle_l1",
        "adversarial_mask": "loss_adv_g_mask",
        "adversarial_angiogram": "loss_adv_g_angiogram",
        "discriminator_mask": "loss_adv_d_mask",
        "discriminator_angiogram": "loss_adv_d_angiogram",
    }
    for name, key in expected.items():
        assert abs(float(losses[name]) - float(reference[key])) < TRAINING, name
    wanted = losses["diffusion"] + 5 * losses["cycle"]
    wanted = wanted + 0.2 * (losses["adversarial_mask"] + losses["adversarial_angiogram"])
    torch.testing.assert_close(total, wanted)


def test_generator_alone_is_enough_to_segment(tmp_path: Path) -> None:
    (tmp_path / "X_G.pth").write_bytes(published_checkpoint()["X_G.pth"])
    _, discriminators = import_published(tmp_path / "X_G.pth")
    assert discriminators is None


def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "X_G.pth"
    file.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(CheckpointError, match="not executed"):
        import_published(file)
    torch.save({"denoise_fn": Attack()}, file)
    with pytest.raises(CheckpointError, match="not executed"):
        import_published(file)
    assert not (tmp_path / "executed").exists()


def test_other_networks_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "X_G.pth"
    torch.save({"denoise_fn.downs.0.weight": torch.zeros(3)}, file)
    with pytest.raises(CheckpointError, match="published DARL networks"):
        import_published(file)
