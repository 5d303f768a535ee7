import json
import time
from pathlib import Path

import pytest

from api.checkpoints import StoredFile, Upload
from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LeaseLost,
    NotFound,
    StudyExists,
    TooLarge,
    Unauthorized,
)
from hpsearch.home import Home
from hpsearch.records import Outcome, RunId, Slot, TrialId, TrialState, Worker, WorkerId
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.wire import (
    CreateToken,
    HeartbeatRequest,
    Lease,
    LeaseRequest,
    RegisterWorker,
    ReportRequest,
    RunReport,
)

STUDIES = Path(__file__).parents[2] / "studies"


def grid_spec(name: str = "a-grid", points: int = 2) -> StudySpec:
    return parse_spec(
        {
            "name": name,
            "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
            "method": "grid",
            "space": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}},
            "grid": {"learning_rate": points},
        }
    )


def register(client: Client) -> Worker:
    slot = Slot(device="cpu", index=0, name="cpu")
    return client.register_worker(RegisterWorker(name="worker-1", host="here", version="0", slots=(slot,)))


def lease_one(client: Client, worker: Worker, request_id: str = "request-1") -> Lease:
    request = LeaseRequest(worker_id=worker.id, request_id=request_id, max_trials=1, wait_seconds=0)
    (lease,) = client.lease(request).leases
    return lease


def finish(client: Client, worker: Worker, run_id: RunId, value: float, **measured: float) -> None:
    metrics = {"val_loss": float("nan")}
    outcome = Outcome(state="completed", value=value, metrics=metrics, measurements=dict(measured))
    one = RunReport(run_id=run_id, seq=0, log="the log", outcome=outcome)
    (result,) = client.report(ReportRequest(worker_id=worker.id, reports=(one,))).results
    assert result.status == "ok"


def test_a_study_is_created_trained_and_read(client: Client) -> None:
    study = client.create_study(grid_spec())
    assert study.name == "a-grid"
    worker = register(client)
    for number in range(2):
        lease = lease_one(client, worker, f"request-{number}")
        assert client.heartbeat(worker.id, HeartbeatRequest(runs=(lease.run_id,))).lost == ()
        finish(client, worker, lease.run_id, value=0.25 * (number + 1))
    assert study.wait(timeout=5).state == "completed"
    (best,) = study.best()
    assert best.value == 0.5
    trials = list(study.trials(state="completed"))
    assert [trial.record.number for trial in trials] == [0, 1]
    assert trials[1].value == 0.5
    assert trials[1].params == best.params
    assert trials[1].log() == "the log"
    assert str(trials[1].record.metrics["val_loss"]) == "nan"
    assert [(run.state, run.worker) for run in trials[1].runs()] == [("completed", worker.name)]
    assert [stage.kind for stage in study.stages()] == ["search"]
    assert study.curves().total == 2
    kinds = [event.kind for event in study.events()]
    assert len(kinds) >= 3


def test_a_study_file_or_its_folder_is_read(client: Client) -> None:
    by_folder = client.create_study(STUDIES / "digits_grid")
    by_file = client.create_study(str(STUDIES / "digits_grid" / "study.yaml"))
    assert by_folder.record().id == by_file.record().id
    assert client.preview(STUDIES / "digits_grid").trials == 12
    assert [study.name for study in client.studies()] == ["digits-grid"]
    assert client.studies(state="paused") == []


def test_a_plain_mapping_is_a_spec_too(client: Client) -> None:
    raw = json.loads(grid_spec().model_dump_json())
    assert client.create_study(raw).state == "running"
    with pytest.raises(InvalidInput, match="optimizer") as caught:
        client.create_study({**raw, "fixed": {"optimzer": "sgd"}})
    assert caught.value.problems[0].pointer == "/fixed/optimzer"


