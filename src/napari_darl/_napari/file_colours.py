"""Files whose pixels napari's own reader hands over in another way than the file means them."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from napari.layers import Image
from PIL import Image as Picture
from tifffile import COMPRESSION, PHOTOMETRIC

from napari_darl._napari.mask_files import PLUGIN
from napari_darl.errors import DarlError, DarlWarning
from napari_darl.io.pictures import PICTURE_SUFFIXES
from napari_darl.io.tiff import TIFF_SUFFIXES, open_tiff

_OTHER = ("SEPARATED", "YCBCR", "CIELAB", "ICCLAB", "ITULAB", "LOGL", "LOGLUV", "CMYK")  # of TIFF, and of JPEG


def colour_check(image: Image) -> Callable[[], None]:
    """Prepare to warn of a layer whose file has other colours, or another polarity, than napari shows.

    The command line reads such files as they are meant, so its masks differ from those of the layer.

    Parameters
    ----------
    image : Image
        The layer. It is looked at now, and never in the thread.

    Returns
    -------
    callable
        Warns if need be. It reads the head of the file, so it is called in a thread.
    """
    source, name = image.source, image.name
    path = source.path if isinstance(source.path, str) and source.reader_plugin != PLUGIN else ""

    def check() -> None:
        kind = _kind_of(Path(path)) if path else ""
        if kind == "MINISWHITE":
            warnings.warn(
                f"The file of '{name}' says that 0 is white, and napari shows 0 as black. What napari shows is "
                "segmented: if its vessels are bright, choose bright vessels. The command line takes 0 for white.",
                DarlWarning,
                stacklevel=2,
            )
        elif kind in _OTHER:
            warnings.warn(
                f"The file of '{name}' has colours of the kind {kind}, which napari shows as if they were red, green "
                "and blue. What napari shows is segmented: save the file as RGB to have its own colours.",
                DarlWarning,
                stacklevel=2,
            )

    return check


def _kind_of(path: Path) -> str:
    """Return the kind of a file's colours, by its header; empty if it isn't known."""
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        with suppress(DarlError), open_tiff(path) as tiff:
            page = tiff.pages.first
            jpeg = page.compression in (COMPRESSION.JPEG, COMPRESSION.OJPEG)  # decoded to RGB
            return "" if jpeg else PHOTOMETRIC(page.photometric).name
    if suffix in PICTURE_SUFFIXES:
        # Decoders raise nearly anything on damaged data.
        with suppress(Exception), warnings.catch_warnings(action="ignore"), Picture.open(path) as picture:
            return str(picture.mode)
    return ""
