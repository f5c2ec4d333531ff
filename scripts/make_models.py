"""Retrain the models that come with the package.

    python scripts/make_models.py --data data/ --output runs [--models default fundus fluorescence]

No mask or label takes part, and the last step's moving average is the model. The folder `data` holds

- `arcade/angiograms` and `arcade_more/images`: ARCADE, CC BY 4.0 (Popov et al. 2024, doi 10.1038/s41597-023-02871-z).
  The two samples of the package and the 50 frames of `kept_aside.txt` are left out.
- `idrid/images` with `sources.csv`, and `idrid_1500/images`: IDRiD, CC BY 4.0 (Porwal et al. 2018,
  doi 10.3390/data3030025), 1000 and 1500 px wide. `fundus` sees eyes without retinopathy twice.
- `tubenet_sample/OCTA-Data.tif` and `vesselexpress_liver/images/Raw_liver_1.tiff`: the first half of either volume.

All three are students of earlier generations (`TEACHERS`). These are read from the history of the repository, where
their recipes are, too. `fluorescence` has a teacher for each source of frames (`fluorescence_teachers.py`).

Stopped runs (Ctrl-C saves) continue where they were. When the runs of a model are done (`SEEDS`), the mean of their
weights is calibrated (`CALIBRATIONS`), told how its masks are cleaned (`CLEANINGS`), and replaces the model in the
package, whose card (`src/napari_darl/models/*.md`) has to be updated by hand.
"""

import argparse
import csv
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fluorescence_teachers import Sources
from numpy.typing import NDArray
from tqdm.auto import tqdm

import napari_darl.models
from napari_darl import Trainer
from napari_darl.darl.checkpoint import load_tensors, model_from, save_model
from napari_darl.darl.config import Calibration
from napari_darl.errors import DarlError
from napari_darl.frames.channels import to_grey
from napari_darl.inference.loading import load_model, starting_networks
from napari_darl.io.images import image_paths, read_image
from napari_darl.training.students import STUDENTS

Frames = list[NDArray[Any]]

RECIPES = {"default": STUDENTS["lite"], "fundus": STUDENTS["fundus"], "fluorescence": STUDENTS["fluorescence"]}
"""The recipe of each student, which begins with the weights of its first teacher."""

SEEDS = {"default": (0, 1), "fundus": (0, 1), "fluorescence": (0, 1)}
"""Seeds of the runs of a student. The model is the mean of their weights, since all begin with those of the teacher
(Wortsman et al. 2022)."""

TEACHERS = {
    "default": {
        "3e20251c:default": "c1f6dc53f5be8deb048ee205fca254214f33a0a0320889829a739b425422009f",
    },
    "fundus": {"89e51e02:fundus": "218698bdb60a87f06fbd428d90f1eaf1dcd083aee1831cc7b4cc5077d261e4f9"},
    "fluorescence": {
        "a38c115b:fluorescence": "d58e1ed290bb64c294418dcf193c55cc355b2b2e98c6d63ae3445325defa97c7",
        "a38c115b:default": "5464be0100b4a7ba3a8b4f83986053b9140ba56409d27e74defa6640e46a46a6",
        "a38c115b:fundus": "4738eb96a832c21bdd147ee59bb8986fbae61eb6dabfcf36a86d0df269e7b34e",
    },
}
"""Commits and models of earlier generations that teach a student, and the SHA-256 of their weights."""

WITH_TEACHER = ("fluorescence",)
"""Models whose mean also has the weights of the teacher from which the runs began."""

STUDENT_FRAMES = {"default": 200, "fundus": 100, "fluorescence": 500}
"""Greatest number of frames that a student sees, evenly spread, since to label one takes seconds."""

CALIBRATIONS = {
    "default": Calibration(cut=0.7, temperature=1.11),
    "fundus": Calibration(cut=0.9, temperature=1.59, enlarged=0.35),
    "fluorescence": Calibration(cut=0.76),
}
"""From `calibrate.py` and `calibrate_sources.py`; the cards of the models say which others took part."""

CLEANINGS = {"default": {"hysteresis": 0.9, "peak": 0.9}}
"""`Cleaning` that a model's file asks for; docs/results.md says how it was found without labels."""

SAMPLES = ("0137", "0302")
"""Names of ARCADE's frames that ship as samples."""


def coronary(data: Path) -> Frames:
    """Read ARCADE without samples and frames kept aside."""
    aside = {*SAMPLES, *(Path(__file__).parent / "kept_aside.txt").read_text().split()}
    folders = data / "arcade" / "angiograms", data / "arcade_more" / "images"
    return [_grey(path) for folder in folders for path in image_paths(folder) if path.stem not in aside]


