"""Measure the time of `import napari_darl`, compared with a bare interpreter and NumPy.

    python benchmarks/import_time.py [--repeats 10]

Prints the median wall time of alternating processes, and the difference to the bare interpreter.
"""

import argparse
import statistics
import subprocess
import sys
import time

CODES = {"bare interpreter": "pass", "import napari_darl": "import napari_darl", "import numpy": "import numpy"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    times: dict[str, list[float]] = {name: [] for name in CODES}
    for _ in range(parser.parse_args().repeats):
        for name, code in CODES.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times[name].append(time.perf_counter() - start)
    bare = statistics.median(times["bare interpreter"])
    print("| | ms | added, ms |\n|---|---|---|")
    for name, runs in times.items():
        median = statistics.median(runs)
        print(f"| {name} | {1000 * median:.0f} | {1000 * (median - bare):.0f} |")


if __name__ == "__main__":
    main()
