"""Give damaged and hostile files to every reader, and check that it reads them or refuses them with a message.

    OMP_NUM_THREADS=1 python benchmarks/fuzz.py [--cases 10000] [--seed 0] [--readers TIFF zarr] [--keep folder]

The cases are those of `tests/fuzzing`, of which `tests/test_fuzz.py` runs a few hundred. A reader must return a valid
result, or raise a DarlError with a message; within 5 s of processor time and 512 MiB, without warnings of other
libraries and, for DICOM, without data of the patient in the message. An image must have the values that another
library reads from the file (`tests/fuzzing/second.py`). Each reader runs in its own process, which may
take 4 GiB more than at its start, so that crashes are counted, too. Files on which a reader failed are kept.

Prints a table. The exit status is 1 if a reader failed.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzzing.guard import BrokenPropertyError
from fuzzing.readers import READERS
from hypothesis import HealthCheck, Phase, given, seed, settings

from napari_darl.evaluation.report import markdown_table

HANGS = 600
"""Seconds after which a case counts as hanging, and its process is ended. Memory is traced, which takes long."""


def run(name: str, cases: int, number: int, keep: Path) -> dict[str, Any]:
    """Run the cases of a reader; count those accepted and refused, and return the longest time and the failures."""
    reader = READERS[name]
    told: dict[str, Any] = {"cases": 0, "accepted": 0, "refused": 0, "slowest": 0.0, "failures": {}}

    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(number)
    @given(reader.cases)
    def one(case: Any) -> None:
        told["cases"] += 1
        folder = keep / f"{name.replace(', ', '-').replace(' ', '-')}-{told['cases']}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with contextlib.chdir(folder):
            faulthandler.dump_traceback_later(HANGS, exit=True)
            start = time.perf_counter()
            try:
                told["accepted" if reader.accepts(case, folder) else "refused"] += 1
                failed = None
            except BrokenPropertyError as failure:
                failed = str(failure)
            faulthandler.cancel_dump_traceback_later()
        told["slowest"] = max(told["slowest"], time.perf_counter() - start)
        if failed:
            (folder / "case.txt").write_text(f"{failed}\n{case!r}"[:5000])
            told["failures"].setdefault(failed.replace(str(folder), "")[:120], []).append(folder.name)
        else:
            shutil.rmtree(folder)

    with tempfile.TemporaryDirectory() as folder:
        reader.read(reader.intact(), Path(folder))  # imports libraries, whose time doesn't count
    limit_memory()
    one()
    return told


def limit_memory() -> None:
    """Limit the memory of this process to 4 GiB more than it has, where the system supports it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2**32, resource.getrlimit(resource.RLIMIT_AS)[1]))


def child(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a reader in its own process."""
    options = ["--cases", str(arguments.cases), "--seed", str(arguments.seed), "--keep", str(arguments.keep)]
    done = subprocess.run(
        [sys.executable, __file__, "--inside", "--readers", name, *options], capture_output=True, text=True
    )
    with contextlib.suppress(ValueError, IndexError):
        return dict(json.loads(done.stdout.splitlines()[-1]))
    crash = f"the process ended with status {done.returncode}: {done.stderr[-300:]}"
    return {"cases": 0, "accepted": 0, "refused": 0, "slowest": 0.0, "failures": {crash: ["the last one"]}}


def main() -> None:
    """Run all readers, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="cases per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", default=list(READERS), choices=list(READERS))
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz", help="folder of failures")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(run(arguments.readers[0], arguments.cases, arguments.seed, arguments.keep.resolve())))
        return
    rows, failed = [], False
    for name in arguments.readers:
        told = child(name, arguments)
        failures = sum(map(len, told["failures"].values()))
        failed = failed or failures > 0
        counts = (told["cases"], told["accepted"], told["refused"], f"{told['slowest']:.2f}", failures)
        rows.append((name, *map(str, counts)))
        print(rows[-1], file=sys.stderr, flush=True)
        for failure, where in told["failures"].items():
            print(f"  {len(where)} x {failure} ({', '.join(where[:3])})", file=sys.stderr, flush=True)
    print(markdown_table(("reader", "cases", "accepted", "refused", "slowest, s", "failures"), rows))
    sys.exit(failed)


if __name__ == "__main__":
    main()
