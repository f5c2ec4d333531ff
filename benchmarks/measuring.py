"""How exact `napari_darl.measure` and `stenosis` are, on drawings whose geometry is known.

    python benchmarks/measuring.py tubes anisotropic curves volumes trees stenoses cost

Prints a Markdown table for each. All is drawn from exact radii: a pixel is vessel if its centre is.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, map_coordinates
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

import napari_darl
from napari_darl.evaluation.report import markdown_table
from napari_darl.samples import sample_angiogram
from napari_darl.synthetic.phantom import render
from napari_darl.synthetic.raster import Segments, rasterise
from napari_darl.synthetic.trees import TreeConfig, tree_segments

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ANGLES = 24
WIDTHS = (3, 4, 5, 6, 8, 10, 12, 16, 20, 25)


def polyline(points: Floats, radius: Floats | float) -> Segments:
    """Pieces of vessel along points (N, 2), of one radius or one at each point."""
    radii = np.broadcast_to(np.asarray(radius, np.float64), len(points))
    count = len(points) - 1
    return Segments(
        start=points[:-1],
        end=points[1:],
        radius=np.stack([radii[:-1], radii[1:]], axis=1),
        layer=np.zeros(count, np.int64),
        share=np.ones(count),
        arrival=np.zeros(count),
    )


def drawn(points: Floats, radius: Floats | float, shape: tuple[int, int]) -> Mask:
    """Mask of a vessel along points, rounded off at its ends."""
    return rasterise(shape, polyline(points, radius), outline=1).mask


def turned(curve: Floats, angle: float, middle: Floats) -> Floats:
    """Turn a curve by an angle, and shift it so that `middle` is in its middle."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = curve @ turn.T
    return points - (points.max(axis=0) + points.min(axis=0)) / 2 + middle


def tubes(anisotropic: bool = False) -> str:
    """Straight tubes at 24 angles and random offsets."""
    rng = np.random.default_rng(0)
    size = np.array([0.25, 0.1]) if anisotropic else np.ones(2)
    unit = size.min()
    rows = []
    for width in WIDTHS:
        diameter, length, bent, pieces = [], [], [], 0
        for turn in range(ANGLES):
            angle = np.pi * (turn + 0.5) / ANGLES
            course = np.array([[0.0, 0.0], [0.0, 120.0]])
            points = turned(course, angle, 90 + rng.uniform(0, 1, 2)) * unit
            if anisotropic:
                mask = tube_in_space(points, width * unit / 2, (90, 200), size)
            else:
                mask = drawn(points, width / 2, (200, 200))
            found = napari_darl.measure(mask, pixel_size=tuple(size)).segments
            pieces += len(found["length"])
            longest = int(found["length"].argmax())
            diameter.append(found["diameter"][longest] / unit - width)
            length.append(100 * (found["length"][longest] / unit / (120 + width) - 1))
            bent.append(found["tortuosity"][longest] - 1)
        worst = np.abs(diameter)
        rows.append(
            (
                width,
                f"{pieces / ANGLES:.2f}",
                f"{np.mean(diameter):+.3f}",
                f"{np.std(diameter):.3f}",
                f"{worst.max():.2f}",
                f"{np.mean(length):+.2f}",
                f"{np.abs(length).max():.2f}",
                f"{np.max(bent):.4f}",
            )
        )
    heads = (
        "width, px",
        "segments",
        "diameter, mean error",
        "sd",
        "worst",
        "length, mean error, %",
        "worst",
        "arc/chord - 1, worst",
    )
    return markdown_table(heads, rows)


def tube_in_space(points: Floats, radius: float, shape: tuple[int, ...], size: Floats) -> Mask:
    """Mask of a tube along points in units of length, on pixels of any size and in any number of dimensions."""
    steps = np.linspace(0, 1, 2001)[:, None]
    if len(points) == 2:
        points = points[:1] * (1 - steps) + points[1:] * steps
    places = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) * size
    distance = cKDTree(points).query(places.reshape(-1, len(shape)), distance_upper_bound=2 * radius)[0]
    return (distance < radius).reshape(shape)


