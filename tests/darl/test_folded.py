"""Path A folded for processors gives what the networks give."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from napari_darl import load_model, segment_probability
from napari_darl.darl import fused_layers
from napari_darl.darl.config import LITE, PUBLISHED, Calibration, DenoiserConfig, GeneratorConfig, ModelConfig
from napari_darl.darl.folded import FoldedPathA, path_a
from napari_darl.darl.model import Darl, build
from napari_darl.samples import sample_angiogram, sample_fundus

_SMALL = LITE.updated(denoiser=LITE.denoiser.updated(multipliers=(1, 2)))


def _network(config: ModelConfig) -> Darl:
    """Return a network whose norms have statistics and parameters of their own."""
    network = build(config, seed=0)[0].eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
        if hasattr(module, "weight") and "Norm" in type(module).__name__ and module.weight is not None:
            module.weight.uniform_(0.5, 2, generator=generator)
            module.bias.normal_(0, 0.5, generator=generator)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _frames(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.mark.parametrize("t", [0, 150])
@pytest.mark.parametrize(
    "generator",
    [
        LITE.generator,
        LITE.generator.updated(skips=False),
        LITE.generator.updated(spade=False),
        LITE.generator.updated(kernel=7, widths=(16, 24)),
        LITE.generator.updated(spectral_norm=True, widths=(16, 24)),
    ],
    ids=["lite", "no skips", "no SPADE", "wide kernels", "spectral norm"],
)
def test_in_float32_it_is_the_network(generator: GeneratorConfig, t: int) -> None:
    network = _network(_SMALL.updated(generator=generator))
    frames = _frames(2, 1, 64, 96)
    found = FoldedPathA(network)(frames, t)
    torch.testing.assert_close(found, network(frames, t), atol=2e-5, rtol=0)


def test_the_calibration_is_folded() -> None:
    calibration = Calibration(cut=0.2, temperature=1.7)
    plain = _network(_SMALL)
    network, frames = _network(_SMALL.updated(calibration=calibration)), _frames(1, 1, 64, 64)
    found = FoldedPathA(network, bfloat16=False)(frames)
    torch.testing.assert_close(found, network(frames), atol=2e-5, rtol=0)
    before = plain(frames)
    assert ((before > 0.2) == (found > 0.5)).float().mean() > 0.999
    torch.testing.assert_close(torch.logit(found), (torch.logit(before) + 4**0.5 * 0.6931472) / 1.7, atol=1e-2, rtol=0)


def test_without_fused_operations_it_is_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_layers, "_fuses", lambda: False)
    network, frames = _network(_SMALL), _frames(1, 1, 32, 64)
    torch.testing.assert_close(FoldedPathA(network)(frames), network(frames), atol=2e-5, rtol=0)


def test_the_smallest_frame_is_reflected_at_its_edges() -> None:
    network, frames = _network(_SMALL.updated(generator=LITE.generator.updated(kernel=7))), _frames(1, 1, 16, 16)
    torch.testing.assert_close(FoldedPathA(network)(frames), network(frames), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "generator",
    [LITE.generator, LITE.generator.updated(kernel=7, widths=(8, 8)), LITE.generator.updated(skips=False)],
    ids=["lite", "wide kernels", "no skips"],
)
def test_a_wanted_part_is_that_of_the_whole_to_the_bit(generator: GeneratorConfig) -> None:
    folded = FoldedPathA(_network(_SMALL.updated(generator=generator)))
    frames = _frames(1, 1, 192, 160)
    whole = folded(frames)
    inside, corner, pixels = (slice(64, 128), slice(48, 112)), (slice(0, 33), slice(91, 160)), (slice(97, 98),) * 2
    for rows, columns in (inside, corner, pixels):
        found = folded(frames, 0, (rows, columns))
        assert torch.equal(found[:, :, rows, columns], whole[:, :, rows, columns])
        assert (found == 0).float().mean() > 0.2


@pytest.mark.parametrize(("name", "frame"), [("default", sample_angiogram()), ("fundus", sample_fundus()[::2, ::2, 1])])
def test_in_bfloat16_masks_stay(name: str, frame: np.ndarray) -> None:
    model = load_model(name, "cpu")
    side = [length // 32 * 32 for length in frame.shape]
    scaled = torch.from_numpy(frame[: side[0], : side[1]].astype(np.float32))[None, None] / 127.5 - 1
    wanted = model.network(scaled)
    found = FoldedPathA(model.network, bfloat16=True)(scaled)
    both = ((wanted > 0.5) & (found > 0.5)).sum()
    assert 2 * both / ((wanted > 0.5).sum() + (found > 0.5).sum()) > 0.999
    assert (found - wanted).abs().mean() < 1e-3


def test_segmenting_uses_it_and_notices_new_weights() -> None:
    model = copy.deepcopy(load_model("default", "cpu"))
    assert isinstance(path_a(model.network), FoldedPathA)
    assert path_a(model.network) is path_a(model.network)
    before = segment_probability(sample_angiogram(), model)
    with torch.no_grad():
        model.network.generator.out.bias.add_(2.0)
    assert segment_probability(sample_angiogram(), model).mean() > before.mean() + 0.01


def test_segmenting_notices_another_calibration() -> None:
    model = copy.deepcopy(load_model("default", "cpu"))
    assert isinstance(path_a(model.network), FoldedPathA)
    model.network.config = model.network.config.updated(calibration=Calibration(cut=0.2, temperature=2))
    frames = _frames(1, 1, 32, 64)
    found = path_a(model.network)(frames, 0)
    torch.testing.assert_close(found, model.network(frames), atol=1e-3, rtol=0)


def test_networks_that_it_does_not_suit_segment_as_they_are() -> None:
    small = DenoiserConfig(channels=32, multipliers=(1, 1), blocks=1, attention_levels=())
    published = build(PUBLISHED.updated(denoiser=small, generator=GeneratorConfig(widths=(4, 8))), 0)[0].eval()
    assert path_a(published) is published
    training = build(_SMALL, 0)[0]
    assert path_a(training) is training
