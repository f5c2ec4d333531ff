"""The benchmark of a GPU runs on a CPU, too, with small sizes."""

import json
import sys
from pathlib import Path

import gpu
import pytest


def test_every_measurement_gives_a_table_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--quick", "--output", str(tmp_path)])
    gpu.main()

    tables = json.loads((tmp_path / "gpu.json").read_text())["tables"]
    assert [table["title"] for table in tables] == [
        "Parity with the CPU",
        "The device's convolution rate",
        "Path A alone",
        "Frames a second",
        "Training steps a second",
        "Out of memory",
        "`lite` from scratch",
    ]
    assert all(table["rows"] for table in tables)
    assert not [table for table in tables if table["note"] == "Failed."]
    assert (tmp_path / "gpu.md").read_text().count("\n## ") == len(tables)
