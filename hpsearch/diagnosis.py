"""What a diagnosis answers, of a trial, a log or a task alike: verdict, evidence, proof and remedy."""

from typing import Any, Literal

from pydantic import Field

from hpsearch.records import Evidence, Number, Record, Remedy, TrialId, Verdict
from hpsearch.space import Params, ParamValue
from hpsearch.vocabulary import VerdictCode


class Cure(Record):
    """What to do: in words, as a new value for each knob, and as all values that are worth a try."""

    text: str
    changes: Params = {}
    grid: dict[str, list[ParamValue]] = {}

    @classmethod
    def of(cls, remedy: Remedy) -> "Cure":
        grid = {name: list(values) for name, values in remedy.changes.items() if values}
        return cls(text=remedy.text, changes={name: values[0] for name, values in grid.items()}, grid=grid)


class Diagnosis(Record):
    """One run judged.

    `passive`: from its curves alone, without a probe; `note` then says what would prove it. `cost`: steps
    that the judgement trained, by kind. `columns`: of a log, metric -> the column it was read from.
    `warnings`: what was odd about the input, counted.
    """

    verdict: VerdictCode
    confidence: float = Field(ge=0, le=1)
    text: str
    evidence: tuple[Evidence, ...] = ()
    segment: tuple[int, int] | None = None
    probe: dict[str, Any] | None = None
    remedy: Cure | None = None
    alternatives: tuple[VerdictCode, ...] = ()
    cost: dict[str, Number] = {}
    passive: bool
    note: str = ""
    warnings: tuple[str, ...] = ()
    columns: dict[str, str] = {}

    @classmethod
    def of(cls, verdict: Verdict, *, cost: dict[str, Number], note: str | None = None) -> "Diagnosis":
        """A verdict with what it cost. `note`: of a passive one, what would prove it."""
        return cls(
            verdict=verdict.code,
            confidence=verdict.confidence,
            text=verdict.text,
            evidence=verdict.evidence,
            segment=verdict.segment,
            probe=verdict.probe,
            remedy=None if verdict.remedy is None else Cure.of(verdict.remedy),
            alternatives=verdict.alternatives,
            cost=cost,
            passive=note is not None,
            note=note or "",
        )

    @classmethod
    def passively(cls, verdict: Verdict, note: str) -> "Diagnosis":
        """A verdict that no probe has confirmed."""
        return cls.of(verdict, cost={"probe_steps": 0.0}, note=note)


class TrialDiagnosis(Diagnosis):
    """A stored trial judged.

    `state`: `running` while probes are under way, `open_probes` of them; what is said meanwhile is passive.
    `examination`: name of the study that these probes are trials of, where there is one. `provable`: asked for,
    probes would be trained.
    """

    trial_id: TrialId
    number: int
    state: Literal["running", "ended"] = "ended"
    open_probes: int = 0
    examination: str | None = None
    provable: bool = False


class AskDiagnosis(Record):
    """`probes`: prove the verdict by short experiments, which workers train; False judges by the curves alone."""

    probes: bool = True


class DiagnosisList(Record):
    """The trials of a study whose verdict was proved on request, in the order they were asked for."""

    diagnoses: tuple[TrialDiagnosis, ...]
