"""Training steps a second beside a plain loop, and `lite` from scratch against Sato's filter."""

import time
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
import torch.nn.functional as F
from skimage.filters import sato
from torch import Tensor
from torch.optim import Adam

from gpu_parts.common import Options, Table, wait_for
from napari_darl import Trainer, load_model, segment_probability
from napari_darl.darl.model import build
from napari_darl.samples import sample_angiogram, sample_fundus
from napari_darl.synthetic.phantom import phantom_angiogram
from napari_darl.training.config import TrainingConfig, training_config

_PRESETS = ("lite", "fundus", "published")
_FRACTIONS = np.arange(0.02, 0.205, 0.01)
_SIGMAS = (1, 1.5, 2, 2.5, 3, 3.5)


def steps(options: Options) -> Table:
    """Measure each preset's training loop, the drawing of its batches alone, and a plain loop with its networks."""
    table = Table(
        "Training steps a second",
        "The plain loop is the published method written down without more: float32, batches at hand on the device, "
        "three passes, the published losses, two optimisers; no drawing, running average, clipping or teacher.",
        ("preset", "batch", "steps/s", "batches drawn/s (one thread)", "plain loop, steps/s"),
    )
    seconds, most = (0.0, 1) if options.quick else (6.0, 200)
    for preset in _PRESETS[: 1 if options.quick else None]:
        frames = (
            [sample_fundus()[..., 1]] if preset == "fundus" else [sample_angiogram(), sample_angiogram("angiogram_2")]
        )
        config = _config(preset, 10_000, options)
        trainer = Trainer(config, options.folder / f"steps_{preset}", frames, device=str(options.device))
        run = trainer.run()
        done = _rate(run, seconds, most, options)
        run.close()
        drawing = _rate(
            (trainer.sampler.draw(10_000 + step, config.batch) for step in range(most + 3)), 2, most, options
        )
        plain = _rate(plain_loop(config, options.device), seconds, most, options)
        table.rows.append((preset, str(config.batch), done, drawing, plain))
    return table


def _config(preset: str, steps: int, options: Options) -> TrainingConfig:
    """Return a preset's recipe that saves only when asked."""
    config = training_config(preset, steps=steps).updated(autosave=1e9)
    return config.updated(batch=1) if options.quick else config


def _rate(loop: Iterator[object], seconds: float, most: int, options: Options) -> float:
    """Return how many items a second an iterator yields, after its first."""
    warm = 1 if options.quick else 3
    for _ in range(warm):
        next(loop)
    wait_for(options.device)
    start, count = time.perf_counter(), 0
    while count < 1 or (count < most and time.perf_counter() - start < seconds):
        next(loop)
        count += 1
    wait_for(options.device)
    return count / (time.perf_counter() - start)


def plain_loop(config: TrainingConfig, device: torch.device) -> Iterator[int]:
    """Train as Kim et al. (2023) describe, on random batches that lie on the device."""
    model, discriminators = (network.to(device) for network in build(config.model, 0))
    assert discriminators.mask is not None  # noqa: S101 - of DARL, which the presets are
    generator = Adam(model.parameters(), config.learning_rate, betas=(0.5, 0.999))
    discriminators_optimiser = Adam(discriminators.parameters(), config.discriminator_learning_rate, betas=(0.5, 0.999))
    side = config.draws.size // (2 if config.model.phases == "batch" else 1)
    shape = (config.batch, 1, side, side)
    angiogram, background = (torch.rand(shape, device=device) * 2 - 1 for _ in range(2))
    mask = (torch.rand(shape, device=device) > 0.9).float() * 2 - 1

    def off(scores: Tensor, target: float) -> Tensor:
        return (scores - target).square().mean()

    for step in range(10**9):
        noise = torch.randn(shape, device=device)
        t_a = torch.randint(config.model.path_a_steps, (config.batch,), device=device)
        t_b = torch.randint(config.model.schedule.steps, (config.batch,), device=device)
        noised = model.schedule.add_noise
        discriminators.requires_grad_(False)
        a = model.path_a(noised(angiogram, t_a, noise), t_a).image
        predicted, b = model.path_b(noised(background, t_b, noise), t_b, mask)
        cycle = model.path_a(noised(b, t_a, noise), t_a).image
        loss = F.mse_loss(predicted, noise) + 5 * F.l1_loss(cycle, mask)
        loss = loss + 0.2 * (off(discriminators.mask(a), 1) + off(discriminators.angiogram(b), 1))
        generator.zero_grad()
        loss.backward()
        generator.step()
        discriminators.requires_grad_(True)
        pairs = ((discriminators.mask, mask, a), (discriminators.angiogram, angiogram, b))
        loss_d = sum(0.5 * (off(d(real), 1) + off(d(fake.detach()), 0)) for d, real, fake in pairs)
        discriminators_optimiser.zero_grad()
        loss_d.backward()  # type: ignore[union-attr]
        discriminators_optimiser.step()
        loss.item()
        yield step


