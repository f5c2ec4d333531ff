"""The bundled weights, a model card beside each."""

from importlib.resources import files
from pathlib import Path

from napari_darl.errors import InputError


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