def curves() -> str:
    """Arcs and sine waves of known length and curvature."""
    rng = np.random.default_rng(0)
    rows = []
    for width in (3, 5, 8, 12, 16):
        for name, curve in _courses(width):
            steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
            length, bend = [], []
            for _ in range(12):
                points = turned(curve, rng.uniform(0, 2 * np.pi), 200 + rng.uniform(0, 1, 2))
                found = napari_darl.measure(drawn(points, width / 2, (400, 400))).segments
                longest = int(found["length"].argmax())
                length.append(100 * (found["length"][longest] / (steps.sum() + width) - 1))
                bend.append(100 * (found["curvature"][longest] / _curvature(curve, steps, width) - 1))
            rows.append(
                (
                    name,
                    width,
                    *(
                        f"{v:{s}.2f}"
                        for v, s in (
                            (np.mean(length), "+"),
                            (np.abs(length).max(), ""),
                            (np.mean(bend), "+"),
                            (np.std(bend), ""),
                            (np.abs(bend).max(), ""),
                        )
                    ),
                )
            )
    heads = ("course", "width, px", "length, mean error, %", "worst", "curvature, mean error, %", "sd", "worst")
    return markdown_table(heads, rows)


def _courses(width: float) -> Iterator[tuple[str, Floats]]:
    """Courses that a vessel of this width can take: radii of curvature of three widths or more."""
    for radius in (40, 80, 150):
        if radius >= 3 * width:
            angle = np.linspace(0, min(1.2 * np.pi, 300 / radius), 600)
            yield f"arc, radius {radius}", radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    for wave, height in ((60, 6), (80, 10), (120, 20), (150, 10)):
        if (wave / (2 * np.pi)) ** 2 / height >= 2 * width:
            x = np.linspace(0, 300, 1201)
            yield f"sine, wave {wave}, height {height}", np.stack([height * np.sin(2 * np.pi * x / wave), x], axis=1)


def _curvature(curve: Floats, steps: Floats, width: float) -> float:
    """Root mean square curvature of the part that `measure` looks at: all but half a width before the ends."""
    first = np.gradient(curve, axis=0)
    second = np.gradient(first, axis=0)
    speed = np.linalg.norm(first, axis=1)
    bent = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    arc = np.concatenate([[0], np.cumsum(steps)])
    inner = (arc > 3) & (arc < arc[-1] - 3)
    return float(np.sqrt((bent[inner] ** 2 * speed[inner]).sum() / speed[inner].sum()))


def volumes() -> str:
    """Straight tubes and helices in volumes, with cubic voxels and with flat ones."""
    rng = np.random.default_rng(0)
    rows = []
    for size in (np.ones(3), np.array([2.0, 1.0, 1.0])):
        for width in (4, 6, 8, 12):
            for name in ("straight", "helix"):
                diameter, length = [], []
                for _ in range(6):
                    points, true = _space_curve(name, rng)
                    shape = tuple(np.ceil(np.array([90, 90, 90]) / size).astype(int))
                    mask = tube_in_space(points, width / 2, shape, size)
                    found = napari_darl.measure(mask, pixel_size=tuple(size)).segments
                    longest = int(found["length"].argmax())
                    diameter.append(100 * (found["diameter"][longest] / width - 1))
                    length.append(100 * (found["length"][longest] / (true + width) - 1))
                rows.append(
                    (
                        name,
                        "x".join(f"{s:g}" for s in size),
                        width,
                        *(
                            f"{v:{s}.2f}"
                            for v, s in (
                                (np.mean(diameter), "+"),
                                (np.abs(diameter).max(), ""),
                                (np.mean(length), "+"),
                                (np.abs(length).max(), ""),
                            )
                        ),
                    )
                )
    heads = ("course", "voxel", "width", "diameter, mean error, %", "worst", "length, mean error, %", "worst")
    return markdown_table(heads, rows)


def _space_curve(name: str, rng: np.random.Generator) -> tuple[Floats, float]:
    if name == "straight":
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        points = 45 + rng.uniform(-0.5, 0.5, 3) + np.linspace(-30, 30, 2001)[:, None] * direction
    else:
        turn = np.linspace(0, 3 * np.pi, 4001)
        spiral = np.stack([4 * turn, 22 * np.sin(turn), 22 * np.cos(turn)], axis=1)
        points = spiral - spiral.mean(axis=0) + 45 + rng.uniform(-0.5, 0.5, 3)
        points = points[:, rng.permutation(3)]
    return points, float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def trees() -> str:
    """Pseudo-mask trees: branch points, lengths and diameters beside the geometry they were drawn from."""
    rows = []
    for name, crossing in (("no vessels cross", False), ("vessels cross", True)):
        truths = list(_tree_truths(crossing))
        counts, widths, total = np.zeros(4), [], np.zeros(3)
        for mask, tree in truths:
            found = napari_darl.measure(mask)
            skan = _skan_length(mask)  # and the distance transform that `_width_errors` looks up
            nodes = np.stack([found.branch_points["y"], found.branch_points["x"]], axis=1)
            known = np.concatenate([tree.forks, tree.crossings])
            counts += (
                len(tree.seen),
                (cKDTree(nodes).query(tree.seen)[0] <= 3).sum(),
                len(nodes),
                (cKDTree(known).query(nodes)[0] <= 3).sum(),
            )
            widths += _width_errors(found, tree)
            total += tree.length, found.summary["length"], skan
        error = np.array(widths)
        rows.append(
            (
                name,
                f"{len(truths)}",
                f"{counts[0]:.0f}",
                f"{counts[1] / counts[0]:.3f}",
                f"{counts[3] / counts[2]:.3f}",
                f"{100 * (total[1] / total[0] - 1):+.1f}",
                f"{100 * (total[2] / total[0] - 1):+.1f}",
                f"{error[:, 0].mean():+.2f} ({error[:, 0].std():.2f})",
                f"{error[:, 1].mean():+.2f} ({error[:, 1].std():.2f})",
            )
        )
    heads = (
        "drawings",
        "number",
        "branch points",
        "recall",
        "precision",
        "length, %",
        "skan's, %",
        "diameter",
        "2 x distance",
    )
    return markdown_table(heads, rows)


