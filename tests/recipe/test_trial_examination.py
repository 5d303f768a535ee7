"""Any trial under examination: which check serves it, and where a probe that trains on begins."""

from dataclasses import dataclass, field
from typing import Any

from hpsearch.recipe import trial_examination
from hpsearch.recipe.decision import Finish
from hpsearch.recipe.history import NO_REGULARIZATION
from hpsearch.records import Budget, FailureReason, Outcome, Program, Trial, TrialPlan, Verdict
from hpsearch.spec import StudySpec
from hpsearch.vocabulary import VerdictCode
from tests.recipe.world import check_outcome, rising, spec, trial_of

EPOCHS = 20.0
SPEC = spec(method="grid", grid={"learning_rate": 3}, replicates=2)


def run_of(**changes: Any) -> Trial:
    parts: dict[str, Any] = {
        "program": Program(kind="train"),
        "params": {"learning_rate": 0.1, "weight_decay": 0},
        "budget": Budget(epochs=EPOCHS),
    }
    return trial_of(TrialPlan(**{**parts, **changes}), rising(0.6, EPOCHS), number=98)


@dataclass
class Examination:
    """Plays an examination to its end; `trained` are its trials."""

    run: Trial
    resumable: bool
    study: StudySpec = SPEC
    checks: tuple[Trial, ...] = ()
    trained: list[Trial] = field(default_factory=list)

    def train(self, plan: TrialPlan) -> Outcome:
        if plan.program.kind == "check":
            return check_outcome()
        assert plan.budget is not None
        assert plan.budget.epochs is not None
        longer = plan.budget.epochs > EPOCHS and not plan.program.overrides
        return rising(0.75 if longer else 0.6 * plan.budget.epochs / EPOCHS, plan.budget.epochs)

    def play(self) -> Verdict | Finish:
        for _ in range(50):
            answer = trial_examination.step(
                self.study, self.run, self.checks, self.trained, resumable=self.resumable
            )
            if not isinstance(answer, tuple):
                return answer
            known = {trial.digest for trial in self.trained}
            new = [plan for plan in answer if plan.digest not in known]
            assert new, "it waits, but nothing is open"
            for plan in new:
                self.trained.append(trial_of(plan, self.train(plan), number=len(self.trained)))
        raise AssertionError("the examination does not end")

    def longer(self) -> list[Trial]:
        return [t for t in self.trained if t.budget and t.budget.epochs and t.budget.epochs > EPOCHS]


def test_a_longer_probe_goes_on_from_the_run_s_own_checkpoint() -> None:
    played = Examination(run_of(), resumable=True)
    verdict = played.play()
    assert isinstance(verdict, Verdict)
    assert verdict.code is VerdictCode.TRAIN_LONGER
    assert {trial.continues for trial in played.longer()} == {played.run.id}
    assert [t for t in played.trained if t.role == trial_examination.REPEAT] == []


def test_without_a_checkpoint_the_run_is_repeated_once_and_gone_on_from() -> None:
    kept, played = Examination(run_of(), resumable=True), Examination(run_of(), resumable=False)
    assert played.play() == kept.play()
    (repeat,) = (t for t in played.trained if t.role == trial_examination.REPEAT)
    assert (repeat.params, repeat.budget, repeat.replicate) == (played.run.params, played.run.budget, 0)
    assert {trial.continues for trial in played.longer()} == {repeat.id}
    assert len(played.trained) == len(kept.trained) + 1


def test_a_repeat_that_failed_leaves_the_probe_to_train_from_the_start() -> None:
    class Unlucky(Examination):
        def train(self, plan: TrialPlan) -> Outcome:
            if plan.role == trial_examination.REPEAT:
                return Outcome(state="failed", reason=FailureReason.OOM)
            return super().train(plan)

    played = Unlucky(run_of(), resumable=False)
    assert isinstance(played.play(), Verdict)
    assert {trial.continues for trial in played.longer()} == {None}


def check_of(run: Trial, **changes: Any) -> Trial:
    parts: dict[str, Any] = {
        "program": Program(kind="check", overrides=NO_REGULARIZATION),
        "params": {},
        "replicate": run.replicate,
    }
    return trial_of(TrialPlan(**{**parts, **changes}), check_outcome(), number=50)


def planned(run: Trial, *checks: Trial) -> str:
    answer = trial_examination.step(SPEC, run, checks, (), resumable=True)
    assert isinstance(answer, tuple)
    return answer[0].role


def test_a_check_serves_whose_model_and_data_were_the_run_s() -> None:
    run = run_of()
    assert planned(run) == "check"
    assert planned(run, check_of(run)) == "probe", "the learning rate does not matter to a check"
    assert planned(run, check_of(run, params={"hidden_units": 7})) == "check"
    assert planned(run, check_of(run, replicate=1)) == "check", "another seed is another model"


def test_probes_keep_what_the_run_itself_overrode() -> None:
    run = run_of(program=Program(kind="train", overrides={"momentum": 0.5}))
    played = Examination(run, resumable=True)
    played.play()
    probes = [t for t in played.trained if t.program.kind == "train"]
    assert probes
    assert {t.program.overrides["momentum"] for t in probes} == {0.5}


def test_a_short_trial_and_one_on_a_few_minibatches_are_not_probed() -> None:
    steps = run_of(budget=Budget(steps=100))
    assert trial_examination.why_passive(SPEC, steps) == "the trial was a short one, counted in steps"
    subset = run_of(program=Program(kind="train", subset_batches=4))
    assert "a few minibatches" in str(trial_examination.why_passive(SPEC, subset))
    assert trial_examination.why_passive(SPEC, run_of()) is None


def test_a_verdict_without_values_of_its_own_names_the_study_s() -> None:
    run = run_of()
    bare = Verdict(code=VerdictCode.OVERFIT, text="", confidence=0.5)
    remedy = trial_examination.with_values(SPEC, run, bare).remedy
    assert remedy is not None
    assert remedy.changes["weight_decay"]
