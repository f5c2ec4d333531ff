"""The bundled models, each with its model card, and the paths of model files. Nothing here imports torch."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from napari_darl.darl.config import SIDE
from napari_darl.errors import InputError

DEFAULT = "default"
"""Name of the model that is used unless another one is chosen."""

_LONGEST = 10**7  # Bytes of a header that are read; headers have some thousands.


def bundled_models() -> dict[str, Path]:
    """Return the files of the bundled models by name; the model card `<name>.md` lies beside each."""
    folder = Path(str(files("napari_darl") / "models"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def model_card(name: str) -> str:
    """Return the model card of a bundled model, in Markdown: data, recipe, hardware, figures, limits.

    Raises
    ------
    InputError
        If no bundled model has that name.
    """
    bundled = bundled_models()
    if name not in bundled:
        raise InputError(f"There is no bundled model '{name}'. Choose one of {', '.join(bundled)}.")
    return bundled[name].with_suffix(".md").read_text(encoding="utf-8")


def model_path(name_or_path: str | Path = DEFAULT) -> Path:
    """Return the file of a model.

    Parameters
    ----------
    name_or_path : str or Path
        A bundled model's name, a model file, or a run folder.

    Raises
    ------
    InputError
        If there is no such model.
    """
    bundled = bundled_models()
    if str(name_or_path) in bundled:
        return bundled[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "model.safetensors"
    if path.suffix == ".pth":
        raise InputError(f"{path} is a released checkpoint. Convert it with napari-darl import-checkpoint first.")
    if not path.is_file():
        names = ", ".join(bundled) or "none"
        raise InputError(f"There is no model '{name_or_path}'. Give a model file, a run folder or a name ({names}).")
    return path


class ModelTraits(NamedTuple):
    """What widgets need to know of a model before it is loaded: see `ModelConfig`."""

    side: int = SIDE
    reach: float = 1.5
    enlargement: float = 1.0
    bright: bool = False

    @property
    def pixel_size(self) -> tuple[int, float, float]:
        """Side, reach and enlargement, from which `guess_resize` estimates."""
        return self.side, self.reach, self.enlargement


def model_traits(name_or_path: str | Path = DEFAULT) -> ModelTraits:
    """Return what widgets need to know of a model, read from the header of its file without loading the model.

    Parameters
    ----------
    name_or_path : str or Path
        As for `model_path`.

    Returns
    -------
    ModelTraits
        The defaults if the file is missing or damaged, or doesn't contain them. Only `load_model` reports such a file.
    """
    try:
        config = _contents(name_or_path)["config"]
        reach = min(max(float(config.get("reach", 1.5)), 1.0), 1000.0)
        enlargement = min(max(float(config.get("enlargement", 1.0)), 1.0), 4.0)
        return ModelTraits(int(config["side"]), reach, enlargement, bool(config.get("bright", False)))
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return ModelTraits()


def model_info(name_or_path: str | Path = DEFAULT) -> dict[str, Any]:
    """Return what a model's file says about its making and use, read from its header without loading the model.

    Parameters
    ----------
    name_or_path : str or Path
        As for `model_path`.

    Returns
    -------
    dict
        As `Model.info`; empty if the file is missing or damaged. Only `load_model` reports such a file.
    """
    try:
        info = _contents(name_or_path)["info"]
    except (InputError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def _contents(name_or_path: str | Path) -> dict[str, Any]:
    with model_path(name_or_path).open("rb") as file:
        header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), _LONGEST)))
    contents: dict[str, Any] = json.loads(header["__metadata__"]["contents"])
    return contents
