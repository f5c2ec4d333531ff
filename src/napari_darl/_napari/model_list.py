"""The models that a user can choose from: those that came with the package, and those in the user's folder."""

from pathlib import Path

from napari_darl.io.atomic import replacing
from napari_darl.models import bundled_models

_RECENT = "recent.txt"
_REMEMBERED = 8


def known_models(folder: Path) -> list[str]:
    """List what `load_model` can take.

    Parameters
    ----------
    folder : Path
        The user's models; need not be there.

    Returns
    -------
    list of str
        Names of the bundled models, then paths: recently used ones, the newest first, and the rest of the folder.
    """
    try:
        own = [str(path) for path in sorted(folder.glob("*.safetensors"))]
    except OSError:  # a folder that may not be looked into
        own = []
    return list(dict.fromkeys([*bundled_models(), *_recent(folder), *own]))


def remember(model: str | Path, folder: Path) -> None:
    """Put a model at the head of the recent ones."""
    entry = str(Path(model).absolute())
    recent = [entry, *(other for other in _recent(folder) if other != entry)]
    with replacing(folder / _RECENT) as file:
        file.write("\n".join(recent[:_REMEMBERED]).encode())


def import_released(path: Path, folder: Path) -> Path:
    """Turn a checkpoint that DARL's authors released into a model in the user's folder.

    Parameters
    ----------
    path : Path
        An `X_G.pth`.
    folder : Path
        The user's models; made if missing.

    Returns
    -------
    Path
        The model's file, with a name that was free.

    Raises
    ------
    DarlError
        If the checkpoint can't be read or the model not be written.
    """
    from napari_darl.inference.loading import import_checkpoint

    target = _free(folder, path.stem)
    import_checkpoint(path, target)
    return target


def _free(folder: Path, stem: str) -> Path:
    number = 1
    while (path := folder / (f"{stem}.safetensors" if number == 1 else f"{stem}_{number}.safetensors")).exists():
        number += 1
    return path


def _recent(folder: Path) -> list[str]:
    """Recent models that are still there."""
    try:
        lines = (folder / _RECENT).read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line and Path(line).exists()]
    except (OSError, UnicodeDecodeError):
        return []