def test_the_servers_errors_are_the_houses(client: Client, home: Home) -> None:
    client.create_study(grid_spec())
    with pytest.raises(StudyExists, match=r"changed: grid\.learning_rate") as caught:
        client.create_study(grid_spec(points=3))
    assert caught.value.exit_code == 4
    assert caught.value.hint
    with pytest.raises(NotFound, match="a-grit") as missing:
        client.study("a-grit").record()
    assert "a-grid" in str(missing.value.hint)
    with pytest.raises(Conflict):
        client.study("a-grid").delete()
    with pytest.raises(NotFound):
        client.trial(TrialId(77))
    with Client(client.url, "wrong", patience_seconds=0) as stranger, pytest.raises(Unauthorized):
        stranger.studies()
    secret = client.create_token(CreateToken(name="looks", scope="viewer")).secret
    with Client(client.url, secret, patience_seconds=0) as viewer:
        assert len(viewer.studies()) == 1
        with pytest.raises(Forbidden, match="viewer"):
            viewer.study("a-grid").cancel()


def test_names_that_are_no_path_are_still_only_names(client: Client) -> None:
    for name in ("../tokens", "a/b", "a?b", "a#b", "%2e%2e", " "):
        with pytest.raises((NotFound, InvalidInput)):
            client.study(name).record()


def test_a_study_is_steered_patched_and_deleted(client: Client) -> None:
    study = client.create_study(grid_spec())
    assert study.pause().state == "paused"
    assert study.resume().state == "running"
    assert study.patch(description="why").spec["description"] == "why"
    assert study.stop().state == "stopped"
    assert study.retry().state == "running"
    assert study.cancel().state == "cancelled"
    study.delete()
    with pytest.raises(NotFound):
        study.record()


def test_waiting_for_a_study_has_an_end(client: Client) -> None:
    study = client.create_study(grid_spec())
    with pytest.raises(TimeoutError, match="still running"):
        study.wait(timeout=0.1)


def test_a_trial_is_stopped_and_retried(client: Client) -> None:
    (trial, _) = client.create_study(grid_spec()).trials()
    assert trial.stop().state == trial.state == "cancelled"
    assert client.trial(trial.record.id).retry().state == "waiting"
    assert trial.refresh().state == "waiting"


def test_a_trial_is_cloned_and_the_time_left_is_asked_for(client: Client) -> None:
    study = client.create_study(grid_spec())
    (trial, _) = study.trials()
    made = trial.clone()
    assert (made.name, made.trial_counts[TrialState.WAITING]) == ("a-grid-trial-0", 3)
    assert trial.clone().id == made.id
    assert trial.clone("five", replicates=5).trial_counts[TrialState.WAITING] == 5
    assert study.eta().reason == "no worker"
    worker = register(client)
    finish(client, worker, lease_one(client, worker).run_id, value=0.5)
    assert study.eta().seconds is not None


def test_all_pages_are_walked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.client.study.PAGE", 2)
    monkeypatch.setattr("hpsearch.client.client.PAGE", 1)
    study = client.create_study(grid_spec(points=5))
    client.create_study(grid_spec("other"))
    assert [trial.record.number for trial in study.trials(order_by="-number")] == [4, 3, 2, 1, 0]
    assert [study.name for study in client.studies()] == ["other", "a-grid"]


def test_exports_are_written_whole(client: Client, tmp_path: Path) -> None:
    study = client.create_study(grid_spec())
    rows = study.export(tmp_path / "trials.jsonl").read_text().splitlines()
    assert [json.loads(row)["number"] for row in rows] == [0, 1]
    assert study.export(tmp_path / "trials.csv").read_text().startswith("number,stage,round,")
    with pytest.raises(InvalidInput, match=r"\.csv or \.jsonl|format"):
        study.export(tmp_path / "trials.xlsx")
    with pytest.raises(NotFound):
        client.study("none").export(tmp_path / "none.csv")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["trials.csv", "trials.jsonl"]


def test_a_study_made_again_leases_under_an_id_of_its_own(client: Client) -> None:
    worker = register(client)
    first = client.create_study(grid_spec())
    lease = lease_one(client, worker)
    assert lease.study_id == first.record().id
    first.stop()
    finish(client, worker, lease.run_id, 0.5)
    first.delete()
    again = client.create_study(grid_spec())
    later = lease_one(client, worker, "request-2")
    assert later.study_id == again.record().id != lease.study_id


