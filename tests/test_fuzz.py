"""Some damaged and hostile inputs for every reader; `benchmarks/fuzz.py` runs thousands."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from fuzzing.guard import BrokenPropertyError
from fuzzing.readers import READERS
from hypothesis import HealthCheck, Phase, given, settings

CASES, SLOW = 40, {"model files": 30, "run folders": 8, "refined models": 12}
"""Number of cases per reader, and exceptions for slow readers."""


@pytest.mark.parametrize("name", READERS)
def test_a_reader_accepts_what_is_whole(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    reader.read(reader.intact(), tmp_path / "first")  # imports libraries, whose time and memory don't count
    assert reader.accepts(reader.intact(), tmp_path / "second")


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_or_refuses_whatever_it_is_fed(name: str) -> None:
    reader = READERS[name]

    @settings(
        max_examples=SLOW.get(name, CASES),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.cases)
    def one(case: Any) -> None:
        with TemporaryDirectory() as folder:
            reader.accepts(case, Path(folder))

    one()


@pytest.mark.parametrize("name", ["TIFF", "TIFF, lazily", "pictures", "npy", "zarr", "DICOM"])
def test_the_second_reading_notices_other_values(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    assert reader.second is not None
    read = reader.read(reader.intact(), tmp_path)
    image = read[0] if isinstance(read, list) else read
    pixels = np.array(image.data[...])
    pixels.flat[0] ^= 1
    other = replace(image, data=pixels)
    with pytest.raises(BrokenPropertyError, match="other values"):
        reader.second([other] if isinstance(read, list) else other)
