"""Import of the checkpoints that the authors of DARL released.

Nothing in the files is executed. Parameters are renamed, and their shapes must be those of the `published` preset.
"""

import pickle
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_darl.darl.config import PUBLISHED
from napari_darl.darl.model import Darl, Discriminators
from napari_darl.errors import CheckpointError
from napari_darl.io.bounded import BoundedFile

# Patterns of their names and replacements in ours, applied in order.
_NAMES = [
    (r"^denoise_fn\.time_mlp\.", "denoiser.time."),
    (r"^denoise_fn\.downs\.(\d+)\.(?:conv\.)?", r"denoiser.down.\1."),
    (r"^denoise_fn\.mid\.", "denoiser.middle."),
    (r"^denoise_fn\.ups\.", "denoiser.up."),
    (r"^denoise_fn\.final_conv\.block\.0\.", "denoiser.out.0."),
    (r"^denoise_fn\.final_conv\.block\.3\.", "denoiser.out.2."),
    (r"\.res_block\.mlp\.", ".time."),
    (r"\.res_block\.block1\.block\.0\.", ".first.0."),
    (r"\.res_block\.block1\.block\.3\.", ".first.2."),
    (r"\.res_block\.block2\.block\.0\.", ".second.0."),
    (r"\.res_block\.block2\.block\.3\.", ".second.2."),
    (r"\.res_block\.res_conv\.", ".shortcut."),
    (r"\.attn\.", ".attention."),
    (r"^segment_fn\.model\.1\.", "generator.encoder.0."),
    (r"^segment_fn\.model\.4\.", "generator.encoder.1."),
    (r"^segment_fn\.model\.7\.", "generator.encoder.2."),
    (r"^segment_fn\.G_middle_", "generator.middle."),
    (r"^segment_fn\.up_", "generator.decoder."),
    (r"^segment_fn\.conv_img\.1\.", "generator.out."),
    (r"\.param_norm\.", ".plain."),
    (r"\.mlp_shared\.0\.", ".shared."),
    (r"\.mlp_gamma\.", ".gamma."),
    (r"\.mlp_beta\.", ".beta."),
    (r"\.weight_orig$", ".parametrizations.weight.original"),
    (r"\.weight_u$", ".parametrizations.weight.0._u"),
    (r"\.weight_v$", ".parametrizations.weight.0._v"),
]


def import_published(generator: Path) -> tuple[Darl, Discriminators | None]:
    """Read the networks of a released checkpoint.

    Parameters
    ----------
    generator : Path
        `X_G.pth`, with denoiser and generator. If `X_Ds.pth` and `X_Da.pth` lie beside it, the discriminators are read,
        too.

    Returns
    -------
    model : Darl
        In evaluation mode, on the CPU.
    discriminators : Discriminators or None
        None if the file of a discriminator is missing.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, would execute code, or holds other networks.
    """
    state = {
        _ours(name): tensor
        for name, tensor in _read(generator).items()
        if name.startswith(("denoise_fn.", "segment_fn.")) and not name.endswith("inv_freq")
    }
    model = Darl(PUBLISHED)
    _load(model, state, generator)
    stem = generator.stem.removesuffix("_G")
    siblings = {
        "mask": generator.with_name(f"{stem}_Ds{generator.suffix}"),
        "angiogram": generator.with_name(f"{stem}_Da{generator.suffix}"),
    }
    if not all(path.is_file() for path in siblings.values()):
        return model.eval(), None
    discriminators = Discriminators(PUBLISHED)
    for part, path in siblings.items():
        weights = {name.removeprefix("model."): tensor for name, tensor in _read(path).items()}
        _load(getattr(discriminators, part), weights, path)
    return model.eval(), discriminators


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}. Give the path of a released X_G.pth.")
    try:
        # torch warns about some pickles before it refuses them.
        with warnings.catch_warnings(action="ignore"), BoundedFile(path) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds other objects than tensors, which are not executed. "
            "Export its state dict with torch.save(model.state_dict(), ...)."
        ) from error
    except Exception as error:  # Torch raises errors of many kinds for damaged or foreign files.
        raise CheckpointError(f"{path} can't be read as a checkpoint. Download it again.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no state dict of tensors. Give a released X_G.pth.")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _ours(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _load(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    wanted = module.state_dict()
    wrong = [name for name, tensor in wanted.items() if name not in state or state[name].shape != tensor.shape]
    if wrong or len(state) != len(wanted):
        raise CheckpointError(
            f"{path} doesn't hold the published DARL networks ({len(wrong)} of {len(wanted)} tensors are missing "
            "or have another shape). Give a released X_G.pth."
        )
    module.load_state_dict(state)
