"""Parity with the CPU, and how fast path A is beside the device's own convolution rate."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gpu_parts.common import Cell, Options, Table, median_seconds, precision, precisions
from napari_darl import load_model, segment_probability
from napari_darl.darl.config import PUBLISHED, DenoiserConfig, GeneratorConfig, ModelConfig
from napari_darl.darl.model import Darl, build
from napari_darl.samples import sample_angiogram, sample_fundus

_SMALL = PUBLISHED.updated(
    denoiser=DenoiserConfig(channels=32, multipliers=(1, 1), blocks=1, attention_levels=()),
    generator=GeneratorConfig(widths=(16, 32)),
)


def parity(options: Options) -> Table:
    """Compare the bundled models on the device with the CPU in float32, on the sample frames."""
    table = Table(
        "Parity with the CPU",
        "Probabilities of the sample frames, beside those of the CPU in float32. "
        "The first row of a model is what `segment_probability` does on the device.",
        ("model", "precision", "mean difference", "greatest difference", "Dice of the masks"),
    )
    side = slice(300, 428) if options.quick else slice(None)
    for name, frame in (("default", sample_angiogram()[side, side]), ("fundus", sample_fundus()[side, side, 1])):
        there, here = load_model(name, str(options.device)), load_model(name, "cpu")
        wanted = segment_probability(frame, here)
        found = segment_probability(frame, there)
        rows: list[tuple[str, np.ndarray]] = [("as segmented", found)]
        for choice in precisions(options.device):
            with precision(choice, options.device):
                rows.append((choice, segment_probability(frame, there)))
        table.rows.extend((name, label, *_compare(wanted, got)) for label, got in rows)
    return table


def _compare(wanted: np.ndarray, found: np.ndarray) -> tuple[str, str, str]:
    difference = np.abs(wanted - found)
    a, b = wanted > 0.5, found > 0.5
    dice = 2 * (a & b).sum() / max(1, a.sum() + b.sum())
    return f"{difference.mean():.2g}", f"{difference.max():.2g}", f"{dice:.5f}"


def convolution_rate(options: Options) -> tuple[Table, dict[str, float]]:
    """Measure the device's rate in a large convolution, FLOP/s by precision."""
    table = Table(
        "The device's convolution rate",
        "3 x 3, 256 channels to 256, channels last; two floating-point operations a multiply-add.",
        ("precision", "TFLOP/s"),
    )
    channels, side, batch = (64, 64, 1) if options.quick else (256, 128, 16)
    layer = nn.Conv2d(channels, channels, 3, padding=1).to(options.device, memory_format=torch.channels_last)
    x = torch.randn(batch, channels, side, side, device=options.device).to(memory_format=torch.channels_last)
    flop = 2 * 9 * channels**2 * side**2 * batch
    rates = {}
    for name in precisions(options.device):
        with precision(name, options.device):
            # Autocast would cast the weights in each call, which isn't what is measured here.
            kind = torch.bfloat16 if name == "bfloat16" else torch.float32
            cast, seen = copy.deepcopy(layer).to(kind), x.to(kind)
            rates[name] = flop / median_seconds(lambda cast=cast, seen=seen: cast(seen), options.device)
        table.rows.append((name, rates[name] / 1e12))
    return table, rates


def networks(options: Options, rates: dict[str, float]) -> Table:
    """Measure path A alone, on tensors that lie on the device."""
    table = Table(
        "Path A alone",
        f"Frames of {_side(options)} px on the device; the share is of the convolution rate in the same precision.",
        ("network", "precision", "batch", "ms a frame", "frames/s", "TFLOP/s", "share"),
    )
    published = build(_SMALL if options.quick else PUBLISHED, 0)[0]
    lite = load_model("default", str(options.device)).network
    for name, network, batches in (("lite", lite, (1, 16)), ("published", published, (1,))):
        network = network.eval().requires_grad_(False).to(options.device, memory_format=torch.channels_last)
        flop = flop_of_frame(network.config, options)
        for choice in precisions(options.device):
            for batch in batches[:1] if options.quick else batches:
                frames = torch.rand(batch, 1, _side(options), _side(options), device=options.device)
                with precision(choice, options.device):
                    seconds = _timed(network, frames, options) / batch
                share = flop / seconds / rates[choice]
                table.rows.append((name, choice, str(batch), *_speed(seconds), flop / seconds / 1e12, share))
    return table


def _side(options: Options) -> int:
    return 128 if options.quick else 512


def _timed(network: nn.Module, frames: torch.Tensor, options: Options) -> float:
    return median_seconds(lambda: network(frames), options.device, most=2 if options.quick else 50)


def flop_of_frame(config: ModelConfig, options: Options) -> float:
    """Count the operations of the plain network for one frame."""
    plain = Darl(config).eval().to(options.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        plain(torch.zeros(1, 1, _side(options), _side(options), device=options.device))
    return float(counter.get_total_flops())


def _speed(seconds: float) -> tuple[float, float]:
    return seconds * 1e3, 1 / seconds


def frames(options: Options) -> Table:
    """Measure `segment_probability` as users call it: from NumPy arrays to NumPy arrays."""
    table = Table(
        "Frames a second",
        "`segment_probability` with the model `default` at its own pixel size, from NumPy array to NumPy array.",
        ("image", "ms a frame", "frames/s", "megapixels/s"),
    )
    model = load_model("default", str(options.device))
    frame = sample_angiogram()[: _side(options), : _side(options)]
    movie = np.stack([np.roll(frame, 3 * shift, axis=0) for shift in range(2 if options.quick else 128)])
    copies = 2 if options.quick else 8
    large = np.tile(frame, (copies, copies))
    calls: dict[str, tuple[Callable[[], object], int, int]] = {
        "one frame": (lambda: segment_probability(frame, model, resize=1.0), 1, frame.size),
        f"movie of {len(movie)}": (lambda: segment_probability(movie, model, resize=1.0), len(movie), movie.size),
        "x".join(map(str, large.shape)): (lambda: segment_probability(large, model, resize=1.0), 1, large.size),
    }
    for name, (call, count, pixels) in calls.items():
        seconds = median_seconds(call, options.device, 3, 1 if options.quick else 20)
        row: tuple[Cell, ...] = (name, *_speed(seconds / count), pixels / seconds / 1e6)
        table.rows.append(row)
    return table
