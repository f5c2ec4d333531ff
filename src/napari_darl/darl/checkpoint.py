"""Model files: safetensors with the configuration in their header, checked before memory is taken."""

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from napari_darl.darl.config import PRESETS, ModelConfig
from napari_darl.darl.model import Darl
from napari_darl.errors import CheckpointError
from napari_darl.io.atomic import replacing

FORMAT = "napari-darl"
VERSION = 1


def save_tensors(path: Path, tensors: dict[str, Tensor], kind: str, contents: dict[str, Any]) -> None:
    """Write tensors and JSON contents as one safetensors file, whole or not at all.

    Parameters
    ----------
    path : Path
        Where to; an existing file is replaced in one step.
    tensors : dict of str to Tensor
        Names to tensors, on any device.
    kind : str
        `model` or `checkpoint`; reading asks for it again.
    contents : dict
        What JSON can hold: the configuration and the like.

    Raises
    ------
    FileError
        If the file can't be written; what was there before stays.
    """
    header = {"format": FORMAT, "version": str(VERSION), "kind": kind, "contents": json.dumps(contents)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as file:
        file.write(save(plain, header))


def load_tensors(path: Path, kind: str, *, only_contents: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote; the tensors, too, unless `only_contents`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another kind or of a newer version.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no {kind} file at {path}: check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT or header.get("kind") != kind:
                raise CheckpointError(f"{path} is no {kind} file of napari-darl: choose one that it has written.")
            if int(header["version"]) > VERSION:
                raise CheckpointError(
                    f"{path} was written by a newer napari-darl (format {header['version']}): update napari-darl."
                )
            names = [] if only_contents else file.keys()
            tensors, contents = {name: file.get_tensor(name) for name in names}, dict(json.loads(header["contents"]))
            finite = all(tensor.isfinite().all() for tensor in tensors.values())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, NotImplementedError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged or no safetensors file: get it again.") from error
    if not finite:
        raise CheckpointError(f"{path} holds values that are no numbers, and is damaged: get it again.")
    return tensors, contents


def save_model(path: Path, model: Darl, info: dict[str, Any] | None = None, *, half: bool = False) -> None:
    """Write a model to use: weights, configuration and, as `info`, where they come from.

    Parameters
    ----------
    path : Path
        `*.safetensors`.
    model : Darl
        The model.
    info : dict, optional
        What JSON can hold: training data, steps, version.
    half : bool
        Store float16 weights, half the size.

    Raises
    ------
    FileError
        If the file can't be written.
    """
    state = model.state_dict()
    if half:
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_tensors(path, state, "model", {"config": model.config.model_dump(mode="json"), "info": info or {}})


def config_from(contents: dict[str, Any], path: Path) -> ModelConfig:
    """Read the model configuration that a file has beside its tensors; `path` is for messages."""
    try:
        return ModelConfig.model_validate(contents["config"])
    except (KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(f"{path} has no valid configuration: get it again.") from error


def model_from(tensors: dict[str, Tensor], contents: dict[str, Any], path: Path) -> Darl:
    """Build the model that `contents["config"]` describes and fill it with `tensors`; `path` is for messages."""
    config = config_from(contents, path)
    # A hostile configuration mustn't take memory, so its shapes are checked without any; the presets
    # are spared that, as torch's meta device costs a second of imports.
    known = any((config.denoiser, config.generator) == (it.denoiser, it.generator) for it in PRESETS.values())
    with nullcontext() if known else torch.device("meta"):
        model = Darl(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        raise CheckpointError(f"The tensors in {path} don't fit its configuration: get it again.")
    model = model if known else Darl(config)
    model.load_state_dict(tensors)
    return model


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal: names the very weights that made a result."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
