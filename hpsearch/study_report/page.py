"""A study as one self-contained HTML page: no script, no link to anywhere, pictures inline."""

from collections.abc import Mapping, Sequence
from html import escape

from hpsearch.diagnosis import TrialDiagnosis
from hpsearch.records import Best, Stage, Study, StudyState, Trial
from hpsearch.study_report import words
from hpsearch.study_report.diagnosis import diagnosis_card
from hpsearch.study_report.evidence import evidence_table
from hpsearch.study_report.pictures import Album, pictures
from hpsearch.study_report.style import STYLE
from hpsearch.wire import CurveList

CURVES = ("loss", "train_loss", "val_loss", "train_accuracy", "val_accuracy")  # what a report draws
ROWS = 500


def report(
    study: Study,
    stages: Sequence[Stage],
    trials: Sequence[Trial],
    curves: Mapping[str, CurveList],
    best: Sequence[Best],
    diagnoses: Sequence[TrialDiagnosis] = (),
) -> str:
    """The study as an HTML document.

    `curves` holds, by metric (those of CURVES that there are), trials' curves of some 200 points; `best` the
    winner first; `diagnoses` what
    probes have proved of single trials. Every word that came from a user is escaped.
    """
    ordered = sorted(stages, key=lambda stage: stage.position)
    album = Album(
        stages=ordered,
        trials={trial.id: trial for trial in trials},
        curves={
            m: {c.trial_id: c.series[m] for c in listed.curves if m in c.series}
            for m, listed in curves.items()
        },
    )
    body = "".join(
        (
            header(study),
            answer(study, best),
            rail(ordered),
            *(card(s, album) for s in ordered),
            *(diagnosis_card(d, f"Trial {d.number}, diagnosed") for d in diagnoses),
            _trials(study, trials),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(study.name)} – hpsearch report</title><style>{STYLE}</style></head>"
        f"<body><main>{body}{_footer(study)}</main></body></html>\n"
    )


def header(study: Study) -> str:
    """Name, state and what was trained."""
    css = "reason" if study.state is StudyState.FAILED else "facts"
    reason = f'<p class="{css}">{escape(study.reason)}</p>' if study.reason else ""
    description = study.spec.get("description")
    told = f"<p>{escape(str(description))}</p>" if description else ""
    return (
        f'<header><h1>{escape(study.name)} <span class="pill {escape(study.state)}">{escape(study.state)}</span></h1>'
        f'<p class="facts">{escape(words.task_text(study))} · {escape(study.method)} · {escape(words.trial_counts(study))}</p>'
        f"{told}{reason}</header>"
    )


def answer(study: Study, best: Sequence[Best]) -> str:
    """The winner's value with its error, its params and its ties."""
    if not best:
        return '<section class="answer"><p>No trial has a value.</p></section>'
    winner = best[0]
    seeds = (
        f"mean of {winner.replicates} seeds, ± one standard error" if winner.replicates > 1 else "one seed"
    )
    error = f"<small>{words.error_text(winner.standard_error)}</small>"
    tests = "".join(
        f'<div class="figure"><b>{words.number(value)}</b><span>{escape(name)}</span></div>'
        for name, value in winner.metrics.items()
        if name.startswith("test_")
    )
    params = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(words.value_text(value))}</dd></div>"
        for name, value in winner.params.items()
    )
    return (
        '<section class="answer"><div class="figures">'
        f'<div class="figure main"><b>{words.number(winner.value)}{error}</b>'
        f"<span>{escape(study.objective_metric)}, {seeds}</span></div>{tests}</div>"
        f'<dl class="params">{params}</dl>{_ties(winner)}</section>'
    )


def _ties(winner: Best) -> str:
    if not winner.ties:
        return ""
    rows = "".join(
        f"<tr><td>#{tie.number}</td><td>{words.number(tie.value)}</td><td>{escape(words.params_text(tie.params))}</td></tr>"
        for tie in winner.ties
    )
    return (
        "<details><summary>"
        f"{len(winner.ties)} other {'points lie' if len(winner.ties) > 1 else 'point lies'} within its noise</summary>"
        f'<div class="scroll"><table>{rows}</table></div></details>'
    )


def rail(stages: Sequence[Stage]) -> str:
    """The recipe at a glance, each step a link to its card."""
    items = "".join(
        f'<li class="{stage.state}"><a href="#stage-{stage.position}">'
        f'<span class="mark">{words.MARKS[stage.state]}</span> {escape(" ".join(words.title(stage)))}</a></li>'
        for stage in stages
    )
    return f'<nav aria-label="Stages"><ol class="rail">{items}</ol></nav>' if items else ""


def card(stage: Stage, album: Album) -> str:
    """One stage: verdict, remedy, pictures and evidence."""
    number, name = words.title(stage)
    verdict = stage.verdict
    said = ""
    if verdict is not None:
        said = f'<p class="verdict">{escape(verdict.text)}</p>'
        if verdict.remedy is not None:
            said += f'<p class="remedy"><b>What next</b> {escape(verdict.remedy.text)}</p>'
    evidence = evidence_table(verdict.evidence) if verdict is not None else ""
    figures = "".join(pictures(stage, album))
    code = f'<code title="verdict">{escape(verdict.code)}</code>' if verdict is not None else ""
    return (
        f'<section class="card {stage.state}" id="stage-{stage.position}">'
        f'<h2><span class="step">{number}</span> {escape(name)} '
        f'<span class="mark" title="{stage.state}">{words.MARKS[stage.state]}</span>'
        f'<span class="aside">{code} {stage.trials} trial{"" if stage.trials == 1 else "s"}</span></h2>'
        f'{said}<div class="figures-row">{figures}{evidence}</div></section>'
    )


def _trials(study: Study, trials: Sequence[Trial]) -> str:
    shown = sorted(trials, key=lambda trial: trial.number)[:ROWS]
    total = sum(study.trial_counts.values())
    rows = "".join(
        f"<tr><td>{trial.number}</td><td>{escape(trial.role)}</td><td>{escape(trial.state)}</td>"
        f'<td class="number">{words.number(trial.value)}</td><td class="number">{trial.replicate}</td>'
        f"<td>{escape('' if trial.budget is None else str(trial.budget))}</td>"
        f"<td>{escape(words.params_text(trial.params))}</td></tr>"
        for trial in shown
    )
    head = (
        f"<tr><th>#</th><th>role</th><th>state</th><th>{escape(study.objective_metric)}</th>"
        "<th>seed</th><th>budget</th><th>params</th></tr>"
    )
    said = f"{total} trials" if len(shown) >= total else f"Showing {len(shown)} of {total} trials"
    return f'<section class="card"><details><summary>{said}</summary><div class="scroll"><table>{head}{rows}</table></div></details></section>'


def _footer(study: Study) -> str:
    ended = study.finished_at
    when = f", finished {ended:%Y-%m-%d %H:%M} UTC" if ended is not None else ""
    return (
        f"<footer>hpsearch · study {study.id}, created {study.created_at:%Y-%m-%d %H:%M} UTC{when}</footer>"
    )
