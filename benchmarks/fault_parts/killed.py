"""Commands that are killed while they compute and while they write, and what is left and lost then."""

import hashlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile

from fault_parts.common import MAIN, FaultError, works
from napari_darl import load_model
from napari_darl._napari.segmenting.edits import EditStore
from napari_darl.samples import sample_angiogram

Arguments = list[object]

_AUTOSAVE = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from napari_darl._napari.segmenting.edits import About, Edits, EditStore, Frame
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.options import SegmentOptions
store = EditStore(Path(sys.argv[1]))
made = {"model": "default", "segment": SegmentOptions(), "cleaning": Cleaning(), "region": "", "provenance": {}}
about = About(image="a", saved="now", shape=(1000, 1000), **made)
noise = np.random.default_rng(0).random((1000, 1000)) < 0.5
for number in count():
    store.write("a", Edits(about, {(): Frame(np.full((1000, 1000), number % 256, np.uint8), noise, "", False)}))
    print(number, flush=True)
"""

_SAVE = """
import sys
from itertools import count
from napari_darl import Refinement, load_model
refinement = Refinement(load_model(), 0.5, "free")
for number in count():
    refinement.save(f"{sys.argv[1]}/{number}.safetensors")
    print(number, flush=True)
"""


def contents(folder: Path) -> dict[str, str]:
    """Return hashes of all files; of OME-TIFFs, which carry a random identifier, those of their pixels."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        if path.is_file() and not path.name.startswith("."):
            content = tifffile.imread(path).tobytes() if path.name.endswith(".ome.tif") else path.read_bytes()
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def killed(arguments: Arguments, output: Path, times: int, *again: object) -> str:
    """Kill a command at several moments, every second time as soon as it writes; return what was found.

    Whatever it has written by then must be whole, and the same command, with the further arguments, must give the
    files of an undisturbed run. Without further arguments, finished files must stay as they are.
    """
    start = time.monotonic()
    works(*arguments)
    took, plain = time.monotonic() - start, contents(output)
    begun = 0
    for number in range(times):
        shutil.rmtree(output)
        process = subprocess.Popen([sys.executable, "-c", MAIN, *map(str, arguments)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + took * (number + 1) / (times + 1)
        while process.poll() is None and not (_writes(output) if number % 2 else time.monotonic() > end):
            time.sleep(0.002)
        process.kill()
        process.wait()
        left = contents(output)
        begun += output.exists()
        if not left.items() <= plain.items():
            raise FaultError(f"half a file after kill {number + 1}: {sorted(left)}")
        kept = {name: (output / name).stat().st_mtime_ns for name in left}
        works(*arguments, *again)
        if contents(output) != plain:
            raise FaultError(f"other files after kill {number + 1}")
        if not again and any((output / name).stat().st_mtime_ns != at for name, at in kept.items()):
            raise FaultError("a finished file was written again")
    return f"{times} kills, {begun} of them while or after it wrote"


def _writes(output: Path) -> bool:
    return output.exists() and any(path.is_file() for path in output.rglob("*"))


def lines_until_killed(program: str, argument: Path, seconds: float) -> Iterator[str]:
    """Run a program, kill it some time after its first line, and yield its lines."""
    command = [sys.executable, "-c", program, str(argument)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None  # noqa: S101 (for mypy)
        yield process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        yield from process.stdout


def while_exporting(folder: Path, times: int) -> str:
    arguments: Arguments = ["export", "default", "--output", folder / "out" / "default.onnx"]
    return killed(arguments, folder / "out", times, "--overwrite")


def while_measuring(folder: Path, times: int) -> str:
    works("segment", folder / "frame.tif", "--output", folder / "masks")
    return killed(["measure", folder / "masks", "--output", folder / "out"], folder / "out", times, "--overwrite")


def in_a_folder(folder: Path, times: int) -> str:
    (folder / "frames").mkdir()
    for number in range(4):
        part = sample_angiogram()[:256, 40 * number : 40 * number + 256]
        tifffile.imwrite(folder / "frames" / f"{number}.tif", part)
    batch: Arguments = ["segment", folder / "frames", "--ome-tiff", "--probability", "--device", "cpu"]
    return killed([*batch, "--output", folder / "out"], folder / "out", times)


def while_refining(folder: Path, times: int) -> str:
    """Kill refinements while they fit: nothing is written, and images and corrections stay."""
    works("segment", folder / "frame.tif", "--output", folder / "masks", "--threshold", "0.8")
    before = contents(folder / "masks")
    inputs: Arguments = ["--images", folder / "frame.tif", "--masks", folder / "masks" / "frame_mask.tif"]
    for number in range(times):
        output = folder / "out" / "refined.safetensors"
        command = [sys.executable, "-c", MAIN, *map(str, ["refine", *inputs, "--output", output])]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(4 * (number + 1))
        if process.poll() is not None:
            raise FaultError("it ended before it was killed")
        process.kill()
        process.wait()
        if contents(folder / "out"):
            raise FaultError("something was written before the end")
    if contents(folder / "masks") != before:
        raise FaultError("corrections were changed")
    return f"{times} kills"


def while_saving_refined_models(folder: Path, times: int) -> str:
    chance, count = random.Random(0), 0
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        saved = list(lines_until_killed(_SAVE, place, chance.uniform(0, 0.5)))
        models = sorted(place.glob("*.safetensors"), key=lambda path: int(path.stem))
        if len(models) not in (len(saved), len(saved) + 1):
            raise FaultError(f"{len(models)} models of {len(saved)}")
        load_model(models[-1], "cpu")
        count += len(models)
    return f"{times} kills, {count} models saved, the last of each run is whole"


def while_autosaving(folder: Path, times: int) -> str:
    chance = random.Random(0)
    for _ in range(times):
        last = int(list(lines_until_killed(_AUTOSAVE, folder / "edits", chance.uniform(0, 0.5)))[-1])
        (frame,) = EditStore(folder / "edits").read("a").frames.values()
        if len(np.unique(frame.labels)) != 1 or frame.labels[0, 0] not in (last % 256, (last + 1) % 256):
            raise FaultError(f"other edits than the last: {frame.labels[0, 0]} after {last}")
    return f"{times} kills, the last edits or those before are whole"


KILLED: dict[str, Callable[[Path, int], str]] = {
    "exporting": while_exporting,
    "measuring": while_measuring,
    "segmenting a folder into OME-TIFF": in_a_folder,
    "refining": while_refining,
    "saving refined models": while_saving_refined_models,
    "autosaving edits": while_autosaving,
}
"""What a process was doing when it was killed -> a function that kills it that many times in an empty folder."""
