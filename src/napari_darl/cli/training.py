"""The command `train`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_darl.cli.options import Bits, Channel, Device, Frames, Output, frame_numbers
from napari_darl.cli.terminal import messages, progress_bar, stop_on_interrupt
from napari_darl.errors import InputError


class Preset(StrEnum):
    """Presets that `train` knows."""

    LITE = "lite"
    FUNDUS = "fundus"
    PUBLISHED = "published"


def train(
    angiograms: Annotated[Path, typer.Option(help="Folder or stack of angiograms.")],
    output: Output,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Frames before contrast arrives; by default they are synthesized.")
    ] = None,
    first_frames: Annotated[
        int, typer.Option(min=0, help="Use this many frames at the start of each series as backgrounds instead.")
    ] = 0,
    masks: Annotated[Path | None, typer.Option(help="Pseudo-masks; by default they are synthesized.")] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Networks and recipe; by default those of --start, else lite.")
    ] = None,
    c_darl: Annotated[bool, typer.Option("--c-darl", help="C-DARL: no backgrounds, no mask discriminator.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps; by default the preset's.")] = None,
    start: Annotated[
        str | None, typer.Option(help="Start from this model: a bundled model's name, a model file or X_G.pth.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the output folder.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of all random draws; by default 0.")
    ] = None,
    channel: Channel = None,
    frames: Frames = None,
    bits: Bits = None,
    device: Device = "auto",
) -> None:
    """Train a model on unpaired stacks, without labels. Ctrl-C saves and stops."""
    from napari_darl.frames.stacks import read_stack
    from napari_darl.inference.loading import starting_networks
    from napari_darl.training.config import training_config
    from napari_darl.training.run_folder import RunFolder
    from napari_darl.training.trainer import Trainer

    fixed = {"--preset": preset, "--c-darl": c_darl or None, "--start": start, "--seed": seed}
    if resume and (given := [name for name, value in fixed.items() if value is not None]):
        raise InputError(f"A run keeps the settings it was started with. Leave {' and '.join(given)} out.")
    networks = starting_networks(start) if start else None
    saved = RunFolder(output).read() if resume else None
    name = preset.value if preset else networks[0].config.preset if networks else "lite"
    config = training_config(name, c_darl=c_darl, steps=steps, seed=seed or 0)
    if first_frames and backgrounds:
        raise InputError("--backgrounds and --first-frames both name the backgrounds. Pass one of them.")
    stack = read_stack(angiograms, channel, bits=bits, frames=frame_numbers(frames))
    shown, empty = stack.split(first_frames)
    stacks = (
        shown,
        read_stack(backgrounds, channel).frames if backgrounds else empty,
        read_stack(masks, "brightest").frames if masks else None,
    )
    if saved is not None:
        trainer = Trainer.resume(saved, *stacks, bits=stack.bits, steps=steps, device=device)
    else:
        trainer = Trainer(config, output, *stacks, bits=stack.bits, start=networks, device=device)
    with stop_on_interrupt() as stop, progress_bar("cycle {task.fields[cycle]:.3f}") as progress:
        task = progress.add_task("Training", total=trainer.config.steps, completed=trainer.step, cycle=0.0)
        for state in trainer.run(stop):
            progress.update(task, completed=state.step, cycle=state.losses["cycle"])
    ended = "Stopped" if trainer.step < trainer.config.steps else "Finished"
    messages.print(f"{ended} after step {trainer.step}. The model is {trainer.folder.model}.")
