"""Measure how much of what a model marks lies in the dark surround of frames, as collimators and cameras leave it.

    python benchmarks/surround.py ../data/arcade_more/images --every 24 [--model default]

Prints the share of all marked pixels outside of the field of view, over all frames and at most in one, once with a
region of all pixels and once as frames are segmented; and how many frames are said to have a surround.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from napari_darl import load_model, segment
from napari_darl.evaluation.report import markdown_table
from napari_darl.frames.channels import as_grey
from napari_darl.frames.field_of_view import find_field_of_view, without_surround
from napari_darl.io.images import image_paths, read_image


def main() -> None:
    """Segment the frames of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    counts, surrounds = [], 0
    for path in tqdm(image_paths(arguments.folder)[:: arguments.every]):
        frame = as_grey(read_image(path)).data
        seen = find_field_of_view(frame)
        surrounds += without_surround(frame) is not None
        masks = segment(frame, model, region=np.ones(frame.shape)) > 0, segment(frame, model) > 0
        counts.append([(np.sum(mask & ~seen), np.sum(mask)) for mask in masks])
    outside, marked = np.moveaxis(np.array(counts), -1, 0)
    rows = [
        (name, f"{100 * share:.1f}", f"{100 * most:.1f}")
        for name, share, most in zip(
            ("everything", "as segmented"),
            outside.sum(axis=0) / marked.sum(axis=0),
            (outside / np.maximum(marked, 1)).max(axis=0),
            strict=True,
        )
    ]
    print(f"{surrounds} of {len(counts)} frames have a surround.\n")
    print(markdown_table(("region", "marked outside, %", "at most, %"), rows))


if __name__ == "__main__":
    main()
