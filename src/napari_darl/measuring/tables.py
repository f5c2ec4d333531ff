"""Tables as files: CSV for spreadsheets, JSON with where the numbers come from."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.io.atomic import replacing
from napari_darl.measuring.morphometry import Morphometry

Columns = Mapping[str, npt.NDArray[Any]]


def write_csv(path: Path, columns: Mapping[str, Sequence[object] | npt.NDArray[Any]], *, overwrite: bool) -> None:
    """Write columns of one length as CSV (UTF-8), with their names in the first line.

    Numbers have six significant digits; NaN is an empty field.

    Raises
    ------
    FileError
        If the file is there and may not be replaced, or can't be written.
    """
    with replacing(path, overwrite=overwrite) as file:
        file.write(csv_text(columns))


def csv_text(columns: Mapping[str, Sequence[object] | npt.NDArray[Any]]) -> bytes:
    """Return what `write_csv` writes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(value) for value in row] for row in zip(*columns.values(), strict=True)])
    return text.getvalue().encode()


def write_json(path: Path, value: object, *, overwrite: bool) -> None:
    """Write a value as JSON.

    Raises
    ------
    FileError
        If the file is there and may not be replaced, or can't be written.
    """
    with replacing(path, overwrite=overwrite) as file:
        file.write(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False).encode())


def with_unit(columns: Columns, unit: str) -> dict[str, npt.NDArray[Any]]:
    """Append a column that names the unit of length."""
    rows = len(next(iter(columns.values())))
    return {**columns, "unit": np.full(rows, unit)}


def as_json(found: Morphometry, provenance: Mapping[str, object]) -> dict[str, Any]:
    """Return all that was measured as values that JSON holds; NaN becomes null.

    Parameters
    ----------
    found
        The measurements.
    provenance
        Where they come from: files, version, how the pixel size is known.
    """
    return {
        "provenance": plain(provenance),
        "unit": found.unit,
        "pixel_size": list(found.pixel_size),
        "summary": plain(found.summary),
        "frames": plain(found.frames),
        "segments": plain(found.segments),
        "branch_points": plain(found.branch_points),
    }


def plain(value: object) -> Any:
    """Turn mappings, sequences, arrays and their numbers into what JSON holds."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: object) -> object:
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value
