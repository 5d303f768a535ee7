"""A study's trials as rows of a file."""

from collections.abc import Iterator
from typing import Any

from hpsearch.records import Stage, StageId, Trial
from hpsearch.service import lookup
from hpsearch.store import listing, stages
from hpsearch.store.engine import Database

PAGE = 500


def export(db: Database, key: str) -> Iterator[dict[str, Any]]:
    """One row per trial, by number. Each page is read by itself: a slow reader holds no transaction."""
    with db.read() as tx:
        study = lookup.study(tx, key)
    number = 0
    while True:
        with db.read() as tx:
            known = {stage.id: stage for stage in stages.of_study(tx, study.id)}
            page = listing.by_number(tx, study.id, first=number, limit=PAGE)
        yield from (_row(trial, known, study.study.spec["seed"]) for trial in page)
        if len(page) < PAGE:
            return
        number = page[-1].number + 1


def _row(trial: Trial, known: dict[StageId, Stage], seed: int) -> dict[str, Any]:
    stage = known[trial.stage_id]
    return {
        "number": trial.number,
        "stage": str(stage.kind),
        "round": stage.round,
        "state": str(trial.state),
        "program": trial.program.model_dump(mode="json"),
        "params": trial.params,
        "replicate": trial.replicate,
        "seed": seed,
        "budget": None if trial.budget is None else trial.budget.model_dump(mode="json"),
        "value": trial.value,
        "metrics": trial.metrics,
        "runs": trial.epoch,
        "started_at": trial.started_at,
        "finished_at": trial.finished_at,
        "reason": None if trial.reason is None else str(trial.reason),
    }
