"""The curves of a run, and how much of them has been told."""

from collections.abc import Iterable, Mapping

from hpsearch.records import Points, Series

Curves = dict[str, tuple[list[int], list[float]]]


class History:
    """Curves by metric name: (steps, values), growing at the end."""

    def __init__(self, curves: Mapping[str, tuple[list[int], list[float]]] | None = None) -> None:
        """`curves` are an earlier run's: they count as told."""
        self.curves: Curves = {name: (list(s), list(v)) for name, (s, v) in (curves or {}).items()}
        self._told = {name: len(steps) for name, (steps, _) in self.curves.items()}

    def add(self, name: str, step: int, value: float) -> None:
        steps, values = self.curves.setdefault(name, ([], []))
        steps.append(step)
        values.append(value)

    def add_once(self, name: str, step: int, value: float) -> None:
        """Add it unless the curve has a value at this step already."""
        steps = self.curves.get(name, ([], []))[0]
        if not steps or steps[-1] != step:
            self.add(name, step, value)

    def extend(self, name: str, steps: Iterable[int], values: Iterable[float]) -> None:
        curve = self.curves.setdefault(name, ([], []))
        curve[0].extend(steps)
        curve[1].extend(values)

    def values(self, name: str) -> list[float]:
        return self.curves[name][1] if name in self.curves else []

    def last(self) -> dict[str, float]:
        return {name: values[-1] for name, (_, values) in self.curves.items() if values}

    def untold_count(self) -> int:
        return sum(len(steps) - self._told.get(name, 0) for name, (steps, _) in self.curves.items())

    def untold(self) -> Series:
        """The stretches added since the last call; they count as told now."""
        series: Series = {}
        for name, (steps, values) in self.curves.items():
            start = self._told.get(name, 0)
            if start < len(steps):
                series[name] = Points(steps=tuple(steps[start:]), values=tuple(values[start:]))
                self._told[name] = len(steps)
        return series
