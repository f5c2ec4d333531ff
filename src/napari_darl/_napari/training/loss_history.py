"""Losses of a run, averaged over more steps the longer it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_MAX_POINTS = 300


@dataclass
class _Point:
    """Sums over consecutive steps."""

    count: int = 0
    step: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    def add(self, count: int, step: float, losses: Mapping[str, float]) -> None:
        self.count += count
        self.step += step
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + value


class LossHistory:
    """Curves of a few hundred points, however long the run.

    Each point is the mean over a number of consecutive steps. When there are too many points, neighbours are merged in
    pairs, and each further point spans twice as many steps.
    """

    def __init__(self) -> None:
        self._points: list[_Point] = []
        self._width = 1

    def add(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Add further steps, each with its losses by name."""
        for step, losses in rows:
            if not self._points or self._points[-1].count == self._width:
                self._points.append(_Point())
            self._points[-1].add(1, step, losses)
            if len(self._points) > _MAX_POINTS:
                self._merge_pairs()

    def names(self) -> list[str]:
        """Return the names of all losses."""
        return list(self._points[0].losses) if self._points else []

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Return the steps and the values of a loss."""
        known = [point for point in self._points if name in point.losses]
        return [point.step / point.count for point in known], [point.losses[name] / point.count for point in known]

    def _merge_pairs(self) -> None:
        pairs, self._points = self._points, []
        self._width *= 2
        for first in range(0, len(pairs), 2):
            merged = _Point()
            for point in pairs[first : first + 2]:
                merged.add(point.count, point.step, point.losses)
            self._points.append(merged)
