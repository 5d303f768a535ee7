"""A report holds what a study found, and nothing a user wrote can act in it."""

import math
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import pytest

from hpsearch.diagnosis import Cure, TrialDiagnosis
from hpsearch.records import Evidence, Remedy, StageKind, StageState, StudyState, TrialId, TrialState, Verdict
from hpsearch.study_report import report, svg, to_markdown
from hpsearch.vocabulary import VerdictCode
from tests.study_records import (
    listed,
    make_best,
    make_curve,
    make_stage,
    make_study,
    make_trial,
    whole_recipe,
)

NASTY = '<script>alert("x")</script>|&`'


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


def test_what_probes_proved_of_a_trial_is_told_in_both_forms() -> None:
    found = TrialDiagnosis(
        verdict=VerdictCode.LR_TOO_LOW, confidence=0.9, text=f"it never left chance {NASTY}", passive=False,
        evidence=(Evidence(name="update / weight", value=1e-5, threshold="1e-4 to 1e-1"),),
        probe={"knob": "learning_rate", "changes": {"learning_rate": 0.1}, "epochs": 2.0, "continues": False,
               "metric": "val_accuracy", "before": 0.06, "after": 0.8328},
        remedy=Cure(text="raise it", changes={"learning_rate": 0.1}, grid={"learning_rate": [0.1, 10**-0.5]}),
        trial_id=TrialId(9), number=4,
    )  # fmt: skip
    page = Page(report(make_study(), [], [], {}, [], [found]))
    assert "script" not in page.tags
    text = to_markdown(make_study(), [], [], [], [found])
    for words in (
        "Trial 4, diagnosed",
        "learning_rate 0.1, then 0.3162",
        "0.8328",
        "by epoch 2",
        "update / weight",
    ):
        assert words in page.text
        assert words in text.replace("\\", "")
    assert "proved by probes" in page.text
    healthy = found.model_copy(update={"probe": None, "remedy": None, "cost": {"probe_steps": 0.0}})
    assert "no probe was needed" in Page(report(make_study(), [], [], {}, [], [healthy])).text


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
