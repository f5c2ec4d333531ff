"""Losses of a run, thinned as it grows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_MOST = 300  # points of a curve


@dataclass
class _Point:
    """Sums over steps that follow each other."""

    count: int = 0
    step: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    def add(self, count: int, step: float, losses: Mapping[str, float]) -> None:
        self.count += count
        self.step += step
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + value


class LossHistory:
    """Curves of at most some hundred points, each a mean over as many steps as that takes."""

    def __init__(self) -> None:
        self._points: list[_Point] = []
        self._width = 1

    def add(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Take further steps in: pairs of the step and its losses by name."""
        for step, losses in rows:
            if not self._points or self._points[-1].count == self._width:
                self._points.append(_Point())
            self._points[-1].add(1, step, losses)
            if len(self._points) > _MOST:
                self._thin()

    def names(self) -> list[str]:
        """List the losses that there are."""
        return list(self._points[0].losses) if self._points else []

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Give the steps and the values of a loss."""
        known = [point for point in self._points if name in point.losses]
        return [point.step / point.count for point in known], [point.losses[name] / point.count for point in known]

    def _thin(self) -> None:
        pairs, self._points = self._points, []
        self._width *= 2
        for first in range(0, len(pairs), 2):
            merged = _Point()
            for point in pairs[first : first + 2]:
                merged.add(point.count, point.step, point.losses)
            self._points.append(merged)