def test_checkpoints_travel_both_ways(client: Client, tmp_path: Path) -> None:
    client.create_study(grid_spec())
    worker = register(client)
    lease = lease_one(client, worker)
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(range(256)) * 20_000)
    stored = client.upload_checkpoint(lease.run_id, worker.id, "best", 7, weights)
    assert (stored.step, stored.size) == (7, 5_120_000)
    fetched = client.trial(lease.trial_id).checkpoint(tmp_path / "fetched")
    assert fetched.read_bytes() == weights.read_bytes()
    with pytest.raises(NotFound, match="last"):
        client.download_checkpoint(lease.trial_id, "last", tmp_path / "none")
    with pytest.raises(LeaseLost):
        client.upload_checkpoint(lease.run_id, WorkerId(99), "best", 8, weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fetched", "home", "weights"]


@pytest.mark.parametrize("size", [2_000, 20 * 2**20])
def test_a_checkpoint_above_the_servers_limit_is_an_error_of_its_own(
    home: Home, tmp_path: Path, size: int
) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(size))
    settings = Settings(home=home, port=0, max_checkpoint_bytes=1_024)
    with background(settings) as address, Client(address.url, home.read_token(), timeout=20) as client:
        client.create_study(grid_spec())
        worker = register(client)
        run_id = lease_one(client, worker).run_id
        with pytest.raises(TooLarge, match=f"best of run {run_id} has {size:,} bytes") as caught:
            client.upload_checkpoint(run_id, worker.id, "best", 7, weights)
    assert "HPSEARCH_MAX_CHECKPOINT_BYTES" in str(caught.value.hint)


def test_a_file_that_takes_its_time_to_be_stored_is_waited_for(
    client: Client, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_study(grid_spec())
    worker = register(client)
    run_id = lease_one(client, worker).run_id
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    finish = Upload.finish

    def slowly(upload: Upload, rest: bytes) -> StoredFile:
        time.sleep(1.0)
        return finish(upload, rest)

    monkeypatch.setattr(Upload, "finish", slowly)
    with Client(client.url, home.read_token(), timeout=0.3, patience_seconds=0) as hasty:
        assert hasty.upload_checkpoint(run_id, worker.id, "last", 1, weights).step == 1


def test_workers_and_tokens_are_listed_drained_and_revoked(client: Client) -> None:
    worker = register(client)
    assert [one.name for one in client.workers()] == ["worker-1"]
    assert client.drain(worker.id).state == "draining"
    token = client.create_token(CreateToken(name="ci", scope="user")).token
    assert client.revoke_token(token.id).revoked_at is not None
    assert {one.name: one.revoked_at is None for one in client.tokens()}["ci"] is False


def test_the_server_is_known_by_version_and_readiness(client: Client) -> None:
    assert client.version().api == "v1"
    assert client.ready().status == "ok"


def test_a_trial_is_diagnosed_once_it_has_ended(client: Client) -> None:
    study = client.create_study(grid_spec())
    worker = register(client)
    lease = lease_one(client, worker)
    trial = client.trial(lease.trial_id)
    with pytest.raises(Conflict, match="is running"):
        trial.diagnose()
    finish(client, worker, lease.run_id, 0.5)
    found = trial.diagnose()
    assert found.verdict == "not_enough_evidence"
    assert (found.passive, found.state) == (True, "ended")
    assert trial.diagnosis() == trial.diagnose(probes=False)
    assert client.study("a-grid").diagnoses() == []
    assert study.name == "a-grid"


def test_waiting_for_a_diagnosis_has_an_end(client: Client) -> None:
    client.create_study(grid_spec())
    worker = register(client)
    lease = lease_one(client, worker)
    finish(client, worker, lease.run_id, 0.5, steps_per_epoch=17.0)
    trial = client.trial(lease.trial_id)
    assert trial.diagnosis().state == "ended"
    assert trial.diagnose(wait=False).state == "running"
    with pytest.raises(TimeoutError, match="no verdict after 0 s; open probes: 1"):
        trial.diagnose(timeout=0)
    assert trial.diagnose(probes=False).state == "running", "it says so, and does not wait"
    client.study("a-grid").cancel()
    found = trial.diagnose(probes=False)
    assert (found.state, "came to no end: cancelled by the user" in found.note) == ("ended", True)
