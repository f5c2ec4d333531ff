"""Vessel segmentation without labels, by diffusion adversarial representation learning (DARL)."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_darl.version import VERSION

if TYPE_CHECKING:
    from napari_darl.errors import CheckpointError, DarlError, DarlWarning, FileError, InputError
    from napari_darl.evaluation.report import evaluate
    from napari_darl.exporting.export import export_model
    from napari_darl.inference.cleaning import Cleaning, clean_mask
    from napari_darl.inference.doubt import doubtful_spots
    from napari_darl.inference.lazy import lazy_mask, lazy_probability
    from napari_darl.inference.loading import Model, load_model
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.inference.orthogonal import windows_for
    from napari_darl.inference.segment import iter_probability, segment, segment_probability
    from napari_darl.inference.synthesize import synthesize
    from napari_darl.inference.trust import assess
    from napari_darl.inference.windows import Windows
    from napari_darl.inference.zarr_output import write_zarr
    from napari_darl.io.arrays import ImageData
    from napari_darl.io.images import open_image
    from napari_darl.io.output import read_provenance
    from napari_darl.measuring.catheter import calibrate_by_catheter
    from napari_darl.measuring.morphometry import Morphometry, measure
    from napari_darl.measuring.stenosis import Stenosis, stenosis
    from napari_darl.refining.refine import Refinement, refine
    from napari_darl.samples import sample_angiogram, sample_fundus
    from napari_darl.training.config import training_config
    from napari_darl.training.trainer import Trainer

__version__ = VERSION

# OpenMP's threads spin while they wait for each other. Beside other work, such as a training or a busy window, that
# takes the cores from those that they wait for: a frame of .1 s takes seconds. So they sleep, but only after .02 to .1
# ms (1,500 rounds), since waking them up takes time as well. They read this when torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:  # of GNU's OpenMP
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "1500")
os.environ.setdefault("KMP_BLOCKTIME", "0")  # Intel's and LLVM's

_HOMES = {
    "CheckpointError": "errors",
    "Cleaning": "inference.cleaning",
    "DarlError": "errors",
    "DarlWarning": "errors",
    "FileError": "errors",
    "ImageData": "io.arrays",
    "InputError": "errors",
    "Model": "inference.loading",
    "Morphometry": "measuring.morphometry",
    "SegmentOptions": "inference.options",
    "Stenosis": "measuring.stenosis",
    "Trainer": "training.trainer",
    "Windows": "inference.windows",
    "assess": "inference.trust",
    "calibrate_by_catheter": "measuring.catheter",
    "clean_mask": "inference.cleaning",
    "doubtful_spots": "inference.doubt",
    "evaluate": "evaluation.report",
    "export_model": "exporting.export",
    "iter_probability": "inference.segment",
    "lazy_mask": "inference.lazy",
    "lazy_probability": "inference.lazy",
    "load_model": "inference.loading",
    "measure": "measuring.morphometry",
    "open_image": "io.images",
    "read_provenance": "io.output",
    "Refinement": "refining.refine",
    "refine": "refining.refine",
    "sample_angiogram": "samples",
    "sample_fundus": "samples",
    "segment": "inference.segment",
    "segment_probability": "inference.segment",
    "stenosis": "measuring.stenosis",
    "synthesize": "inference.synthesize",
    "training_config": "training.config",
    "windows_for": "inference.orthogonal",
    "write_zarr": "inference.zarr_output",
}
"""Public name -> the module of this package that defines it."""

__all__ = [
    "CheckpointError",
    "Cleaning",
    "DarlError",
    "DarlWarning",
    "FileError",
    "ImageData",
    "InputError",
    "Model",
    "Morphometry",
    "Refinement",
    "SegmentOptions",
    "Stenosis",
    "Trainer",
    "Windows",
    "__version__",
    "assess",
    "calibrate_by_catheter",
    "clean_mask",
    "doubtful_spots",
    "evaluate",
    "export_model",
    "iter_probability",
    "lazy_mask",
    "lazy_probability",
    "load_model",
    "measure",
    "open_image",
    "read_provenance",
    "refine",
    "sample_angiogram",
    "sample_fundus",
    "segment",
    "segment_probability",
    "stenosis",
    "synthesize",
    "training_config",
    "windows_for",
    "write_zarr",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package stays cheap (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
