"""Presets, paths, losses and noise schedule; `test_published.py` compares the published networks."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from napari_darl.darl.config import LITE, PUBLISHED, ModelConfig, ScheduleConfig
from napari_darl.darl.contrast import MaskContrast
from napari_darl.darl.device import working_precision
from napari_darl.darl.folded import FoldedPathA
from napari_darl.darl.layers import ChannelNorm
from napari_darl.darl.losses import cycle
from napari_darl.darl.model import Darl, Discriminators, build
from napari_darl.darl.schedule import NoiseSchedule


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_sizes_of_the_presets() -> None:
    assert round(parameters(Darl(PUBLISHED)) / 1e6, 1) == 35.4
    assert parameters(Darl(LITE)) <= 2e6


@pytest.mark.parametrize("folded", [False, True])
def test_a_network_leaves_the_cast_weights_of_a_training_in_another_thread(folded: bool) -> None:
    """All threads share autocast's cache; once it is emptied, gradients are rounded in another way."""
    network = build(LITE, seed=0)[0].eval()
    segment = FoldedPathA(network) if folded else network
    x, weight = torch.ones(1, 2), torch.nn.Parameter(torch.ones(3, 2))

    def cast() -> object:
        return F.linear(x, weight).grad_fn.next_functions[-1][0].next_functions[0][0]

    with torch.autocast("cpu", dtype=torch.bfloat16), ThreadPoolExecutor(1) as thread:
        before, again = cast(), cast()
        assert before is again
        thread.submit(segment, torch.zeros(1, 1, 64, 64)).result()
        assert cast() is before


def test_lite_segments_a_crop_like_the_whole_frame() -> None:
    model, _ = build(LITE, seed=0)
    frame = torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        whole = model.eval()(frame)
        crop = model(frame[:, :, 64:448, 64:448])
    torch.testing.assert_close(crop[:, :, 128:256, 128:256], whole[:, :, 192:320, 192:320], atol=1e-4, rtol=0)


def test_channels_are_normalised_in_float32_whatever_the_precision() -> None:
    features = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    with working_precision(torch.device("cpu"), "bfloat16")():
        found = ChannelNorm(8)(features)
    wanted = features.float() - features.float().mean(dim=1, keepdim=True)
    wanted /= (wanted.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)  # bfloat16 would be 4e-3 off


