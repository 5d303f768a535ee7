"""A report holds what a study found, and nothing a user wrote can act in it."""

import math
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from hpsearch.records import (
    Best,
    Budget,
    Evidence,
    Points,
    Program,
    Remedy,
    Stage,
    StageId,
    StageKind,
    StageState,
    Study,
    StudyId,
    StudyState,
    Tie,
    Trial,
    TrialId,
    TrialState,
    Verdict,
)
from hpsearch.study_report import report, svg, to_markdown
from hpsearch.vocabulary import VerdictCode
from hpsearch.wire import Curve, CurveList

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
NASTY = '<script>alert("x")</script>|&`'


def make_study(**changes: Any) -> Study:
    fields: dict[str, Any] = {
        "id": StudyId(1),
        "name": "digits-mlp",
        "state": StudyState.COMPLETED,
        "reason": "",
        "method": "recipe",
        "objective_metric": "val_accuracy",
        "objective_direction": "maximize",
        "spec": {"task": {"kind": "named", "dataset": "digits", "model": "mlp"}},
        "trial_counts": {TrialState.COMPLETED: 22, TrialState.DIVERGED: 2},
        "best_value": 0.97,
        "created_at": NOW,
        "finished_at": NOW,
    }
    return Study(**{**fields, **changes})


def make_stage(position: int, kind: StageKind, **changes: Any) -> Stage:
    fields: dict[str, Any] = {
        "id": StageId(position + 1),
        "study_id": StudyId(1),
        "kind": kind,
        "round": 1,
        "position": position,
        "state": StageState.PASSED,
        "verdict": Verdict(code=VerdictCode.OK, text=f"{kind} went well", confidence=0.9),
        "carried": {},
        "trials": 3,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return Stage(**{**fields, **changes})


def make_trial(number: int, stage: int, **changes: Any) -> Trial:
    fields: dict[str, Any] = {
        "id": TrialId(number + 100),
        "study_id": StudyId(1),
        "stage_id": StageId(stage + 1),
        "number": number,
        "role": "coarse",
        "state": TrialState.COMPLETED,
        "reason": None,
        "message": "",
        "program": Program(kind="train"),
        "params": {"learning_rate": 0.01, "weight_decay": 0.0},
        "replicate": 0,
        "budget": Budget(epochs=3),
        "digest": f"{number}",
        "continues": None,
        "value": 0.9,
        "metrics": {"val_loss": 0.3},
        "measurements": {"val_loss_tail": 0.3},
        "steps": 54,
        "epoch": 1,
        "failures": 0,
        "rescues": 0,
        "preemptions": 0,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return Trial(**{**fields, **changes})


def make_curve(trial: Trial, metric: str, steps: list[int], values: list[float]) -> Curve:
    return Curve(
        trial_id=trial.id, number=trial.number, state=trial.state, value=trial.value, params=trial.params,
        series={metric: Points(steps=tuple(steps), values=tuple(values))},
    )  # fmt: skip


def listed(metric: str, curves: list[Curve]) -> CurveList:
    return CurveList(metric=metric, curves=tuple(curves), shown=len(curves), total=len(curves))


def whole_recipe() -> tuple[list[Stage], list[Trial], dict[str, CurveList]]:
    """Every kind of stage with trials and curves that look like the real ones."""
    kinds = [k for k in StageKind if k is not StageKind.SEARCH]
    stages = [make_stage(i, kind) for i, kind in enumerate(kinds)]
    trials = [
        make_trial(
            0, 0, role="check", program=Program(kind="check"), budget=None, value=None, metrics={},
            measurements={"initial_losses": [2.4, 2.61, 2.7, 2.55, 2.9], "expected_loss": math.log(10)},
        )
    ]  # fmt: skip
    curves: dict[str, list[Curve]] = {m: [] for m in ("loss", "train_loss", "val_loss", "val_accuracy")}
    for place in (1, 2):
        for i, rate in enumerate((1e-4, 1e-3, 1e-2, 1e-1, 1.0)):
            lost = rate == 1.0
            trial = make_trial(
                len(trials), place, role="learning rate", params={"learning_rate": rate, "weight_decay": 1e-5},
                state=TrialState.DIVERGED if lost else TrialState.COMPLETED, value=None, budget=Budget(steps=100),
            )  # fmt: skip
            trials.append(trial)
            steps = list(range(1, 101, 2))
            values = [2.4 * math.exp(-s * rate) + 0.02 + 0.05 * math.sin(s * 7.0 + i) ** 2 for s in steps]
            if lost:
                steps, values = steps[:12], [2.4 * 1.4**s for s in range(11)] + [math.inf]
            curves["loss"].append(make_curve(trial, "loss", steps, values))
    for place, kind in enumerate(kinds):
        if kind not in (StageKind.COARSE, StageKind.REFINE, StageKind.FINAL):
            continue
        for i, rate in enumerate((3e-3, 1e-2, 3e-2, 1e-1)):
            for j, decay in enumerate((0.0, 1e-5, 1e-4)):
                floor = 0.1 + 0.1 * abs(i - 2) + 0.02 * j
                lost = kind is StageKind.COARSE and (i, j) == (3, 2)
                trial = make_trial(
                    len(trials), place, role=str(kind),
                    params={"learning_rate": rate, "weight_decay": decay, "hidden_units": 128},
                    value=0.97 - 0.02 * abs(i - 2),
                    state=TrialState.DIVERGED if lost else TrialState.COMPLETED,
                    measurements={"val_loss_tail": floor},
                )  # fmt: skip
                trials.append(trial)
                steps = list(range(18, 271, 18))
                for metric, low in (("train_loss", floor * 0.4), ("val_loss", floor)):
                    values = [low + 1.8 * math.exp(-s * rate) for s in steps]
                    curves[metric].append(make_curve(trial, metric, steps, values))
                accuracy = [0.97 - 0.8 * math.exp(-s * rate) for s in steps]
                curves["val_accuracy"].append(make_curve(trial, "val_accuracy", steps, accuracy))
                noise = [0.1 + 1.8 * math.exp(-s / 60) * (1 + 0.3 * math.sin(s * 5.0)) for s in range(1, 270)]
                if kind is StageKind.REFINE:
                    curves["loss"].append(make_curve(trial, "loss", list(range(1, 270)), noise))
    return stages, trials, {metric: listed(metric, found) for metric, found in curves.items()}


def make_best(trial: Trial, **changes: Any) -> Best:
    fields: dict[str, Any] = {
        "trial_id": trial.id,
        "number": trial.number,
        "params": trial.params,
        "value": 0.9728,
        "standard_error": 0.0012,
        "replicates": 3,
        "metrics": {"test_accuracy": 0.9694},
        "ties": (Tie(trial_id=TrialId(1), number=7, params=trial.params, value=0.972),),
    }
    return Best(**{**fields, **changes})


class Page(HTMLParser):
    """Tags, and the text between them, of a document whose tags must balance."""

    VOID = frozenset({"meta", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def document() -> str:
    stages, trials, curves = whole_recipe()
    return report(make_study(), stages, trials, curves, [make_best(trials[-1])])


def test_answer_stands_on_top_with_its_uncertainty_and_ties(document: str) -> None:
    page = Page(document)
    assert "0.9728 ± 0.0012" in page.text
    assert "mean of 3 seeds" in page.text
    assert "0.9694" in page.text
    assert "1 other point lies within its noise" in page.text


def test_every_stage_has_its_card_and_picture(document: str) -> None:
    for section in document.split('<section class="card')[1:8]:
        assert "<svg" in section, section[:200]
    assert document.count("went well") == 7


def test_report_is_one_small_file_without_script_or_links_out(document: str) -> None:
    page = Page(document)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "http" not in document
    assert len(document.encode()) < 1_000_000


def test_pictures_are_well_formed(document: str) -> None:
    pictures = ["<svg" + part.split("</svg>")[0] + "</svg>" for part in document.split("<svg")[1:]]
    assert len(pictures) >= 9
    for picture in pictures:
        ET.fromstring(picture)  # our own text


def test_words_of_users_can_not_act() -> None:
    verdict = Verdict(
        code=VerdictCode.OVERFIT, text=NASTY, confidence=1, remedy=Remedy(text=NASTY),
        evidence=(Evidence(name=NASTY, value=NASTY, threshold=NASTY, text=NASTY, ok=False),),
    )  # fmt: skip
    stages = [make_stage(0, StageKind.SEARCH, verdict=verdict, state=StageState.FAILED)]
    trial = make_trial(0, 0, role=NASTY, params={NASTY: NASTY, "learning_rate": 0.1, "weight_decay": 0.0})
    curves = {"val_loss": listed("val_loss", [make_curve(trial, "val_loss", [1, 2], [1.0, 0.5])])}
    study = make_study(
        reason=NASTY,
        objective_metric=NASTY,
        spec={"description": NASTY, "task": {"kind": "file", "file": NASTY}},
    )
    page = Page(report(study, stages, [trial], curves, [make_best(trial, metrics={f"test_{NASTY}": 0.1})]))
    assert "script" not in page.tags
    assert NASTY in page.text
    markdown = to_markdown(study, stages, [trial], [make_best(trial)])
    assert "<script>" not in markdown.replace("\\<script\\>", "")


def test_running_study_without_results_has_a_report() -> None:
    stages = [make_stage(0, StageKind.COARSE, verdict=None, state=StageState.RUNNING, trials=0)]
    page = Page(report(make_study(state=StudyState.RUNNING), stages, [], {}, []))
    assert "No trial has a value" in page.text


def test_failed_gate_shows_evidence_and_remedy() -> None:
    verdict = Verdict(
        code=VerdictCode.BAD_INIT, text="initial loss 14.1, expected 2.30", confidence=1,
        evidence=(Evidence(name="ratio", value=6.1, threshold="0.9 to 1.5", ok=False),),
        remedy=Remedy(text="multiply the last layer by 0.1"),
    )  # fmt: skip
    stage = make_stage(0, StageKind.INITIAL_LOSS, verdict=verdict, state=StageState.FAILED)
    page = Page(report(make_study(state=StudyState.FAILED), [stage], [], {}, []))
    for words in (
        "initial loss 14.1, expected 2.30",
        "multiply the last layer by 0.1",
        "6.1",
        "0.9 to 1.5",
        "✗",
    ):
        assert words in page.text


def test_long_list_of_trials_says_what_it_leaves_out() -> None:
    trials = [make_trial(i, 0) for i in range(600)]
    study = make_study(trial_counts={TrialState.COMPLETED: 600})
    assert "Showing 500 of 600 trials" in Page(report(study, [], trials, {}, [])).text
    assert "Showing 100 of 600" in to_markdown(study, [], trials, [])


def test_values_that_are_not_finite_do_not_reach_a_picture() -> None:
    stages = [make_stage(0, StageKind.COARSE)]
    trial = make_trial(0, 0, state=TrialState.DIVERGED, value=math.nan, measurements={})
    curve = make_curve(trial, "val_loss", [1, 2, 3], [math.nan, math.inf, -math.inf])
    document = report(make_study(), stages, [trial], {"val_loss": listed("val_loss", [curve])}, [])
    assert "nan" not in document.split("<svg")[1].split("</svg>")[0] if "<svg" in document else True


@pytest.mark.parametrize(
    ("low", "high", "log"), [(1e-4, 1e-1, True), (0.31, 0.33, True), (0, 7, False), (0.9701, 0.9703, False)]
)
def test_axes_have_a_handful_of_round_ticks(low: float, high: float, log: bool) -> None:
    ticks = svg.Scale(low, high, 0, 100, log).ticks()
    assert 2 <= len(ticks) <= 10
    assert all(low <= tick <= high for tick in ticks)
    assert len({svg.label(tick) for tick in ticks}) == len(ticks)


def test_curve_breaks_where_a_value_is_missing() -> None:
    box = svg.frame([1, 4], [1.0, 2.0])
    assert svg.line(box, [1, 2, 3, 4], [1.0, 1.5, math.nan, 2.0], "s0").count("M") == 1 + 1


def test_markdown_tells_the_same_answer() -> None:
    stages, trials, _ = whole_recipe()
    text = to_markdown(make_study(), stages, trials, [make_best(trials[-1])])
    assert "**val\\_accuracy 0.9728 ± 0.0012** over 3 seeds" in text
    assert "## 4 Coarse grid ✓" in text
