"""Check a built wheel: its files, and that its command segments the sample image.

    python scripts/smoke.py dist/napari_darl-0.1.0-py3-none-any.whl

Run it with a Python that has the wheel's dependencies. The wheel is unpacked into a temporary folder, and the command
runs from there, so that nothing of this source tree is used.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

SOURCE = Path(__file__).resolve().parent.parent / "src"

USE = """
import sys
from pathlib import Path
import napari_darl
from napari_darl import cli

assert Path(napari_darl.__file__).is_relative_to(sys.argv[1]), napari_darl.__file__
sys.argv[:2] = ["napari-darl"]
cli.main()
"""


def source_files() -> set[str]:
    """Return the files that the wheel must have, as in the source tree."""
    files = (path for path in SOURCE.rglob("*") if path.is_file())
    return {path.relative_to(SOURCE).as_posix() for path in files if "__pycache__" not in path.parts}


def check_contents(wheel: ZipFile) -> None:
    """Exit with a message if files are missing from the wheel, or if it has others."""
    names = {name for name in wheel.namelist() if not name.endswith("/")}
    packed = {name for name in names if ".dist-info/" not in name}
    if missing := sorted(source_files() - packed):
        sys.exit(f"The wheel lacks {', '.join(missing)}.")
    if foreign := sorted(packed - source_files()):
        sys.exit(f"The wheel has files that the source tree doesn't have: {', '.join(foreign)}.")
    (entry_points,) = (wheel.read(name).decode() for name in names if name.endswith(".dist-info/entry_points.txt"))
    for line in ("[console_scripts]", "napari-darl = napari_darl.cli:main", "[napari.manifest]"):
        if line not in entry_points:
            sys.exit(f"The wheel's entry points lack {line!r}.")


def use(wheel: ZipFile, *arguments: str) -> None:
    """Run the command of the unpacked wheel in a process of its own; exit with a message if it fails."""
    with TemporaryDirectory() as folder:
        wheel.extractall(Path(folder) / "wheel")
        done = subprocess.run(
            [sys.executable, "-c", USE, str(Path(folder).resolve() / "wheel"), *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path(folder).resolve() / "wheel")},
            check=False,
        )
        if done.returncode:
            sys.exit(f"napari-darl {' '.join(arguments)} of the wheel failed with status {done.returncode}.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with ZipFile(sys.argv[1]) as wheel:
        check_contents(wheel)
        use(wheel, "demo", "--output", "demo", "--no-window")
        use(wheel, "models", "fundus")
    print("The wheel is complete, and its command works.")
