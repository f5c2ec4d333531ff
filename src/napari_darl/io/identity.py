"""What a result says about its image: a hash of the content, and a name that identifies nobody."""

from hashlib import file_digest, sha256
from pathlib import Path

from napari_darl.io.dicom import DICOM_SUFFIXES
from napari_darl.io.images import SUPPORTED, image_paths
from napari_darl.io.lazy import is_zarr
from napari_darl.io.tiff import TIFF_SUFFIXES


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder of images: of their hashes, in natural order.

    That of zarr is made of the names and hashes of all files in it.

    Raises
    ------
    FileError
        If a folder holds no image.
    OSError
        If a file can't be read.
    """
    if is_zarr(path):
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {content_hash(file)}\n" for file in files]
        return sha256("".join(lines).encode()).hexdigest()
    if path.is_dir():
        return sha256("".join(map(content_hash, image_paths(path))).encode()).hexdigest()
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def source_name(path: Path) -> str | None:
    """Return the file name that results may carry; None for DICOM and folders.

    DICOM files and folders of series are often named by the patient.
    """
    named = path.suffix.lower() in set(SUPPORTED) - set(DICOM_SUFFIXES) or is_zarr(path)
    return path.name if named else None


def stem_of(path: Path) -> str:
    """Return the name of an image without its suffix, and without more: DICOM files may be called 1.2.840.3.

    Of images called `in.ome.zarr` and `in.ome.tif`, it is `in`.
    """
    if is_zarr(path) or path.suffix.lower() in TIFF_SUFFIXES:
        return path.name.removesuffix(path.suffix).removesuffix(".ome")
    return path.stem if path.suffix.lower() in SUPPORTED else path.name
