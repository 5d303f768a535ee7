"""The main job as a stranger meets it: one command, seven steps, a document, a report."""

import json
from pathlib import Path

import pytest

from hpsearch.curves import smoothed
from tests.e2e.program import STUDIES, Answer, run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("main-job") / "home"


@pytest.fixture(scope="module")
def first(home: Path) -> Answer:
    return run(home, "run", str(STUDIES / "digits_mlp"), "--json")


def test_one_document_tells_all(first: Answer) -> None:
    assert first.code == 0, first.err
    document = first.document
    assert set(document) >= {"study", "stages", "best", "trials"}
    assert document["study"]["state"] == "completed"
    assert document["trials"] == sum(document["study"]["trial_counts"].values())
    kinds = [stage["kind"] for stage in document["stages"]]
    assert kinds[:6] == ["initial_loss", "overfit", "find_lr", "coarse", "refine", "curves"]
    assert kinds[-1] == "final"
    for stage in document["stages"]:
        assert set(stage) >= {"kind", "round", "state", "verdict", "evidence"}
        assert stage["verdict"]
        assert stage["evidence"]


def test_the_first_card_holds_the_initial_loss_against_ln_10(first: Answer) -> None:
    evidence = {e["name"]: e for e in first.document["stages"][0]["evidence"]}
    assert evidence["expected loss"]["value"] == pytest.approx(2.302585, abs=1e-4)
    assert 0.9 <= evidence["ratio"]["value"] <= 1.5


def test_the_printed_best_reaches_96_percent_on_fresh_seeds(first: Answer) -> None:
    best = first.document["best"]
    assert best["value"] >= 0.96
    assert best["replicates"] == 3
    assert first.document["study"]["best_value"] == best["value"]
    assert best["standard_error"] is not None
    assert {"learning_rate", "weight_decay"} <= set(best["params"])
    assert "ties" in best


def test_the_report_is_one_file_with_the_curves(first: Answer) -> None:
    report = Path(first.document["report"]).read_text()
    assert report.count("<svg") >= 5
    assert "http://" not in report.replace("http://www.w3.org/", "")
    assert "<script src" not in report


def test_finished_it_says_so_at_once(first: Answer, home: Path) -> None:
    again = run(home, "run", str(STUDIES / "digits_mlp"), "--json")
    assert again.code == 0
    assert "already" in again.err
    same = ("study", "best", "trials")
    assert {k: again.document[k] for k in same} == {k: first.document[k] for k in same}


def test_the_same_name_with_another_spec_is_refused_with_the_changed_keys(
    first: Answer, home: Path, tmp_path: Path
) -> None:
    assert first.code == 0
    folder = tmp_path / "digits_mlp"
    folder.mkdir()
    text = (STUDIES / "digits_mlp" / "study.yaml").read_text()
    (folder / "study.yaml").write_text(
        text.replace("seed: 0", "seed: 7").replace("batch_size: 64", "batch_size: 32")
    )
    refused = run(home, "run", str(folder))
    assert refused.code == 4
    assert "fixed.batch_size" in refused.err
    assert "seed" in refused.err
    assert "Traceback" not in refused.err


def test_results_can_be_asked_for_after_the_run_has_ended(first: Answer, home: Path) -> None:
    assert first.code == 0
    exported = run(home, "study", "export", "digits-mlp", "--format", "jsonl")
    rows = [json.loads(line) for line in exported.out.splitlines()]
    assert len(rows) == first.document["trials"]
    wanted = "number stage round state program params replicate seed budget value metrics runs started_at finished_at reason"
    assert set(wanted.split()) <= set(rows[0])
    assert {row["runs"] for row in rows} == {1}
    curves = run(home, "trial", "curves", str(first.document["best"]["trial_id"]), "--json")
    losses = curves.document["loss"]["values"]
    assert smoothed(losses)[-1] < losses[0]


def test_a_trial_and_its_own_exported_curves_get_the_same_verdict(
    first: Answer, home: Path, tmp_path: Path
) -> None:
    trial = str(first.document["best"]["trial_id"])
    stored = run(home, "diagnose", "--trial", trial, "--no-probes", "--json")
    assert stored.code == 0, stored.err
    assert stored.document["verdict"] == "ok"
    assert stored.document["passive"] is True
    log = tmp_path / "curves.json"
    log.write_text(run(home, "trial", "curves", trial, "--json").out)
    read = run(home, "diagnose", str(log), "--classes", "10", "--json")
    assert read.code == 0, read.err
    assert read.document["verdict"] == stored.document["verdict"]
    assert read.document["warnings"] == []
