"""The package as a whole: cheap to import, and its parts know only those below them."""

import ast
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest

import napari_darl

SOURCE = Path(napari_darl.__file__).parent
HEAVY = ("torch", "napari", "qtpy", "scipy", "skimage", "PySide6", "numpy")

FRONTS = {"_napari", "cli"}

TOP = ("configuration", "errors", "version")
"""Modules at the top of the package that every part may import."""

WINDOW = {"napari", "qtpy", "magicgui", "superqt", "pyqtgraph"}
OPENS_A_WINDOW = {"napari_darl.cli.demo": {"napari"}}
"""Module -> what it imports of the window: `napari-darl demo` opens it where there is one."""

MANY_PARAMETERS = {
    "inference.segment.segment": "public: a keyword for each option, as people type them",
    "inference.segment.segment_probability": "public: a keyword for each option, as people type them",
    "inference.synthesize.synthesize": "public",
    "inference.zarr_output.write_zarr": "public",
    "training.trainer.__init__": "public: Trainer",
    "training.trainer.resume": "public: Trainer.resume",
    "measuring.morphometry.measure": "public",
    "refining.refine.refine": "public",
    "_napari.task.__init__": "a task and its callbacks, all given at once where it starts",
}
"""Function of more than six parameters -> why."""

BELOW: dict[str, set[str]] = {
    "batch": {"evaluation", "frames", "inference", "io", "models"},
    "io": set(),
    "measuring": {"frames", "io"},
    "samples": set(),
    "synthetic": set(),
    "frames": {"io"},
    "darl": {"frames", "io"},
    "evaluation": {"frames", "io", "measuring"},
    "models": {"darl"},
    "inference": {"darl", "evaluation", "frames", "io", "models", "synthetic"},
    "training": {"darl", "frames", "inference", "io", "synthetic"},
    "exporting": {"darl", "frames", "inference", "io", "models", "synthetic"},
    "refining": {"darl", "inference", "training"},
}
"""Part of the package -> the parts that it may import."""


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, napari_darl; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_threads_sleep_while_they_wait_unless_told_otherwise() -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    code = f"import os, napari_darl; print(*map(os.environ.get, {names}))"
    kept = {name: value for name, value in os.environ.items() if name not in names}
    active = {"OMP_WAIT_POLICY": "ACTIVE"}
    for given, wanted in (({}, "PASSIVE 1500 0"), (active, "ACTIVE None 0"), ({"GOMP_SPINCOUNT": "9"}, "PASSIVE 9 0")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=kept | given, check=True, capture_output=True, text=True)
        assert done.stdout.split() == wanted.split()


def test_public_names_are_there() -> None:
    for name in napari_darl.__all__:
        assert getattr(napari_darl, name) is not None
    with pytest.raises(AttributeError):
        _ = napari_darl.nothing  # type: ignore[attr-defined]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """What a file imports at any place, also in functions and for type checkers only: modules and names in them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = {module_name(path): path for path in SOURCE.rglob("*.py")}


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Module -> what it imports."""
    return {name: imports(path) for name, path in MODULES.items()}


def test_modules_import_each_other_in_no_circle(imported: dict[str, set[str]]) -> None:
    graph = {
        name: {known if known in MODULES else known.rpartition(".")[0] for known in found} & set(MODULES) - {name}
        for name, found in imported.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"These modules import each other: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("part", sorted(BELOW))
def test_parts_know_only_those_below_them(imported: dict[str, set[str]], part: str) -> None:
    allowed = {part, *BELOW[part], *TOP}
    for name, found in imported.items():
        if name.split(".")[1:2] != [part]:
            continue
        for module in found:
            top, *rest = module.split(".")
            assert top != "napari_darl" or rest[0] in allowed, f"{name} imports {module}"


def test_only_the_plugin_imports_napari_or_qt(imported: dict[str, set[str]]) -> None:
    for name, found in imported.items():
        if name.startswith("napari_darl._napari"):
            continue
        window = {module for module in found if module.split(".")[0] in WINDOW}
        assert window == OPENS_A_WINDOW.get(name, set()), name


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    found = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return found[1:] if found and found[0].arg in ("self", "cls") else found


def is_command(function: ast.FunctionDef, options: set[str]) -> bool:
    """Whether typer calls a function: its parameters are options of the command line."""
    hints = [ast.unparse(parameter.annotation) for parameter in parameters(function) if parameter.annotation]
    return any("typer." in hint or hint in options for hint in hints)


def test_functions_below_the_public_ones_have_at_most_six_parameters() -> None:
    found = {}
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        options = {
            ast.unparse(n.targets[0]) for n in tree.body if isinstance(n, ast.Assign) and "typer." in ast.unparse(n)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and len(parameters(node)) > 6 and not is_command(node, options):
                found[f"{name.removeprefix('napari_darl.')}.{node.name}"] = len(parameters(node))
    assert set(found) == set(MANY_PARAMETERS), found


def test_every_part_is_listed() -> None:
    parts = {path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert parts - FRONTS == set(BELOW)


def test_napari_finds_the_plugin_and_a_qt_binding_of_the_users_choice_stays(imported: dict[str, set[str]]) -> None:
    assert "Framework :: napari" in metadata("napari-darl").get_all("Classifier", [])
    required = [line.lower() for line in requires("napari-darl") or [] if "extra ==" not in line]
    assert not [line for line in required if re.match("napari|pyqt[56]|pyside", line)]
    for name, found in imported.items():
        assert not [module for module in found if module.startswith(("PyQt", "PySide"))], name


def test_what_napari_imports_at_its_start_is_light() -> None:
    code = "import sys, napari_darl._napari.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "No module named 'napari'" in done.stderr:
        pytest.skip("napari isn't installed")
    assert done.returncode == 0, done.stderr
    assert not {"torch", "scipy.ndimage", "skimage"} & set(done.stdout.split())
