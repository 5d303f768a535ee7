"""Step 6 as a stage: judge the winner's curves. It plans no trials; counterfactual probes belong here."""

from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.diagnosis import Symptoms, passive
from hpsearch.recipe.history import History
from hpsearch.recipe.remedies import next_round, remedy_for
from hpsearch.records import Stage, StageState, TrialState
from hpsearch.vocabulary import VerdictCode


def step(history: History, stage: Stage) -> Answer:
    winner = history.carry.winner
    assert winner is not None
    epochs = history.carry.winner_epochs
    trials = [
        trial
        for trial in history.trials
        if trial.params == winner
        and trial.state is TrialState.COMPLETED
        and trial.program.kind == "train"
        and trial.budget is not None
        and trial.budget.epochs == epochs
    ]
    values = history.spec.hyperparameters(winner)
    accuracy = "accuracy" in history.spec.objective.metric
    verdict = passive(Symptoms.of(trials, history.facts(), values, accuracy=accuracy))
    carry = history.carry.model_copy(update={"verdicts": (*history.carry.verdicts, str(verdict.code))})
    then = history.proposing(carry)
    verdict = verdict.model_copy(update={"remedy": remedy_for(verdict.code, then)})
    following = next_round(verdict.code, then)
    if following is not None:
        carry = carry.model_copy(
            update={
                "grid": following.points,
                "survivors": following.survivors,
                "epochs": following.epochs,
                "spacing": following.spacing,
            }
        )
    else:
        carry = carry.model_copy(update={"note": f"no free knob can mend {verdict.code}"})
    state = StageState.PASSED if verdict.code is VerdictCode.OK else StageState.WARNED
    return ended(stage, state, verdict, carry)
