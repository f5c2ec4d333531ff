"""The command `synthesize`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_darl.cli.files import refuse_existing
from napari_darl.cli.options import Bits, Channel, Device, Frames, ModelName, Output, Overwrite, Seed, frame_numbers
from napari_darl.cli.terminal import messages, tracked
from napari_darl.errors import InputError


def synthesize(
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="Number of pairs.")],
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder or stack of frames without contrast; by default sampled by the reverse process."),
    ] = None,
    model: ModelName = "default",
    size: Annotated[int, typer.Option(min=32, help="Side of sampled backgrounds, in pixels.")] = 512,
    reverse_steps: Annotated[
        int, typer.Option(min=0, help="Steps of the reverse process (DDIM); 0 for all of them (ancestral sampling).")
    ] = 50,
    chain: Annotated[
        bool, typer.Option("--chain", help="Also write how the first background develops from noise.")
    ] = False,
    noise_level: Annotated[int, typer.Option(min=0, help="Timestep at which backgrounds are noised.")] = 0,
    channel: Channel = None,
    frames: Frames = None,
    bits: Bits = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make synthetic angiograms with their masks by path B.

    Writes a folder for each kind; files of the same name belong together.
    """
    from napari_darl.frames.stacks import read_stack
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.pair_files import save_pairs, write_chain
    from napari_darl.inference.reverse import ReverseProcess
    from napari_darl.inference.synthesize import synthesize as pairs
    from napari_darl.io.identity import source_name

    if backgrounds and chain:
        raise InputError("--chain shows how a background is sampled, and --backgrounds samples none. Pass one of them.")
    stack = read_stack(backgrounds, channel, bits=bits, frames=frame_numbers(frames)) if backgrounds else None
    process = ReverseProcess((size, size), reverse_steps or None)
    loaded = load_model(model, device)
    source: dict[str, str | float] = {"size": size, "reverse_steps": reverse_steps}
    if backgrounds:
        source = {"source": source_name(backgrounds) or "files"}
    provenance = loaded.provenance(noise_level=noise_level, seed=seed, **source)
    refuse_existing([output / "pairs.json"], overwrite)
    if chain:
        write_chain(output / "chain.tif", loaded, process, provenance, seed=seed, overwrite=overwrite)
    made = pairs(
        loaded,
        stack.frames if stack else process,
        count,
        noise_level=noise_level,
        seed=seed,
        bits=stack.bits if stack else None,
    )
    for _ in tracked(save_pairs(output, made, provenance, overwrite=overwrite), "Synthesizing", count):
        pass
    messages.print(f"{count} pairs written to {output}.")
