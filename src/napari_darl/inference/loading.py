"""Loading and describing models."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from napari_darl.darl.checkpoint import config_from, file_hash, load_tensors, model_from, save_model
from napari_darl.darl.device import resolve_device
from napari_darl.darl.model import Darl, Discriminators
from napari_darl.darl.published import import_published
from napari_darl.errors import DarlWarning
from napari_darl.inference.cleaning import Cleaning
from napari_darl.models import DEFAULT, bundled_models, model_card, model_path
from napari_darl.version import VERSION

_FEW_STEPS = 100  # `lite` finds the larger vessels after about as many (docs/results.md)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model.

    Attributes
    ----------
    network : Darl
        The network, in evaluation mode, on its device. It maps float32 (N, 1, H, W) in [-1, 1], with H and W multiples
        of `network.config.stride`, to probabilities of the same shape.
    name : str
        The bundled model's name, or the file's path.
    sha256 : str
        SHA-256 of the file, hexadecimal.
    info : dict
        What the file says about its training.

    Examples
    --------
    >>> from napari_darl import Model, load_model
    >>> model = load_model()
    >>> isinstance(model, Model), len(model.sha256)
    (True, 64)
    """

    network: Darl
    name: str
    sha256: str
    info: dict[str, Any]

    @property
    def cleaning(self) -> Cleaning:
        """How its probability becomes a mask, unless told otherwise: what its file says, else above 0.5."""
        return Cleaning.of_model(self.info)

    @property
    def threshold(self) -> float:
        """Probability above which a pixel is vessel: what a refined model's file says, else 0.5."""
        return self.cleaning.threshold

    def provenance(self, **settings: str | float) -> dict[str, str | float]:
        """Return what made a result: the package's version, the model without its folder, its hash, and `settings`."""
        return {"version": VERSION, "model": Path(self.name).name, "sha256": self.sha256, **settings}


def load_model(name_or_path: str | Path = DEFAULT, device: str = "auto") -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or Path
        A bundled model's name, a model file, or a run folder.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`; `auto` takes a GPU if there is one.

    Returns
    -------
    Model
        The model, in evaluation mode.

    Raises
    ------
    InputError
        If there is no such model or device.
    CheckpointError
        If the file is damaged or isn't a model.

    Warns
    -----
    DarlWarning
        If a model of one's own was trained from scratch for fewer than 100 steps.

    Examples
    --------
    >>> from napari_darl import load_model
    >>> model = load_model("default", device="cpu")
    >>> model.name, model.network.config.preset
    ('default', 'lite')
    """
    path = model_path(name_or_path)
    tensors, contents = load_tensors(path, "model")
    network = model_from(tensors, contents, path).eval().requires_grad_(False)
    # Channels last saves a quarter of lite's time on a CPU and changes no value.
    network = network.to(resolve_device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    info = _info(contents)
    if str(name_or_path) not in bundled_models():
        _warn_of_few_steps(path.absolute(), info)
    return Model(network, str(name_or_path), file_hash(path), info)


def _info(contents: dict[str, Any]) -> dict[str, Any]:
    info = contents.get("info")
    return info if isinstance(info, dict) else {}


def _warn_of_few_steps(path: Path, info: dict[str, Any]) -> None:
    """Warn of a model that was hardly trained, and marks patterns instead of vessels."""
    step, training = info.get("step"), info.get("training")
    scratch = isinstance(training, dict) and not training.get("fine_tuned") and "refined" not in info
    if scratch and isinstance(step, int) and step < _FEW_STEPS:
        name = f"{path.parent.name}/{path.name}"
        warnings.warn(
            f"Trained for {step} step{'' if step == 1 else 's'} only, the model {name} can't find vessels yet. Resume "
            "its training: a first try takes some hundred steps.",
            DarlWarning,
            stacklevel=3,
        )


@lru_cache(maxsize=2)
def _cached(path: Path, changed: float, name: str, device: str) -> Model:
    return load_model(name, device)


def as_model(model: Model | str | Path | None, device: str = "auto") -> Model:
    """Return a loaded model as it is, or load the named one (None: the default); the last two stay in memory."""
    if isinstance(model, Model):
        return model
    name = DEFAULT if model is None else model
    path = model_path(name)
    return _cached(path, path.stat().st_mtime, str(name), device)


def starting_networks(name_or_path: str | Path) -> tuple[Darl, Discriminators | None]:
    """Return networks to start training from: a model's, or those of a released `X_G.pth` with its discriminators.

    Raises
    ------
    InputError, CheckpointError
        As `load_model` and `import_published`.
    """
    if Path(name_or_path).suffix == ".pth":
        return import_published(Path(name_or_path))
    return load_model(name_or_path, "cpu").network, None


def preset_of(name_or_path: str | Path) -> str:
    """Return the preset of a model's networks, read from its file's header alone.

    Raises
    ------
    InputError, CheckpointError
        As `load_model`.
    """
    if Path(name_or_path).suffix == ".pth":
        return "published"
    path = model_path(name_or_path)
    _, contents = load_tensors(path, "model", only_contents=True)
    return config_from(contents, path).preset


def describe_model(name_or_path: str | Path) -> str:
    """Return a description of a model in Markdown: a bundled model's card, or what the file says about itself.

    Parameters
    ----------
    name_or_path : str or Path
        A bundled model's name, a model file, or a run folder.

    Raises
    ------
    InputError, CheckpointError
        As `load_model`.
    """
    if str(name_or_path) in bundled_models():
        return model_card(str(name_or_path))
    path = model_path(name_or_path)
    _, contents = load_tensors(path, "model", only_contents=True)
    facts = {"file": path, "size": f"{path.stat().st_size / 1e6:.1f} MB", "SHA-256": file_hash(path)}
    return _facts(path.stem, facts | _info(contents))


def card_of(model: Model) -> str:
    """Return the card of a loaded model in Markdown, as `describe_model` does, but without the folder of its file."""
    if model.name in bundled_models():
        return model_card(model.name)
    return _facts(Path(model.name).stem, {"SHA-256": model.sha256} | model.info)


def _facts(title: str, facts: dict[str, Any]) -> str:
    """Return a card with a line for each fact, which can be encoded, whatever a file says."""
    lines = [f"# {title}", *(f"- **{key}**: {value}" for key, value in facts.items())]
    title, *rest = (" ".join(line.encode(errors="replace").decode().split()) for line in lines)
    return "\n".join([title, "", *rest])


def import_checkpoint(checkpoint: Path, target: Path) -> None:
    """Convert an `X_G.pth` checkpoint released by DARL's authors into a model file; nothing in it is executed.

    Raises
    ------
    DarlError
        If the checkpoint can't be read, or the model can't be written.
    """
    model, _ = import_published(checkpoint)
    save_model(target, model, {"imported": checkpoint.name, "version": VERSION})
