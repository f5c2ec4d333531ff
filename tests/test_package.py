"""The package as a whole: cheap to import, and its parts know only those below them."""

import ast
import re
import subprocess
import sys
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest

import napari_darl

SOURCE = Path(napari_darl.__file__).parent
HEAVY = ("torch", "napari", "qtpy", "scipy", "skimage", "PySide6", "numpy")

FRONTS = {"_napari", "cli"}

TOP = ("configuration", "errors")
"""Modules at the top of the package that every part may import."""

BELOW: dict[str, set[str]] = {
    "io": set(),
    "measuring": {"io"},
    "samples": set(),
    "synthetic": set(),
    "frames": {"io"},
    "darl": {"frames", "io"},
    "evaluation": {"frames", "io"},
    "models": {"darl"},
    "inference": {"darl", "evaluation", "frames", "io", "models", "synthetic"},
    "training": {"darl", "frames", "inference", "io", "synthetic"},
}
"""Part of the package -> the parts that it may import."""


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, napari_darl; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_public_names_are_there() -> None:
    for name in napari_darl.__all__:
        assert getattr(napari_darl, name) is not None
    with pytest.raises(AttributeError):
        _ = napari_darl.nothing  # type: ignore[attr-defined]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("part", sorted(BELOW))
def test_parts_know_only_those_below_them(part: str) -> None:
    for path in (SOURCE / part).rglob("*.py"):
        for module in imports(path):
            top, *rest = module.split(".")
            assert top not in ("napari", "qtpy", "magicgui", "superqt"), path
            if top == "napari_darl":
                assert not rest or rest[0] in {part, *BELOW[part], *TOP}, f"{path} imports {module}"


def test_every_part_is_listed() -> None:
    parts = {path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert parts - FRONTS == set(BELOW)


def test_napari_finds_the_plugin_and_a_qt_binding_of_the_users_choice_stays() -> None:
    assert "Framework :: napari" in metadata("napari-darl").get_all("Classifier", [])
    required = [line.lower() for line in requires("napari-darl") or [] if "extra ==" not in line]
    assert not [line for line in required if re.match("napari|pyqt[56]|pyside", line)]
    for path in SOURCE.rglob("*.py"):
        assert not [module for module in imports(path) if module.startswith(("PyQt", "PySide"))], path


def test_what_napari_imports_at_its_start_is_light() -> None:
    code = "import sys, napari_darl._napari.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "No module named 'napari'" in done.stderr:
        pytest.skip("napari isn't installed")
    assert done.returncode == 0, done.stderr
    assert not {"torch", "scipy.ndimage", "skimage"} & set(done.stdout.split())
