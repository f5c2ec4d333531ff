"""Retrain the bundled models.

    python scripts/make_models.py --angiograms arcade/ --output runs [--models default fundus]

`default` is trained on the training split of ARCADE's stenosis half (Popov et al. 2024, doi 10.1038/s41597-023-02871-z,
CC BY 4.0), without the two frames that the package ships as samples. `fundus` is trained on the retina that comes with
scikit-image (public domain: M. Haeggstroem 2014, doi 10.15347/wjm/2014.008). No masks or labels are used; the model is
the running average of the last step.

Interrupted runs (Ctrl-C saves) resume. A finished model replaces the one in the package; update its model card
(`src/napari_darl/models/*.md`) by hand.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import Any

from numpy.typing import NDArray
from skimage.data import retina
from tqdm.auto import tqdm

import napari_darl.models
from napari_darl import Trainer
from napari_darl.errors import DarlError, InputError
from napari_darl.frames.arrays import to_grey
from napari_darl.io.images import image_paths, read_image
from napari_darl.training.config import training_config

RECIPES = {"default": "lite", "fundus": "fundus"}
SAMPLES = ("0137", "0302")
"""Parts of the file names of the ARCADE frames that ship as samples."""


def frames(model: str, angiograms: Path | None) -> Sequence[NDArray[Any]]:
    """Read the frames that a model is trained on."""
    if model == "fundus":
        return [to_grey(retina())]
    if angiograms is None:
        raise InputError("The model 'default' learns from ARCADE: give its folder with --angiograms.")
    paths = [path for path in image_paths(angiograms) if not any(name in path.stem for name in SAMPLES)]
    return [read_image(path).data for path in paths]


def main() -> None:
    """Train the models, or resume, and copy them into the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--angiograms", type=Path, help="folder of ARCADE's frames")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--models", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    for name in args.models:
        folder = args.output / name
        recipe, stack = training_config(RECIPES[name]), frames(name, args.angiograms)
        if (folder / "checkpoint.safetensors").exists():
            trainer = Trainer.resume(folder, stack, steps=recipe.steps, device=args.device)
        else:
            trainer = Trainer(recipe, folder, stack, device=args.device)
        for _ in tqdm(trainer.run(), name, total=recipe.steps, initial=trainer.step):
            pass
        target = Path(napari_darl.models.__file__).parent / f"{name}.safetensors"
        copyfile(trainer.folder.model, target)
        print(target)


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
