"""One run judged without a server: train it, probe it, say what is wrong and what to do."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.diagnosis import Diagnosis
from hpsearch.passive import note_on
from hpsearch.recipe.case import Case, Probe, Result
from hpsearch.recipe.examination import examine
from hpsearch.recipe.history import NO_REGULARIZATION
from hpsearch.records import Budget, Outcome, Program, Verdict
from hpsearch.space import Params, ParamValue
from hpsearch.spec import Objective
from hpsearch.tasks import NamedTask
from hpsearch.training.checkpoint import LAST_FILE
from hpsearch.training.metrics import own_metric
from hpsearch.training.program import Place, run_task
from hpsearch.training.seeds import reproducible
from hpsearch.training.sizing import larger
from hpsearch.training.task import Task
from hpsearch.vocabulary import Knob, check_value, hyperparameters, knobs_of
from hpsearch.wire import Assignment

LOSSES = ("mse", "mae")
ANY_MODEL: Params = {"extra_capacity": 4}
SIZES = ("hidden_units", "channels", "hidden_layers")  # of the vocabulary, beside a task's own knobs


def diagnose(
    task: Task,
    params: Mapping[str, ParamValue] | None = None,
    *,
    seed: int = 0,
    probes: bool = True,
    device: str = "cpu",
    threads: int = 1,
) -> dict[str, Any]:
    """Train `task` once with `params` and judge the run.

    `params` are hyperparameters of the vocabulary or the task's own; the others have their defaults, `epochs`
    is how long the run is. With `probes`, short counterfactual runs prove the verdict; together they train at
    most as many steps as the run. Returns `diagnosis.Diagnosis` as JSON: verdict, confidence, text, evidence,
    segment, probe, remedy, alternatives, cost ...; `remedy.changes` maps a knob to its new value,
    `remedy.grid` to all that are worth a try. Raises ValueError for an unknown name or a value out of range, and what the task raises.
    """
    bench = _Bench.of(task, dict(params or {}), seed, device, threads)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder, reproducible(device, threads):
        bench.folder = Path(folder)
        verdict = bench.judge(probes=probes)
    cost = {
        "run_steps": float(bench.run_steps),
        "probe_steps": float(bench.probe_steps),
        "seconds": time.perf_counter() - began,
    }
    note = None if probes else note_on(verdict.code)
    return Diagnosis.of(verdict, cost=cost, note=note).model_dump(mode="json")


@dataclass
class _Bench:
    """Trains the run and its probes in this process."""

    task: Task
    params: Params
    values: Params
    sizes: Mapping[str, Knob]
    seed: int
    device: str
    threads: int
    metric: str
    folder: Path = field(default_factory=Path)
    run_steps: int = 0
    probe_steps: int = 0
    steps_per_epoch: float = 1.0

    @classmethod
    def of(cls, task: Task, params: Params, seed: int, device: str, threads: int) -> "_Bench":
        own = {name: Knob.parse(words) for name, words in task.knobs.items()}
        known = knobs_of(own)
        params = {name: check_value(name, value, known) for name, value in params.items()}
        values = hyperparameters(own, task.defaults, params)
        sizes = {**own, **{name: known[name] for name in SIZES}}
        return cls(task, params, values, sizes, seed, device, threads, own_metric(task).name)

    @property
    def epochs(self) -> float:
        return float(self.values["epochs"])

    @property
    def accuracy(self) -> bool:
        return "accuracy" in self.metric

    def judge(self, *, probes: bool) -> Verdict:
        checked = self._train(Program(kind="check", overrides=NO_REGULARIZATION), None)
        self.steps_per_epoch = checked.measurement("steps_per_epoch", 1.0)
        run = self._train(Program(kind="train"), Budget(epochs=self.epochs), keep=True)
        self.run_steps = max(1, round(self.epochs * self.steps_per_epoch))
        size_knob = larger(self.task, self.values, self.sizes) if probes else {}
        results: dict[tuple[object, ...], Result] = {}
        while True:
            case = Case(
                values=self.values,
                epochs=self.epochs,
                metric=self.metric,
                accuracy=self.accuracy,
                check=checked,
                run=Result(run.state, run),
                sizing=ANY_MODEL,
                size_knob=size_knob,
                results=results,
                allowance=self.epochs if probes else 0.0,
            )
            found = examine(case)
            if isinstance(found, Verdict):
                return found
            for probe in found:
                results[probe.key] = self._probe(probe)

    def _probe(self, probe: Probe) -> Result:
        program = Program(kind="train", overrides=dict(probe.changes))
        outcome = self._train(program, Budget(epochs=probe.epochs), resume=probe.continues)
        self.probe_steps += outcome.steps
        return Result(outcome.state, outcome, outcome.steps / self.steps_per_epoch)

    def _train(
        self, program: Program, budget: Budget | None, *, keep: bool = False, resume: bool = False
    ) -> Outcome:
        last = self.folder / "run" / LAST_FILE
        place = Place(
            device=self.device,
            work_dir=self.folder / ("run" if keep else "probe"),
            data_dir=Path(),
            tasks_dir=None,
            threads=self.threads,
            start=last if resume and last.is_file() else None,
            keep_last=keep,
        )
        direction = "minimize" if self.metric in LOSSES else "maximize"
        assignment = Assignment(
            task=NamedTask(dataset="digits", model="mlp"),
            params=self.params,
            program=program,
            budget=budget,
            objective=Objective(metric=f"val_{self.metric}", direction=direction),
            seed=self.seed,
        )
        return run_task(self.task, assignment, place, lambda series: None, lambda: False)
