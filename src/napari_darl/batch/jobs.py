"""What a batch has to do: the images, and the files that their results go to."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from unicodedata import normalize

from napari_darl.errors import DarlWarning, FileError
from napari_darl.frames.stacks import series_folders
from napari_darl.io.identity import stem_of
from napari_darl.io.images import dicom_series, image_paths
from napari_darl.io.lazy import is_zarr, opens_lazily
from napari_darl.io.output import read_description
from napari_darl.io.tiff import TIFF_SUFFIXES
from napari_darl.io.zarr_labels import is_ome_image, label_path

RESULTS = ("_mask", "_probability", "_uncertainty")
"""Ends of the stems of results."""


class Form(StrEnum):
    """What results are written as; the values are ends of their names."""

    TIFF = ".tif"
    OME_TIFF = ".ome.tif"
    OME_ZARR = ".ome.zarr"


@dataclass(frozen=True)
class Job:
    """An image to segment.

    Attributes
    ----------
    source : Path
        A file, zarr, or a folder of frames that are one series.
    files : mapping of str to Path
        Where the `mask` goes and, if it is wanted, the `probability`, each in its form.
    problem : str
        Why it can't be segmented, in a sentence; empty if it can.
    region : Path, optional
        Mask of the pixels that count; by default all of them.
    """

    source: Path
    files: Mapping[str, Path]
    problem: str = ""
    region: Path | None = None

    @property
    def in_chunks(self) -> bool:
        """Whether the image is segmented chunk by chunk, into zarr."""
        return self.files["mask"].suffix not in TIFF_SUFFIXES


def find_images(inputs: Iterable[Path], *, zarr: bool = False, series: bool = False) -> list[Path]:
    """Return the images among the inputs and in folders among them, each once, in natural order.

    Results of this program that lie in the folders are left out with a warning, and so is zarr unless `zarr`.

    Parameters
    ----------
    inputs : iterable of Path
        Images, and folders of images.
    zarr : bool
        Whether zarr counts.
    series : bool
        Whether a folder of folders of images stands for these folders, each of which is one series, and a folder of
        DICOM slices or frames for itself.

    Raises
    ------
    FileError
        If an input is missing, or a folder holds no image.
    """
    found: list[Path] = []
    for entry in inputs:
        if not entry.exists():
            raise FileError(f"{entry} doesn't exist. Check its name and its folder.")
        if not entry.is_dir() or is_zarr(entry):
            found.append(entry)
        else:
            zarrs = sorted(path for path in entry.iterdir() if path.is_dir() and is_zarr(path))
            folders = _series_in(entry) if series and not zarrs else []
            found += folders or _images_in(entry, zarrs, zarr)
    return list({path.resolve(): path for path in found}.values())


def plan(
    sources: Iterable[Path],
    output: Path | None,
    kinds: tuple[str, ...] = ("mask",),
    *,
    form: Form = Form.TIFF,
    label: str | None = None,
    regions: Path | None = None,
) -> list[Job]:
    """Return a job for each image.

    Parameters
    ----------
    sources : iterable of Path
        The images, as `find_images` returns them.
    output : Path, optional
        Folder for the results; None for the folder of each image.
    kinds : tuple of str
        The results that are wanted: `mask`, `probability`.
    form : Form
        What they are written as. Of zarr images, OME-Zarr takes the place of TIFF; both are segmented chunk by chunk.
    label : str, optional
        Masks become labels of this name in their images, which are OME-Zarr.
    regions : Path, optional
        The mask of the pixels that count in all images, or a folder with one for each image, which has the image's name
        or that name and `_mask`.

    Returns
    -------
    list of Job
        Those of images whose results would share a file, or would replace an image, have a `problem`, and so have
        those without a region in a folder of regions.

    Raises
    ------
    FileError
        If there are no regions at that place.
    """
    jobs = [_job(path, output, kinds, form) for path in sources]
    if label is not None:
        jobs = [_as_label(job, label) for job in jobs]
    names = Counter(job.files["mask"] for job in jobs)
    taken = {job.source.resolve() for job in jobs}
    checked = [_checked(job, names[job.files["mask"]] > 1, taken) for job in jobs]
    return checked if regions is None else _with_regions(checked, regions)


def _job(path: Path, output: Path | None, kinds: tuple[str, ...], form: Form) -> Job:
    suffix = Form.OME_ZARR if form is Form.TIFF and is_zarr(path) else form
    folder = path.parent if output is None else output
    return Job(path, {kind: folder / f"{stem_of(path)}_{kind}{suffix}" for kind in kinds})


def _as_label(job: Job, name: str) -> Job:
    """Let the mask of an OME-Zarr image become one of its labels."""
    problem = f"{job.source} isn't an OME-Zarr image, which alone has labels. Leave --labels out."
    files = {**job.files, "mask": label_path(job.source, name)}
    return replace(job, files=files, problem="" if is_ome_image(job.source) else problem)


def _checked(job: Job, shared: bool, taken: set[Path]) -> Job:
    if job.problem:
        return job
    problem = ""
    if shared:
        problem = (
            f"Another image would become {job.files['mask']}, too: they would both become one file. "
            "Give one of them another name, or segment them into two folders."
        )
    elif lost := next((file for file in job.files.values() if file.resolve() in taken), None):
        problem = f"{lost} is one of the images, and the result would replace it. Choose another output folder."
    elif job.in_chunks and not opens_lazily(job.source):
        problem = (
            f"{job.source} is neither zarr nor TIFF, which alone are read chunk by chunk. "
            "Leave --zarr and --cluster out."
        )
    return replace(job, problem=problem)


def _with_regions(jobs: list[Job], regions: Path) -> list[Job]:
    if not regions.exists():
        raise FileError(f"{regions} doesn't exist. Check its name and its folder.")
    if not regions.is_dir():
        return [replace(job, region=regions) for job in jobs]
    # Of two files for one image, that named as a mask comes last, and counts.
    files = sorted(image_paths(regions), key=lambda path: stem_of(path).endswith("_mask"))
    named = {_same_name(path).removesuffix("_mask"): path for path in files}
    found = [(job, named.get(_same_name(job.source))) for job in jobs]
    return [
        replace(job, region=region)
        if region and region.resolve() != job.source.resolve()
        else replace(
            job, problem=f"{regions} has no region for {job.source}. Give it the image's name, or leave it out."
        )
        for job, region in found
    ]


def _same_name(path: Path) -> str:
    """Return the stem of a file, in which letters with accents are written in one way."""
    return normalize("NFC", stem_of(path))


def _series_in(folder: Path) -> list[Path]:
    """Return the folders of series in a folder, or the folder itself if it is one of DICOM slices or frames."""
    if folders := series_folders(folder):
        return folders
    with suppress(FileError):
        return [folder] if dicom_series(folder) else []
    return []


def _images_in(folder: Path, zarrs: list[Path], zarr: bool) -> list[Path]:
    try:
        paths = image_paths(folder)
    except FileError:
        if not (zarrs and zarr):
            raise
        paths = []
    results = [path for path in (*paths, *zarrs) if is_result(path)]
    if results:
        left = f"{results[0].name}{f' and {len(results) - 1} more' if len(results) > 1 else ''}"
        warnings.warn(f"Results in {folder} are left out ({left}).", DarlWarning, stacklevel=3)
    if zarrs and not zarr:
        message = f"Zarr in {folder} is left out. Convert it to TIFF to use it here."
        warnings.warn(message, DarlWarning, stacklevel=3)
    images = [path for path in (*paths, *(zarrs if zarr else ())) if path not in results]
    if not images:
        raise FileError(f"{folder} holds nothing but results. Pass a folder of images.")
    return images


def is_result(path: Path) -> bool:
    """Return whether this program wrote a file, by its name and its description."""
    if not stem_of(path).endswith(RESULTS):
        return False
    if path.is_dir():
        from napari_darl.inference.zarr_results import is_result as is_zarr_result

        return find_spec("zarr") is not None and is_zarr_result(path)
    with suppress(FileError):
        return path.suffix.lower() in TIFF_SUFFIXES and read_description(path) is not None
    return False
