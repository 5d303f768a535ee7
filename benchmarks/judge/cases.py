"""What is judged: a healthy twin, the same with a fault, and healthy variants that must raise no alarm."""

from dataclasses import dataclass, field
from typing import Literal

from benchmarks.judge.faults import Change, Fault, Part
from benchmarks.judge.subject import Subject
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

Kind = Literal["fault", "easy", "irreducible"]


@dataclass(frozen=True)
class Twin:
    """A healthy run: the task's class and hyperparameters that suit it."""

    name: str
    kind: type[Subject]
    params: Params

    def having(self, name: str, *planted: Change | Part) -> "Twin":
        """Another healthy twin: changed hyperparameters, or a class with other parts."""
        params, parts = self.params, []
        for change in planted:
            if isinstance(change, type):
                parts.append(change)
            else:
                params = change(params)
        kind = type(self.kind.__name__, (*parts, self.kind), {}) if parts else self.kind
        return Twin(f"{self.name}, {name}", kind, params)


@dataclass(frozen=True)
class Case:
    """One thing to judge under several seeds. `name` is unique in its suite."""

    twin: Twin
    kind: Kind
    fault: Fault | None = None

    @property
    def name(self) -> str:
        return self.twin.name if self.fault is None else f"{self.twin.name}: {self.fault.name}"

    @property
    def family(self) -> str:
        return self.kind if self.fault is None else self.fault.family

    @property
    def accept(self) -> frozenset[VerdictCode]:
        return frozenset({VerdictCode.OK}) if self.fault is None else self.fault.accept

    @property
    def params(self) -> Params:
        return self.twin.params if self.fault is None else self.fault.params(self.twin.params)

    def task(self) -> Subject:
        kind = self.twin.kind if self.fault is None else self.fault.kind(self.twin.kind)
        return kind()


@dataclass(frozen=True)
class Suite:
    """Cases and the seeds they are judged under; under `more_seeds` they are only trained, to see what hurts."""

    name: str
    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    more_seeds: tuple[int, ...] = ()
    by_name: dict[str, Case] = field(init=False)

    def __post_init__(self) -> None:
        named = {case.name: case for case in self.cases}
        assert len(named) == len(self.cases), "two cases have the same name"
        object.__setattr__(self, "by_name", named)
