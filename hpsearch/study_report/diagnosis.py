"""One trial's diagnosis as a card: verdict, remedy, what the probe changed, evidence."""

from html import escape
from typing import Any

from hpsearch.diagnosis import Cure, TrialDiagnosis
from hpsearch.study_report import words
from hpsearch.study_report.evidence import evidence_table
from hpsearch.vocabulary import VerdictCode


def diagnosis_card(found: TrialDiagnosis, title: str) -> str:
    """HTML of the card; every word that came from a user is escaped."""
    passed = found.verdict is VerdictCode.OK
    css, mark = ("passed", "✓") if passed else ("warned", "!")
    if found.verdict is VerdictCode.NOT_ENOUGH_EVIDENCE:
        css, mark = "", "?"
    stretch = (
        "" if found.segment is None else f" It speaks of steps {found.segment[0]} to {found.segment[1]}."
    )
    note = f"{found.note[:1].upper()}{found.note[1:]}." if found.note else ""
    told = f'<p class="facts">{escape(f"{note}{stretch}".strip())}</p>' if note or stretch else ""
    return (
        f'<section class="card {css}" id="diagnosis-{found.trial_id}"><h2>{escape(title)} '
        f'<span class="mark">{mark}</span><span class="aside"><code title="verdict">{escape(found.verdict)}</code> '
        f"confidence {found.confidence:.2f}, {words.how_sure(found)}</span></h2>"
        f'<p class="verdict">{escape(found.text)}</p>{_remedy(found.remedy)}'
        f'<div class="figures-row">{_proof(found.probe)}{evidence_table(found.evidence)}</div>{told}</section>'
    )


def _remedy(remedy: Cure | None) -> str:
    if remedy is None:
        return ""
    tries = "; ".join(words.worth_trying(remedy))
    return f'<p class="remedy"><b>What next</b> {escape(remedy.text + (f" ({tries})" if tries else ""))}</p>'


def _proof(probe: dict[str, Any] | None) -> str:
    """The pair that proves the verdict: the run, and the same run with one thing changed."""
    if not probe:
        return ""
    metric, changed, how_long = words.proof(probe)
    return (
        f'<div class="proof"><table><caption>The probe: the same run, one thing changed</caption>'
        f"<thead><tr><th>run</th><th>{escape(metric)}</th></tr></thead><tbody>"
        f'<tr><td>this run</td><td class="number">{escape(words.number(probe.get("before")))}</td></tr>'
        f'<tr><td>with {escape(changed)}</td><td class="number"><b>{escape(words.number(probe.get("after")))}</b></td></tr>'
        f'</tbody></table><p class="facts">{escape(how_long)}</p></div>'
    )
