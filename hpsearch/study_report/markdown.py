"""A study as Markdown: answer, verdicts and evidence, without pictures."""

import re
from collections.abc import Sequence

from hpsearch.diagnosis import TrialDiagnosis
from hpsearch.records import Best, Evidence, Stage, Study, Trial
from hpsearch.study_report import words

ROWS = 100


def to_markdown(
    study: Study,
    stages: Sequence[Stage],
    trials: Sequence[Trial],
    best: Sequence[Best],
    diagnoses: Sequence[TrialDiagnosis] = (),
) -> str:
    """The report as Markdown text; users' words are escaped."""
    parts = [f"# {_plain(study.name)}", _facts(study), *_answer(study, best)]
    parts += [_stage(stage) for stage in sorted(stages, key=lambda s: s.position)]
    parts += [_diagnosis(found) for found in diagnoses]
    parts.append(_trials(study, trials))
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(study: Study) -> str:
    reason = f": {_plain(study.reason)}" if study.reason else ""
    return f"{_plain(words.task_text(study))}, {study.method}, {study.state}{reason}. {words.trial_counts(study)}."


def _answer(study: Study, best: Sequence[Best]) -> list[str]:
    if not best:
        return ["No trial has a value."]
    winner = best[0]
    seeds = f" over {winner.replicates} seeds" if winner.replicates > 1 else ""
    parts = [f"**{_plain(words.headline(study, winner))}**{seeds}"]
    rows = [(name, words.value_text(value)) for name, value in winner.params.items()]
    rows += [(n, words.number(v)) for n, v in winner.metrics.items() if n.startswith("test_")]
    parts.append(_table(("", ""), rows))
    if winner.ties:
        ties = [
            f"- trial {t.number}: {words.number(t.value)} ({_plain(words.params_text(t.params))})"
            for t in winner.ties
        ]
        parts.append("Within its noise:\n\n" + "\n".join(ties))
    return parts


def _stage(stage: Stage) -> str:
    number, name = words.title(stage)
    parts = [f"## {number} {name} {words.MARKS[stage.state]}"]
    if stage.verdict is not None:
        parts.append(_plain(stage.verdict.text))
        if stage.verdict.remedy is not None:
            parts.append(f"**Remedy:** {_plain(stage.verdict.remedy.text)}")
        parts += _evidence(stage.verdict.evidence)
    return "\n\n".join(parts)


def _diagnosis(found: TrialDiagnosis) -> str:
    parts = [f"## Trial {found.number}, diagnosed: {found.verdict}", _plain(found.text)]
    if found.remedy is not None:
        tries = "".join(f"; {text}" for text in words.worth_trying(found.remedy))
        parts.append(f"**Remedy:** {_plain(found.remedy.text + tries)}")
    if found.probe:
        metric, changed, how_long = words.proof(found.probe)
        pair = f"{words.number(found.probe.get('before'))} → {words.number(found.probe.get('after'))}"
        parts.append(f"**Probe:** with {_plain(changed)}, {_plain(metric)} {pair}, {_plain(how_long)}")
    return "\n\n".join([*parts, *_evidence(found.evidence)])


def _evidence(evidence: Sequence[Evidence]) -> list[str]:
    rows = [(e.name, words.number(e.value), e.threshold, words.mark(e), e.text) for e in evidence]
    return [_table(("evidence", "value", "threshold", "ok", ""), rows)] if rows else []


def _trials(study: Study, trials: Sequence[Trial]) -> str:
    shown = sorted(trials, key=lambda t: t.number)[:ROWS]
    total = sum(study.trial_counts.values())
    rows = [
        (str(t.number), t.role, t.state, words.number(t.value), words.params_text(t.params)) for t in shown
    ]
    said = f"Showing {len(shown)} of {total}.\n\n" if len(shown) < total else ""
    return f"## Trials\n\n{said}" + _table(("#", "role", "state", study.objective_metric, "params"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(_plain(cell) if i != 1 else cell for cell in row) + " |"
        for i, row in enumerate(lines)
    )


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(str(text).split()))
