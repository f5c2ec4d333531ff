"""What a bug report needs to know: versions, devices, threads and models. A part that is broken is named as such."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Report = dict[str, dict[str, str]]
"""Title of a section -> its entries."""

_PACKAGES = (
    *("napari-darl", "torch", "numpy", "scipy", "scikit-image", "tifffile", "imagecodecs", "imageio", "pillow"),
    *("pydantic", "safetensors", "pydicom", "zarr", "dask", "distributed", "bioio"),
    *("napari", "npe2", "qtpy", "PySide6", "PyQt6", "PyQt5", "superqt", "magicgui", "vispy", "pyqtgraph"),
)
_VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"),
    *("CUDA_VISIBLE_DEVICES", "QT_API", "NAPARI_CONFIG"),
)


def system_report(models: Iterable[str | Path] = (), settings: Mapping[str, object] | None = None) -> Report:
    """Collect what a bug report needs to know.

    Parameters
    ----------
    models : iterable of str or Path
        Model files of the user, beside the bundled models.
    settings : mapping, optional
        Names of preferences, and their values.

    Returns
    -------
    dict of str to dict of str to str
        The sections "system", "versions", "devices", "models" and "settings". Paths begin with ~ in place of the
        user's home. Nothing is raised: what can't be found out is said in its place.

    Examples
    --------
    >>> from napari_darl.inference.system import system_report
    >>> "napari-darl" in system_report()["versions"]
    True
    """
    sections: dict[str, Callable[[], dict[str, str]]] = {
        "system": _system,
        "versions": _versions,
        "devices": _devices,
        "models": lambda: _models(models),
        "settings": lambda: {name: _without_home(str(value)) for name, value in (settings or {}).items()},
    }
    return {title: _collected(collect) for title, collect in sections.items()}


def report_text(report: Report) -> str:
    """Return a report as lines of text, a paragraph for each section."""
    paragraphs = []
    for title, entries in report.items():
        lines = [f"  {name}: {value}" for name, value in entries.items()] or ["  none"]
        paragraphs.append("\n".join([f"{title}:", *lines]))
    return "\n\n".join(paragraphs)


def _collected(collect: Callable[[], dict[str, str]]) -> dict[str, str]:
    try:
        return collect()
    except Exception as error:  # noqa: BLE001 (whatever is broken, the report is what tells it)
        return {"error": f"{type(error).__name__}: {error}"}


def _system() -> dict[str, str]:
    found = {"system": platform.platform(), "python": platform.python_version(), "processor": _processor()}
    found["cores"] = str(os.cpu_count())
    return found | {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def _processor() -> str:
    with suppress(OSError):  # there on Linux only
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _devices() -> dict[str, str]:
    import torch

    from napari_darl.darl.device import describe_device, has_bfloat16

    chosen = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {
        "auto": describe_device(),
        "threads": str(torch.get_num_threads()),
        "CUDA": f"{torch.version.cuda or 'none'}, {torch.cuda.device_count()} devices",
        "engine": "float32" + (", or bfloat16 on request" if has_bfloat16(chosen) else ""),
    }
    capabilities = getattr(torch.backends.cpu, "get_cpu_capability", None)
    return found | ({"vector instructions": capabilities()} if capabilities else {})


def _models(own: Iterable[str | Path]) -> dict[str, str]:
    from napari_darl.io.identity import content_hash
    from napari_darl.models import bundled_models

    files = {**bundled_models(), **{str(path): Path(path) for path in own if str(path) not in bundled_models()}}
    found = {}
    for name, file in files.items():
        try:
            told = f"SHA-256 {content_hash(file)}"
        except OSError as error:
            told = f"can't be read ({error.strerror})"
        found[_without_home(name)] = f"{told}, in {_without_home(str(file.parent))}"
    return found


def _without_home(text: str) -> str:
    with suppress(RuntimeError):  # a user without a home
        return text.replace(str(Path.home()), "~")
    return text
