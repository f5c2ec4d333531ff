"""Some damaged and hostile inputs for every reader; `benchmarks/fuzz.py` runs thousands."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fuzzing.readers import READERS
from hypothesis import HealthCheck, Phase, given, settings

CASES, SLOW = 60, {"model files": 30, "run folders": 8}
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