@dataclass(frozen=True)
class Tree:
    """What was drawn: forks, those of them whose branches stick out, crossings, and points with their radii."""

    forks: Floats
    seen: Floats
    crossings: Floats
    points: Floats
    radii: Floats
    length: float


def _tree_truths(crossing: bool) -> Iterator[tuple[Mask, Tree]]:
    """Draw 20 trees in which vessels cross, or don't: a mask without crossing has no hole either."""
    number = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        segments = tree_segments((512, 512), rng, TreeConfig(trees=(1, 1), side_branches=4), 1.0)
        mask = rasterise((512, 512), segments, outline=1).mask
        tree = _geometry(segments, mask.shape)
        holes = label(~np.pad(mask, 1))[1] - 1
        if len(tree.seen) < 2 or (len(tree.crossings) + holes > 0) != crossing:
            continue
        yield mask, tree
        number += 1
        if number == 20:
            return


def _geometry(segments: Segments, shape: tuple[int, ...]) -> Tree:
    """Find forks and crossings of drawn segments.

    A fork is seen if two of its branches are longer than the vessel is wide there, by 2 px.
    """
    corners = np.concatenate([segments.start, segments.end])
    points, number = np.unique(np.round(corners, 4), axis=0, return_inverse=True)
    radii = np.zeros(len(points))
    np.maximum.at(radii, number, np.concatenate(segments.radius.T))
    count = len(segments.start)
    pieces = np.unique(np.stack([number[:count], number[count:]], axis=1), axis=0)
    inside = ((points > 0) & (points < np.array(shape) - 1)).all(axis=1)
    after: dict[int, list[int]] = defaultdict(list)
    for one, other in pieces.tolist():
        after[one].append(other)
    depth = np.zeros(len(points))
    for place in reversed(_from_the_roots(pieces, after)):
        steps = [depth[n] + np.linalg.norm(points[n] - points[place]) if inside[n] else 0.0 for n in after[place]]
        depth[place] = max([0.0, *steps])
    forks = [place for place, others in after.items() if len(others) > 1 and inside[place]]
    seen = []
    for place in forks:
        lengths = sorted(depth[n] + np.linalg.norm(points[n] - points[place]) for n in after[place])
        if lengths[-2] > 2 * radii[place] + 2:
            seen.append(place)
    kept = inside[pieces].all(axis=1)
    length = np.linalg.norm(points[pieces[kept, 0]] - points[pieces[kept, 1]], axis=1).sum()
    used = np.unique(pieces[kept])
    return Tree(points[forks], points[seen], _crossings(points, pieces), points[used], radii[used], float(length))


def _from_the_roots(pieces: NDArray[np.int64], after: dict[int, list[int]]) -> list[int]:
    """Order points so that each comes after the one that leads to it."""
    waiting, order = list(set(pieces[:, 0].tolist()) - set(pieces[:, 1].tolist())), []
    while waiting:
        order.append(waiting.pop())
        waiting += after[order[-1]]
    return order


