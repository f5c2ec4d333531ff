"""The wheel, built from this tree, as users get it."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import smoke

ROOT = Path(smoke.__file__).parent.parent

pytestmark = pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling isn't installed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_has_all_files_and_its_command_runs(wheel: Path) -> None:
    with ZipFile(wheel) as file:
        smoke.check_contents(file)
        smoke.use(file, "models", "default")
    names = " ".join(ZipFile(wheel).namelist())
    for part in (
        "default.safetensors",
        "fundus.md",
        "icon.png",
        "napari.yaml",
        "py.typed",
        "arcade_0137.jpg",
        "ATTRIBUTION.md",
    ):
        assert part in names


def test_an_incomplete_wheel_is_refused(wheel: Path, tmp_path: Path) -> None:
    lacking, more = tmp_path / "lacking.whl", tmp_path / "more.whl"
    with ZipFile(wheel) as whole, ZipFile(lacking, "w") as less, ZipFile(more, "w") as rest:
        for name in whole.namelist():
            rest.writestr(name, whole.read(name))
            if not name.endswith("default.safetensors"):
                less.writestr(name, whole.read(name))
        rest.writestr("tests/test_x.py", "")
    for path, message in ((lacking, r"lacks .*default\.safetensors"), (more, r"tests/test_x\.py")):
        with ZipFile(path) as file, pytest.raises(SystemExit, match=message):
            smoke.check_contents(file)
