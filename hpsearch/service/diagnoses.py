"""What is wrong with a stored trial: looked up, proved by an examination on request, passive until then."""

from datetime import datetime

from hpsearch.diagnosis import Diagnosis, DiagnosisList, TrialDiagnosis
from hpsearch.errors import Conflict
from hpsearch.recipe import trial_examination
from hpsearch.records import FINISHED_STUDY_STATES, Stage, StageKind, StageState, Trial, TrialId, Verdict
from hpsearch.service import examinations, lookup, passive_verdict
from hpsearch.store import examinations as examination_rows
from hpsearch.store import listing, stages, trials
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.study_row import StudyRow


def look(db: Database, trial_id: TrialId) -> TrialDiagnosis:
    """The diagnosis as it stands; starts nothing. Raises NotFound, and Conflict for a trial that is open or a
    check.
    """
    with db.read() as tx:
        return _as_it_stands(tx, _judgeable(tx, trial_id))


@retried
def diagnose(db: Database, trial_id: TrialId, *, now: datetime) -> TrialDiagnosis:
    """Have the trial examined by probes, unless it has been; returns the diagnosis as it stands then.

    Where no probe could prove anything, nothing is begun and `note` says why. Raises NotFound; Conflict for a
    trial that is open or a check, and where its study is paused, cancelled or out of budget.
    """
    with db.write() as tx:
        trial = _judgeable(tx, trial_id)
        study = lookup.study_by_id(tx, trial.study_id)
        if trial_examination.why_passive(study.spec, trial) is None and _own_stage(tx, study, trial) is None:
            examinations.begin(tx, study, trial, now=now)
        return _as_it_stands(tx, trial)


def of_study(db: Database, key: str) -> DiagnosisList:
    """Of its trials that an examination has a verdict on. Raises NotFound."""
    with db.read() as tx:
        study = lookup.study(tx, key)
        found = []
        for examination in examination_rows.of_study(tx, study.id):
            verdict = examinations.verdict_of(tx, examination)
            if verdict is not None and examination.study.examines is not None:
                trial = lookup.trial(tx, examination.study.examines)
                found.append(_proved(tx, trial, verdict, examination))
    return DiagnosisList(diagnoses=tuple(found))


def _judgeable(tx: Transaction, trial_id: TrialId) -> Trial:
    trial = lookup.trial(tx, trial_id)
    if not trial.finished:
        raise Conflict(
            f"trial {trial.id} is {trial.state}; it can be judged once it has ended",
            hint=f"look at its curves meanwhile: hpsearch trial curves {trial.id}",
        )
    if trial.program.kind == "check":
        raise Conflict(
            f"trial {trial.id} is a check: it measures and trains nothing, so it has no curve to judge",
            hint="its verdict is its stage's: hpsearch study show STUDY",
        )
    return trial


def _as_it_stands(tx: Transaction, trial: Trial) -> TrialDiagnosis:
    study = lookup.study(tx, str(trial.study_id))
    examination = examination_rows.of_trial(tx, trial.id)
    if examination is not None:
        return _of_examination(tx, study, trial, examination)
    stage = _own_stage(tx, study, trial)
    if stage is not None:
        return _of_stage(tx, study, trial, stage)
    why = trial_examination.why_passive(study.spec, trial)
    if why is not None:
        return _passively(tx, study, trial, f"no probe was trained: {why}")
    return _passively(tx, study, trial, "", provable=study.study.examines is None)


def _of_examination(tx: Transaction, study: StudyRow, trial: Trial, examination: StudyRow) -> TrialDiagnosis:
    verdict = examinations.verdict_of(tx, examination)
    if verdict is not None:
        return _proved(tx, trial, verdict, examination)
    name = examination.study.name
    if examination.state in FINISHED_STUDY_STATES:
        reason = examination.study.reason or f"{name} was {examination.state}"
        why = f"its probes came to no end: {reason}"
        return _passively(tx, study, trial, why, provable=True, examination=name)
    return _unproven(tx, study, trial, examination.waiting + examination.running, examination=name)


def _of_stage(tx: Transaction, study: StudyRow, trial: Trial, stage: Stage) -> TrialDiagnosis:
    """Of a run that the recipe itself examines, or has."""
    probes = trials.of_stage(tx, stage.id)
    if stage.verdict is not None:
        found = Diagnosis.of(stage.verdict, cost=_cost(probes))
        return TrialDiagnosis(**dict(found), trial_id=trial.id, number=trial.number)
    return _unproven(tx, study, trial, sum(not probe.finished for probe in probes))


def _own_stage(tx: Transaction, study: StudyRow, trial: Trial) -> Stage | None:
    """The recipe's own stage that examines this trial, as long as it may come to a verdict."""
    if study.spec.method != "recipe" or study.study.examines is not None:
        return None
    known = stages.of_study(tx, study.id)
    if not any(stage.kind is StageKind.CURVES for stage in known):
        return None
    stage = trial_examination.own_stage(study.spec, known, trials.of_study(tx, study.id), trial)
    if stage is None or stage.verdict is not None:
        return stage
    goes_on = stage.state is StageState.RUNNING and study.state not in FINISHED_STUDY_STATES
    return stage if goes_on else None


def _unproven(
    tx: Transaction, study: StudyRow, trial: Trial, count: int, *, examination: str | None = None
) -> TrialDiagnosis:
    why = f"unproven so far, {count} probe{'' if count == 1 else 's'} under way"
    found = _passively(tx, study, trial, why, examination=examination)
    return found.model_copy(update={"state": "running", "open_probes": count})


def _proved(tx: Transaction, trial: Trial, verdict: Verdict, examination: StudyRow) -> TrialDiagnosis:
    found = Diagnosis.of(verdict, cost=_cost(trials.of_study(tx, examination.id)))
    return TrialDiagnosis(
        **dict(found), trial_id=trial.id, number=trial.number, examination=examination.study.name
    )


def _cost(trained: list[Trial]) -> dict[str, float]:
    """As `hpsearch.diagnose` counts: the run, where it was trained for this, apart from its probes."""
    again = sum(trial.steps for trial in trained if trial.role == trial_examination.REPEAT)
    probes = sum(trial.steps for trial in trained if trial.role != trial_examination.REPEAT)
    return {**({"run_steps": float(again)} if again else {}), "probe_steps": float(probes)}


def _passively(
    tx: Transaction,
    study: StudyRow,
    trial: Trial,
    why: str,
    *,
    provable: bool = False,
    examination: str | None = None,
) -> TrialDiagnosis:
    """`why`: nothing better is known; empty where nobody has asked."""
    checks = listing.checks(tx, study.id)
    found = passive_verdict.of_trial(tx, study.spec, trial, check=checks[-1] if checks else None)
    note = f"{why}; {found.note}" if why else found.note
    return TrialDiagnosis(
        **{**dict(found), "note": note},
        trial_id=trial.id,
        number=trial.number,
        examination=examination,
        provable=provable,
    )
