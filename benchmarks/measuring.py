"""How exact `napari_darl.measure` and `stenosis` are, on drawings whose geometry is known, and what they cost.

    python benchmarks/measuring.py tubes anisotropic curves volumes trees stenoses cost

Prints a Markdown table for each. All is drawn from exact radii: a pixel is vessel if its centre is. The lengths of skan
appear where it is installed (`pip install -c constraints.txt ".[oracle]"`).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from measuring_parts.shapes import curves, tubes, volumes
from measuring_parts.stenoses import stenoses
from measuring_parts.trees import trees

import napari_darl
from napari_darl.evaluation.report import markdown_table
from napari_darl.samples import sample_angiogram


def cost() -> str:
    """Processor time to segment a frame and to measure its mask, one after the other; and masks of other sizes."""
    frame = sample_angiogram()
    model = napari_darl.load_model("default", "cpu")
    mask = napari_darl.segment(frame, model).astype(bool)
    napari_darl.measure(mask)
    times = np.array(
        [
            (_seconds(lambda: napari_darl.segment(frame, model)), _seconds(lambda: napari_darl.measure(mask)))
            for _ in range(7)
        ]
    )
    rows = []
    whole = np.tile(mask, (8, 8))
    for side in (512, 1024, 2048, 4096):
        spent = np.median(times[:, 1]) if side == 512 else _seconds(lambda n=side: napari_darl.measure(whole[:n, :n]))
        rows.append((f"{side}", f"{spent:.2f}", f"{1e6 * spent / side**2:.2f}"))
    ratio = np.median(times[:, 1] / times[:, 0])
    table = markdown_table(("side, px", "measuring, s", "us per pixel"), rows)
    return f"{table}\n\nMeasuring a frame of {frame.shape} takes {ratio:.2f} times as long as segmenting it."


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor, which others at work on the machine hardly change."""
    start = time.process_time()
    work()
    return time.process_time() - start


TABLES: dict[str, Callable[[], str]] = {
    "tubes": tubes,
    "anisotropic": lambda: tubes(anisotropic=True),
    "curves": curves,
    "volumes": volumes,
    "trees": trees,
    "stenoses": stenoses,
    "cost": cost,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", choices=list(TABLES))
    for name in parser.parse_args().tables:
        print(f"\n{name}\n\n{TABLES[name]()}")


if __name__ == "__main__":
    main()