def _crossings(points: Floats, pieces: NDArray[np.int64]) -> Floats:
    """Places where pieces that share no point cross."""
    start, along = points[pieces[:, 0]], points[pieces[:, 1]] - points[pieces[:, 0]]
    one, other = np.triu_indices(len(pieces), 1)
    near = np.linalg.norm(start[one] - start[other], axis=1) < 8
    one, other = one[near], other[near]
    apart = ~(pieces[one][:, :, None] == pieces[other][:, None]).any(axis=(1, 2))
    one, other = one[apart], other[apart]

    def cross(a: Floats, b: Floats) -> Floats:
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    with np.errstate(divide="ignore", invalid="ignore"):
        gap, whole = start[other] - start[one], cross(along[one], along[other])
        first, second = cross(gap, along[other]) / whole, cross(gap, along[one]) / whole
        meet = (first >= 0) & (first <= 1) & (second >= 0) & (second <= 1)
    return np.asarray(start[one[meet]] + first[meet, None] * along[one[meet]])


def _width_errors(found: napari_darl.Morphometry, tree: Tree) -> list[tuple[float, float]]:
    """Errors of each segment's diameter and of 2 x the distance transform, beside twice the mean radius drawn there."""
    lookup = cKDTree(tree.points)
    errors = []
    for path, diameter, depth in zip(found.paths, found.segments["diameter"], _depths(found), strict=True):
        inner = path[len(path) // 4 : -(len(path) // 4) or None]
        apart, nearest = lookup.query(inner)
        if len(path) > 30 and apart.max() < 2:
            true = 2 * tree.radii[nearest].mean()
            errors.append((float(diameter - true), float(2 * depth - true)))
    return errors


def _depths(found: napari_darl.Morphometry) -> list[float]:
    """Mean distance transform along the middle half of each path, as most tools take it."""
    return [
        float(map_coordinates(_DISTANCE[0], path[len(path) // 4 : -(len(path) // 4) or None].T.round(), order=0).mean())
        for path in found.paths
    ]


_DISTANCE: list[Floats] = []


def _skan_length(mask: Mask) -> float:
    """Length of all branches by skan, where it is installed."""
    _DISTANCE[:] = [distance_transform_edt(mask)]
    try:
        from skan import Skeleton, summarize
    except ImportError:
        return float("nan")
    branches = summarize(Skeleton(skeletonize(mask)), separator="-")  # type: ignore[no-untyped-call]
    return float(branches["branch-distance"].sum())


def stenoses() -> str:
    """Lesions in masks, in clean renderings and in noisy ones."""
    rng = np.random.default_rng(0)
    rows = []
    for width in (8, 10, 12, 16, 20, 25):
        for percent in (25, 50, 75):
            errors: dict[str, list[float]] = defaultdict(list)
            for _ in range(24):
                for name, found in _lesion(width, percent, rng):
                    errors[name].append(found - percent)
            cells = []
            for name in ("mask", "clean", "noisy"):
                error = np.array(errors[name])
                within = 100 * np.mean(np.abs(error) <= (8 if name == "noisy" else 4))
                cells += [f"{error.mean():+.1f}", f"{1.96 * error.std():.1f}", f"{within:.0f}"]
            rows.append((f"{width}", f"{percent}", *cells))
    heads = ["width, px", "stenosis, %"]
    for name, limit in (("mask", 4), ("clean image", 4), ("noisy image", 8)):
        heads += [f"{name}: bias", "+/-", f"within {limit}, %"]
    return markdown_table(heads, rows)


def _lesion(width: int, percent: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Draw a tapering, bent vessel with a lesion of 1.5 to 3 widths; measure it in its mask and in two renderings."""
    along = np.linspace(0, 140, 281)
    length = rng.uniform(1.5, 3) * width
    place = np.clip((along - 70) / (length / 2), -1, 1)
    depth = percent / 100 * (1 + np.cos(np.pi * place)) / 2
    radius = width / 2 * (1 - 0.1 * (along - 70) / 140) * (1 - depth)
    course = np.stack([6 * np.sin(along / 140 * np.pi), along], axis=1)
    points = turned(course, rng.uniform(0, 2 * np.pi), 96 + rng.uniform(0, 1, 2))
    start, end = points[20], points[-20]
    whole = drawn(points, radius, (192, 192))
    yield "mask", napari_darl.stenosis(whole, start, end).percent_diameter
    shown = rasterise((192, 192), polyline(points, radius))
    tissue = gaussian_filter(rng.normal(size=(192, 192)), 20)
    background = (0.15 * tissue / tissue.std()).astype(np.float32)
    clean = render(background, shown.thickness, absorption=0.03)
    yield "clean", napari_darl.stenosis(shown.mask, start, end, clean).percent_diameter
    noisy = clean + 0.05 * 1.7 * gaussian_filter(rng.standard_normal(clean.shape), 0.5)  # as a phantom's
    yield "noisy", napari_darl.stenosis(shown.mask, start, end, noisy).percent_diameter


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