@pytest.mark.parametrize("channels", [8, 24])
def test_scales_and_shifts_of_channels_are_learnt_as_in_layer_norm(channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features, weights = (torch.randn(2, channels, 5, 7, generator=generator) for _ in range(2))
    norm, other = ChannelNorm(channels), torch.nn.LayerNorm(channels)
    for name in ("weight", "bias"):
        torch.nn.init.normal_(getattr(norm, name), generator=generator)
        getattr(other, name).data.copy_(getattr(norm, name))
    with working_precision(torch.device("cpu"), "bfloat16")():
        found = norm(features)
    wanted = other(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, wanted)
    for output in (found, wanted):
        (output * weights).sum().backward()
    for mine, its in zip(norm.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, its.grad)


def test_phases_are_segmented_like_frames_and_interleaved_again() -> None:
    config = LITE.updated(phases="batch")
    model = build(config, seed=0)[0].eval()
    frame = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        whole = model(frame)
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            phase = model.path_a(frame[..., row::2, column::2], torch.tensor([0])).image
            torch.testing.assert_close(2 * whole[..., row::2, column::2] - 1, phase, atol=1e-5, rtol=0)


def test_the_mask_switches_the_path() -> None:
    model, _ = build(LITE, seed=0)
    t = torch.tensor([0])
    frame = torch.zeros(1, 1, 64, 64)
    mask = -torch.ones(1, 1, 64, 64)
    mask[..., 30:34, :] = 1
    with torch.no_grad():
        a, b = model.eval().path_a(frame, t), model.path_b(frame, t, mask)
    assert torch.equal(a.noise, b.noise)
    assert not torch.allclose(a.image, b.image)


def test_initialisation_depends_on_the_seed_only() -> None:
    first, again, other = (build(LITE, seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["generator.out.weight"], other["generator.out.weight"])


def test_published_initialisation() -> None:
    narrow = PUBLISHED.denoiser.updated(channels=32)
    model, discriminators = build(PUBLISHED.updated(denoiser=narrow), seed=0)
    kernel = model.denoiser.middle[0].first[2].weight.flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, torch.eye(len(kernel)), atol=1e-4, rtol=0)
    assert discriminators.mask is not None
    for weight in (model.generator.encoder[2].weight, discriminators.angiogram[2].weight):
        assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_c_darl_has_a_contrast_instead_of_a_mask_discriminator() -> None:
    discriminators = Discriminators(LITE.model_copy(update={"variant": "c-darl"}))
    assert discriminators.mask is None
    assert discriminators.contrast is not None


def test_the_contrast_has_gradients_for_positives_and_negatives() -> None:
    generator = torch.Generator().manual_seed(0)
    query, positive, negative = (torch.rand(2, 1, 64, 64, generator=generator) * 2 - 1 for _ in range(3))
    positive.requires_grad_()
    negative.requires_grad_()
    contrast = MaskContrast()
    contrast(query, positive, negative).backward()
    assert positive.grad is not None
    assert positive.grad.abs().sum() > 0
    assert negative.grad is not None
    assert negative.grad.abs().sum() > 0
    assert contrast(query, query, negative) < contrast(query, negative, query)


def test_cycle_norms() -> None:
    mask = -torch.ones(1, 1, 8, 8)
    mask[..., :2, :2] = 1
    nothing = -torch.ones_like(mask)
    assert cycle(nothing, mask, "l1") == pytest.approx(2 * 4 / 64)
    assert cycle(nothing, mask, "mse") == pytest.approx(4 * 4 / 64)
    assert cycle(mask, mask, "entropy") == pytest.approx(0)
    assert cycle(nothing, mask, "entropy") > 0.9


def test_one_reverse_step_with_the_true_noise_ends_at_the_clean_frame() -> None:
    schedule = NoiseSchedule(ScheduleConfig())
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 1, 8, 8, generator=generator) * 2 - 1
    noise, fresh = (torch.randn(2, 1, 8, 8, generator=generator) for _ in range(2))
    t = torch.tensor([0, 300])
    noisy = schedule.add_noise(clean, t, noise)
    torch.testing.assert_close(schedule.clean_estimate(noisy, t, noise), clean, atol=1e-4, rtol=0)
    step = schedule.reverse_step(noisy, t, noise, fresh)
    torch.testing.assert_close(step[0], clean[0], atol=1e-4, rtol=0)
    assert (step[1] - clean[1]).abs().mean() < (noisy[1] - clean[1]).abs().mean() + 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"tile": 100},
        {"overlap": 800},
        {"path_a_steps": 5000},
        {"unknown": 1},
        {"denoiser": {"channels": 10**9}},
        {"denoiser": {"channels": 48}},
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModelConfig.model_validate(change)


def test_without_spade_the_mask_still_decides_path_b() -> None:
    config = LITE.updated(generator=LITE.generator.updated(spade=False))
    model = build(config, 0)[0].eval()
    frames, t = torch.rand(1, 1, 64, 64), torch.zeros(1, dtype=torch.long)
    mask = torch.full_like(frames, -1)
    empty = model.path_b(frames, t, mask).image
    mask[..., 20:30] = 1
    assert not torch.equal(model.path_b(frames, t, mask).image, empty)
    assert model.path_a(frames, t).image.shape == frames.shape


def test_precision_if_torch_does_not_report_the_features_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # Torch before 2.11 has no such function.
    with working_precision(torch.device("cpu"), "auto")():
        assert not torch.is_autocast_enabled("cpu")