def fundus(data: Path) -> Frames:
    """Read IDRiD in both sizes, and once more the eyes without retinopathy."""
    with (data / "idrid" / "sources.csv").open(newline="") as file:
        healthy = {Path(row["file"]).stem for row in csv.DictReader(file) if row["dr_grade"] == "0"}
    paths = image_paths(data / "idrid" / "images")
    frames = {path: _grey(path) for path in paths}
    larger = [_grey(path) for path in image_paths(data / "idrid_1500" / "images")]
    return [*frames.values(), *larger, *(frames[path] for path in paths if path.stem in healthy)]


def fluorescence(data: Path) -> Sources:
    """Read or draw the frames of `fluorescence`: some angiograms and photographs of the retina, volumes, phantoms."""
    return Sources(data, evenly(coronary(data), 190), evenly(fundus(data)[:440], 45))


def evenly(frames: Frames, most: int) -> Frames:
    """Return frames at even distances, no more than `most`."""
    return frames[:: -(-len(frames) // most)]


FRAMES = {"default": coronary, "fundus": fundus}


def _grey(path: Path) -> NDArray[Any]:
    image = read_image(path)
    return to_grey(image.data) if image.rgb else image.data


def teachers(name: str, folder: Path) -> list[Path]:
    """Write the teachers of a model into a folder, from the history of the repository, and check their hashes."""
    paths = []
    for weights_of, sha256 in TEACHERS[name].items():
        commit, model = weights_of.split(":")
        paths.append(folder / f"{model}-{commit}.safetensors")
        if paths[-1].exists() and hashlib.sha256(paths[-1].read_bytes()).hexdigest() == sha256:
            continue
        weights = f"{commit}:src/napari_darl/models/{model}.safetensors"
        found = subprocess.run(["git", "show", weights], cwd=Path(__file__).parent, capture_output=True)
        if hashlib.sha256(found.stdout).hexdigest() != sha256:
            sys.exit(f"error: The weights {weights} are not in this clone of the repository, or are others.")
        folder.mkdir(parents=True, exist_ok=True)
        paths[-1].write_bytes(found.stdout)
    return paths


def train(name: str, data: Path, output: Path, device: str) -> Path:
    """Train a model with each of its seeds, or continue; return the model file, which isn't calibrated."""
    files = teachers(name, output / "teachers")
    loaded = [load_model(path, device) for path in files]
    sources = fluorescence(data) if name == "fluorescence" else None
    stack = evenly(sources.frames if sources else FRAMES[name](data), STUDENT_FRAMES[name])
    trained = []
    for seed in SEEDS[name]:
        recipe, folder = RECIPES[name].updated(seed=seed), output / (f"{name}-{seed}" if seed else name)
        if (folder / "checkpoint.safetensors").exists():
            trainer = Trainer.resume(folder, stack, steps=recipe.steps, device=device)
        else:
            networks = starting_networks(files[0])
            trainer = Trainer(recipe, folder, stack, start=networks, teachers=loaded, device=device)
        if sources:
            trainer.sampler.teach(sources.teacher(*loaded))
        for _ in tqdm(trainer.run(), folder.name, total=recipe.steps, initial=trainer.step):
            pass
        trained.append(trainer.folder.model)
    if name in WITH_TEACHER:
        trained.append(files[0])
    return trained[0] if len(trained) == 1 else mean_of(trained, output / f"{name}-mean.safetensors")


def mean_of(files: Sequence[Path], target: Path) -> Path:
    """Write the model whose weights are the mean of others', and which is like the first one otherwise."""
    loaded = [load_tensors(path, "model") for path in files]
    mean, contents = loaded[0]
    for name, value in mean.items():
        if value.is_floating_point():
            mean[name] = torch.stack([tensors[name].float() for tensors, _ in loaded]).mean(0)
    save_model(target, model_from(mean, contents, files[0]), contents.get("info"))
    return target


def install(name: str, trained: Path) -> Path:
    """Calibrate a trained model and put it into the package."""
    tensors, contents = load_tensors(trained, "model")
    network = model_from(tensors, contents, trained)
    network.config = network.config.updated(calibration=CALIBRATIONS[name], enlargement=RECIPES[name].model.enlargement)
    target = Path(napari_darl.models.__file__).parent / f"{name}.safetensors"
    info = contents.get("info") or {}
    if name in CLEANINGS:
        info = {**info, "cleaning": CLEANINGS[name]}
    save_model(target, network, info, half=True)
    return target


def main() -> None:
    """Train, or continue to train, and put the models into the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--models", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    for name in args.models:
        print(install(name, train(name, args.data, args.output, args.device)))


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
