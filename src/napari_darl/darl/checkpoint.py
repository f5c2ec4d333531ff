"""Model files and checkpoints: safetensors files with a configuration in their header.

Header and shapes are checked before any memory is allocated for the networks that they describe.
"""

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_darl.darl.config import PRESETS, ModelConfig
from napari_darl.darl.model import Darl
from napari_darl.errors import CheckpointError
from napari_darl.io.atomic import replacing

FORMAT = "napari-darl"
VERSION = 1


def save_tensors(path: Path, tensors: dict[str, Tensor], kind: str, contents: dict[str, Any]) -> None:
    """Write tensors and JSON contents to a safetensors file, in one step.

    Parameters
    ----------
    path : Path
        The file; an existing one is replaced.
    tensors : dict of str to Tensor
        Tensors by name, on any device.
    kind : str
        `model` or `checkpoint`; `load_tensors` checks it.
    contents : dict
        Configuration and other values that JSON can hold.

    Raises
    ------
    FileError
        If the file can't be written; an existing one stays as it was.
    """
    header = {"format": FORMAT, "version": str(VERSION), "kind": kind, "contents": json.dumps(contents)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as file:
        try:
            save_file(plain, file.name, header)  # `save` would copy all tensors twice
        except SafetensorError as error:
            raise OSError(error) from error


def load_tensors(path: Path, kind: str, *, only_contents: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file that `save_tensors` wrote.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        `model` or `checkpoint`.
    only_contents : bool
        Read the header alone.

    Returns
    -------
    tensors : dict of str to Tensor
        Tensors by name, on the CPU; empty if `only_contents`.
    contents : dict
        The JSON contents.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another kind or of a newer version, or holds NaN or infinite values.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no {kind} file at {path}. Check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT or header.get("kind") != kind:
                raise CheckpointError(
                    f"{path} is not a {kind} file of napari-darl. Choose a file that napari-darl has written."
                )
            if int(header["version"]) > VERSION:
                raise CheckpointError(
                    f"{path} was written by a newer napari-darl (format {header['version']}). Update napari-darl."
                )
            names = [] if only_contents else file.keys()
            tensors, contents = {name: file.get_tensor(name) for name in names}, dict(json.loads(header["contents"]))
            if any(tensor.is_floating_point() and tensor.element_size() == 1 for tensor in tensors.values()):
                raise ValueError("8-bit floats")  # torch can store them, but hardly computes with them
            finite = all(tensor.isfinite().all() for tensor in tensors.values())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, NotImplementedError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged or not a safetensors file. Copy or download it again.") from error
    if not finite:
        raise CheckpointError(f"{path} is damaged: it holds NaN or infinite values. Copy or download it again.")
    return tensors, contents


def save_model(path: Path, model: Darl, info: dict[str, Any] | None = None, *, half: bool = False) -> None:
    """Write a model file: weights, configuration and, as `info`, their origin.

    Parameters
    ----------
    path : Path
        `*.safetensors`.
    model : Darl
        The model.
    info : dict, optional
        Values that JSON can hold, such as training configuration, steps and version.
    half : bool
        Store the weights as float16, which halves the size.

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
    """Return the model configuration in the contents of a file; `path` is for messages.

    Raises
    ------
    CheckpointError
        If there is none, or it is invalid.
    """
    try:
        return ModelConfig.model_validate(contents["config"])
    except (KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(
            f"{path} is damaged: it has no valid configuration. Copy or download it again."
        ) from error


def model_from(tensors: dict[str, Tensor], contents: dict[str, Any], path: Path) -> Darl:
    """Build the model that `contents["config"]` describes, with the weights `tensors`; `path` is for messages.

    Raises
    ------
    CheckpointError
        If the configuration is invalid, or the tensors don't fit it.
    """
    config = config_from(contents, path)
    # A hostile configuration must not allocate memory, so shapes are compared on the meta device first. Presets skip
    # this: the meta device costs a second of imports.
    known = any((config.denoiser, config.generator) == (it.denoiser, it.generator) for it in PRESETS.values())
    with nullcontext() if known else torch.device("meta"):
        model = Darl(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        raise CheckpointError(f"{path} is damaged: its tensors don't fit its configuration. Copy or download it again.")
    model = model if known else Darl(config)
    model.load_state_dict(tensors)
    return model


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal; it identifies the weights that made a result."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
