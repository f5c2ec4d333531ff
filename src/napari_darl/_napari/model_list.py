"""The models that are offered: those in the package, recently used files, and those in the user's folder."""

from pathlib import Path

from napari_darl.io.atomic import replacing
from napari_darl.models import bundled_models

_RECENT = "recent.txt"
_REMEMBERED = 8


def known_models(folder: Path) -> list[str]:
    """List the models that are offered.

    Parameters
    ----------
    folder : Path
        Folder of the user's models; it needn't exist.

    Returns
    -------
    list of str
        Names of the bundled models, then paths of recently used files, the latest first, then the rest of the folder.
    """
    try:
        own = [str(path) for path in sorted(folder.glob("*.safetensors"))]
    except OSError:  # a folder without read permission
        own = []
    return list(dict.fromkeys([*bundled_models(), *_recent(folder), *own]))


def remember(model: str | Path, folder: Path) -> None:
    """Put a model first among the recently used ones."""
    entry = str(Path(model).absolute())
    recent = [entry, *(other for other in _recent(folder) if other != entry)]
    with replacing(folder / _RECENT) as file:
        file.write("\n".join(recent[:_REMEMBERED]).encode())


def import_released(path: Path, folder: Path) -> Path:
    """Convert a checkpoint released by DARL's authors to a model in the user's folder.

    Parameters
    ----------
    path : Path
        A file `X_G.pth`.
    folder : Path
        Folder of the user's models; created if missing.

    Returns
    -------
    Path
        The model's file, under a name that didn't exist.

    Raises
    ------
    DarlError
        If the checkpoint can't be read, or the model can't be written.
    """
    from napari_darl.inference.loading import import_checkpoint

    target = free_path(folder, path.stem)
    import_checkpoint(path, target)
    return target


def free_path(folder: Path, stem: str) -> Path:
    """Return a path for a new model in a folder: the stem, with a number if a model has that name."""
    number = 1
    while (path := folder / (f"{stem}.safetensors" if number == 1 else f"{stem}_{number}.safetensors")).exists():
        number += 1
    return path


def _recent(folder: Path) -> list[str]:
    """Return the recently used models that still exist."""
    try:
        lines = (folder / _RECENT).read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line and Path(line).exists()]
    except (OSError, UnicodeDecodeError):
        return []
