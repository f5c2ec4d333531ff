"""The benchmark of a GPU runs on a CPU, too, with small sizes."""

import json
import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


def test_every_measurement_gives_a_table_and_numbers(tmp_path: Path) -> None:
    command = [sys.executable, str(_SCRIPT), "--device", "cpu", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
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
    assert (tmp_path / "gpu.md").read_text().count("\n## ") == len(tables)