def from_scratch(options: Options) -> Table:
    """Train `lite` until the time is up, and measure it now and then beside Sato's filter."""
    frames, truths, source = _measured(options)
    table = Table(
        "`lite` from scratch",
        f"Dice at 0.5 on {len(frames)} {source}; Sato's filter at the part of brightest pixels that suits these masks "
        "best. Seconds are those of training alone.",
        ("method", "steps", "seconds", "Dice"),
    )
    table.rows.append(("sato", None, None, sato_dice(frames, truths)))
    config = _config("lite", 2 if options.quick else 3500, options)
    folder = options.folder / "lite"
    trainer = Trainer(config, folder, _training_frames(options), device=str(options.device))
    spent, look, start = 0.0, 15.0, time.monotonic()
    for progress in trainer.run():
        spent, late = time.monotonic() - start, time.monotonic() > options.deadline
        if spent < look and not late and progress.step < config.steps:
            continue
        trainer.save()
        table.rows.append(("lite", str(progress.step), spent, model_dice(folder, frames, truths, options)))
        print(table.rows[-1], flush=True)
        if late:
            break
        look, start = spent + 15, time.monotonic() - spent
    return table


def model_dice(folder: Path, frames: list[np.ndarray], truths: list[np.ndarray], options: Options) -> float:
    """Return the mean Dice at .5 of a run's model."""
    model = load_model(folder, str(options.device))
    masks = (segment_probability(frame, model) > 0.5 for frame in frames)
    return _mean_dice(masks, truths)


def sato_dice(frames: list[np.ndarray], truths: list[np.ndarray]) -> float:
    """Return the mean Dice of Sato's filter at the best part of brightest pixels."""
    seen = [np.log((frame - frame.min()) / max(1e-6, np.ptp(frame)) + 0.03) for frame in frames]
    found = [sato(frame, sigmas=_SIGMAS, black_ridges=True) for frame in seen]
    return max(_mean_dice((one > np.quantile(one, 1 - cut) for one in found), truths) for cut in _FRACTIONS)


def _mean_dice(masks: Iterator[np.ndarray], truths: list[np.ndarray]) -> float:
    each = [2 * (m & t).sum() / max(1, m.sum() + t.sum()) for m, t in zip(masks, truths, strict=True)]
    return float(np.mean(each))


def _measured(options: Options) -> tuple[list[np.ndarray], list[np.ndarray], str]:
    if options.frames and options.masks:
        frames, masks = (_folder(path) for path in (options.frames, options.masks))
        return (
            frames,
            [mask > mask.max() / 2 for mask in masks],
            f"frames with expert masks ({options.frames.parent.name})",
        )
    made = [_phantom((1, number)) for number in range(2 if options.quick else 12)]
    return [frame for frame, _ in made], [truth for _, truth in made], "phantoms of 300 x 300"


def _training_frames(options: Options) -> list[np.ndarray]:
    if options.angiograms:
        return _folder(options.angiograms)
    return [_phantom((0, number))[0] for number in range(2 if options.quick else 40)]


def _phantom(seed: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    frame, truth = phantom_angiogram((300, 300), np.random.default_rng(seed))
    return frame, truth.mask


def _folder(folder: Path) -> list[np.ndarray]:
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    images = [iio.imread(path) for path in paths]
    return [image.max(axis=-1) if image.ndim == 3 else image for image in images]
