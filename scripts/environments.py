"""Install the wheel into fresh environments, use it, and print times and sizes as a Markdown table.

    xvfb-run -a python scripts/environments.py dist/napari_darl-0.1.0-py3-none-any.whl [--only all] [--former WHEEL]

Each environment is used as a new user would: the command line segments the sample image and, where there is napari, a
click in the Segment widget does. "first mask" is the first time of each, after the operating system's cache of files
has been dropped where that is allowed (root on Linux). With `--former`, a wheel of an earlier version is installed, and
a run is trained with it; settings, masks and the run must outlast the upgrade. Needs uv in the Python that runs it.
"""

import argparse
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "src" / "napari_darl" / "samples" / "arcade_0137.jpg"

WINDOW = """
import sys, time
import napari
from qtpy.QtWidgets import QApplication, QPushButton

viewer = napari.Viewer()
viewer.open(sys.argv[1])
_, widget = viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")
(segment,) = [button for button in widget.findChildren(QPushButton) if button.text() == "Segment"]
segment.click()
until = time.monotonic() + 120
masks = []
while not masks or segment.text() != "Segment":  # it says Cancel while it works
    QApplication.processEvents()
    masks = [layer for layer in viewer.layers if isinstance(layer, napari.layers.Labels) and layer.data.any()]
    if time.monotonic() > until:
        sys.exit("No mask appeared within 120 s.")
viewer.close()
"""


SET_DEVICE = """
from napari.settings import get_plugin_settings
from npe2 import PluginManager
PluginManager.instance().discover()
get_plugin_settings("napari-darl").segmenting.device = "cpu"  # napari saves it at once
"""

CHECK_DEVICE = """
from npe2 import PluginManager
from napari_darl._napari.settings import read_settings
PluginManager.instance().discover()
assert read_settings().device == "cpu", read_settings()
"""

SAME_MASKS = """
from tifffile import imread
before, after = (imread(f"{folder}/arcade_0137_mask.tif") for folder in ("before", "after"))
union = (before > 0).sum() + (after > 0).sum()
assert union == 0 or 2 * ((before > 0) & (after > 0)).sum() / union > 0.999
"""


class Environment:
    """A fresh virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        venv.create(folder, with_pip=True)
        self.home.mkdir()

    def run(self, *command: str | Path) -> float:
        """Run a program of the environment and return the seconds that it took; exit with its output if it fails."""
        program, *arguments = map(str, command)
        began = time.monotonic()
        done = subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.home,
            env={**os.environ, "HOME": str(self.home), "PYTHONPATH": "", "PYTHONWARNINGS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{program} {' '.join(arguments)[:200]} failed with status {done.returncode}:\n{done.stdout}")
        return time.monotonic() - began

    def install(self, *packages: str | Path, torch: str) -> float:
        """Install packages by pip and return the seconds that it took."""
        constraints = self.folder / "constraints.txt"
        constraints.write_text(f"torch=={torch}\n")
        return self.run("python", "-m", "pip", "install", "--quiet", "-c", constraints, *packages)

    @property
    def megabytes(self) -> float:
        """The space that the installed packages take."""
        return sum(path.lstat().st_size for path in (self.folder / "lib").rglob("*") if path.is_file()) / 1e6


def drop_cache() -> bool:
    """Empty the operating system's cache of files; return whether that was allowed."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def lowest() -> list[str]:
    """Return the lowest versions that pyproject.toml allows for direct dependencies, as uv resolves them.

    torch and what it needs are left out: its lowest version has no CPU build on PyPI.
    """
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--resolution",
        "lowest-direct",
        "--extra",
        "all",
    ]
    command += [
        "--no-header",
        "--no-annotate",
        "--python-version",
        sys.version.split()[0],
        str(ROOT / "pyproject.toml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = ("torch==", "nvidia-", "triton==", "cuda-", "sympy==", "napari-darl")
    return [line for line in done.stdout.splitlines() if not line.startswith(heavy)]


def first_masks(environment: Environment, window: bool) -> tuple[float, float | None]:
    """Segment a first image on the command line and, if there is napari, in its window; return the seconds."""
    drop_cache()
    shell = environment.run("napari-darl", "segment", SAMPLE, "--output", "first")
    if not (environment.home / "first" / "arcade_0137_mask.tif").exists():
        sys.exit("The command line wrote no mask.")
    if not window:
        return shell, None
    drop_cache()
    return shell, environment.run("python", "-c", WINDOW, SAMPLE)


def upgrade(environment: Environment, former: Path, wheel: Path, torch: str) -> float:
    """Train and segment with a former version; after the upgrade, the run must resume and its model segment.

    Returns the seconds of the upgrade.
    """
    environment.install(f"napari-darl[all] @ {former.as_uri()}", torch=torch)
    train = ("napari-darl", "train", "--angiograms", SAMPLE.parent, "--output", "run", "--device", "cpu")
    segment = ("napari-darl", "segment", SAMPLE, "--model", "run", "--output")
    environment.run(*train, "--steps", "2")
    environment.run(*segment, "before")
    environment.run("python", "-c", SET_DEVICE)
    seconds = environment.install("--force-reinstall", "--no-deps", wheel, torch=torch)
    environment.run(*segment, "after")
    environment.run("python", "-c", SAME_MASKS)
    environment.run("python", "-c", CHECK_DEVICE)
    environment.run(*train[:-2], "--resume", "--steps", "4")
    return seconds


def main() -> None:
    """Try the environments that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--former", type=Path, help="wheel of an earlier version, to upgrade from")
    parser.add_argument("--only", nargs="+", help="names of environments")
    parser.add_argument("--torch", default="2.13.0", help="version of torch (default: %(default)s)")
    args = parser.parse_args()
    wheel = args.wheel.resolve()
    everything = f"napari-darl[all] @ {wheel.as_uri()}"
    environments: dict[str, list[list[str]]] = {
        "without napari": [[str(wheel)]],
        # napari by itself would take PySide6 6.12.0, which aborts in Python 3.11; see pyproject.toml.
        "beside napari": [["napari[pyside6]", "PySide6!=6.12.0"], [str(wheel)]],
        "all": [[everything]],
        "all, lowest versions": [[everything, *lowest()]],
    }
    print("| environment | pip install, s | MB | first mask, command line, s | first mask, window, s |")
    print("| ----------- | -------------: | -: | --------------------------: | --------------------: |", flush=True)
    for name, steps in environments.items():
        if args.only and name not in args.only:
            continue
        with TemporaryDirectory() as folder:
            environment = Environment(Path(folder))
            seconds = [environment.install(*packages, torch=args.torch) for packages in steps]
            size = environment.megabytes
            shell, window = first_masks(environment, window=name != "without napari")
            clicked = "" if window is None else f"{window:.1f}"
            print(f"| {name} | {seconds[-1]:.0f} | {size:.0f} | {shell:.1f} | {clicked} |", flush=True)
    if args.former:
        with TemporaryDirectory() as folder:
            seconds = upgrade(Environment(Path(folder)), args.former.resolve(), wheel, args.torch)
            print(f"\nThe upgrade took {seconds:.0f} s; masks, preferences and the run are kept.")


if __name__ == "__main__":
    main()
