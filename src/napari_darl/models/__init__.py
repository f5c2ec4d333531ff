"""The bundled weights, a model card beside each; and where model files are. Nothing here imports torch."""

import json
from importlib.resources import files
from pathlib import Path

from napari_darl.darl.config import SIDE
from napari_darl.errors import InputError

DEFAULT = "default"


_LONGEST = 10**7  # bytes of a header that is read: what there is to know takes some thousands


def bundled_models() -> dict[str, Path]:
    """Names and files of the models that come with the package; a model card `<name>.md` lies beside each."""
    folder = Path(str(files("napari_darl") / "models"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def model_card(name: str) -> str:
    """Model card of a bundled model: data, recipe, hardware, figures, limits; Markdown.

    Raises
    ------
    InputError
        If no bundled model has that name.
    """
    bundled = bundled_models()
    if name not in bundled:
        raise InputError(f"There is no bundled model '{name}': choose one of {', '.join(bundled)}.")
    return bundled[name].with_suffix(".md").read_text(encoding="utf-8")


def model_path(name_or_path: str | Path = DEFAULT) -> Path:
    """File of a model.

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
        raise InputError(f"{path} is a released checkpoint: convert it with napari-darl import-checkpoint first.")
    if not path.is_file():
        names = ", ".join(bundled) or "none"
        raise InputError(f"There is no model '{name_or_path}': give a model file, a run folder or a name ({names}).")
    return path


def model_side(name_or_path: str | Path = DEFAULT) -> int:
    """Least shorter side, px, of the frames that suit a model: quickly, from the header of its file.

    Parameters
    ----------
    name_or_path : str or Path
        As `model_path` takes it; `SIDE` if the file says nothing, is damaged, or isn't there, which is for
        `load_model` to tell.
    """
    try:
        with model_path(name_or_path).open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), _LONGEST)))
        return int(json.loads(header["__metadata__"]["contents"])["config"]["side"])
    except (InputError, OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return SIDE
