"""Measure the effect of the plugin on napari's start; needs a display.

    python benchmarks/napari_start.py [--repeats 10]

Starts napari with the plugin and with the plugin disabled, alternating, each in its own process with napari's default
settings. Prints the wall time from the start of the process to the end of the first pass of the event loop with the
window shown (median, minimum, maximum), the difference, and which heavy modules have been imported by then.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PLUGIN = "napari-darl"
HEAVY = ("torch", "scipy", "skimage", "safetensors", "napari_darl")
NAPARI = """
import json, sys, time
import napari
from npe2 import PluginManager
from qtpy.QtCore import QTimer

def shown():
    end = time.monotonic()
    enabled = not PluginManager.instance().is_disabled(sys.argv[1])
    print(json.dumps({"end": end, "enabled": enabled, "modules": sorted(sys.modules)}))
    viewer.close()

viewer = napari.Viewer()
QTimer.singleShot(0, shown)
napari.run()
"""


def start(enabled: bool) -> dict[str, Any]:
    """Start napari once, and return its output with the `seconds` it took."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.yaml"
        settings.write_text(f"plugins:\n  disabled_plugins: {[] if enabled else [PLUGIN]}\n", encoding="utf-8")
        began = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-c", NAPARI, PLUGIN],
            env={**os.environ, "NAPARI_CONFIG": str(settings)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    told = json.loads(run.stdout.splitlines()[-1])
    if told["enabled"] != enabled:
        raise SystemExit(f"{PLUGIN} isn't {'enabled' if enabled else 'disabled'}: install it in this environment.")
    return {**told, "seconds": told["end"] - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    names = {"with the plugin": True, "without": False}
    modules = {name: set(start(enabled)["modules"]) for name, enabled in names.items()}  # warms the disk's cache, too
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(parser.parse_args().repeats):
        for name in sorted(names, reverse=turn % 2 == 1):
            times[name].append(start(names[name])["seconds"])

    print("| | median, s | least | greatest |\n|---|---|---|---|")
    for name, runs in times.items():
        print(f"| napari {name} | {statistics.median(runs):.2f} | {min(runs):.2f} | {max(runs):.2f} |")
    with_it, without = (statistics.median(runs) for runs in times.values())
    pairs = [a - b for a, b in zip(*times.values(), strict=True)]
    least, greatest = 1000 * min(pairs), 1000 * max(pairs)
    print(f"| difference, ms | {1000 * (with_it - without):+.0f} | {least:+.0f} | {greatest:+.0f} |")
    print(f"| ratio | {with_it / without:.3f} | | |\n")
    for name, found in modules.items():
        heavy = [module for module in HEAVY if module in found]
        print(f"Of {', '.join(HEAVY)}, napari {name} has imported {', '.join(heavy) or 'none'}.")
    added = sorted(modules["with the plugin"] - modules["without"])
    print(f"Imported with the plugin only: {', '.join(added) or 'nothing'}.")


if __name__ == "__main__":
    main()
