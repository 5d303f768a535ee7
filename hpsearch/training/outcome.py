"""How a training ended, as an outcome."""

import math

import torch

from hpsearch import curves
from hpsearch.records import Number, Outcome
from hpsearch.training.ensemble import ensemble_metric
from hpsearch.training.monitors import peak_memory
from hpsearch.training.prepared import Prepared
from hpsearch.training.targets import class_labels
from hpsearch.training.trainer import End, Trainer

CURVE_POINTS = 24
LAST_LOSSES = 20  # minibatch losses that step 3 of the recipe tests


def train_outcome(trainer: Trainer, end: End) -> Outcome:
    """See `records.Outcome`. A run without a finite objective counts as diverged."""
    best = trainer.selection.best
    steps = trainer.step - trainer.started_at_step
    if end == "released":
        return Outcome(state="released", metrics=trainer.history.last(), steps=steps)
    if best is None:
        end = "diverged"
    metrics: dict[str, Number] = trainer.history.last()
    if best is not None:
        metrics.update({f"best_{name}": value for name, value in best.record.items()})
    measurements = train_measurements(trainer)
    if end == "diverged":
        finite = [loss for loss in trainer.history.values("loss") if math.isfinite(loss)]
        metrics["loss"] = finite[-1] if finite else math.nan
        measurements["diverged_at"] = float(trainer.diverged_at or trainer.step)
    else:
        metrics.update(_of_ensemble(trainer))
        if trainer.plan.program.test:
            metrics.update(_tested(trainer))
    value = None if end == "diverged" or best is None else best.record[trainer.plan.objective.metric]
    return Outcome(state=end, value=value, metrics=metrics, measurements=measurements, steps=steps)


def train_measurements(trainer: Trainer) -> dict[str, Number | list[Number]]:
    """`curves.features` of the whole curve, and what the recipe needs to read them."""
    prepared, objective = trainer.prepared, trainer.plan.objective
    losses = trainer.history.values("loss")
    steps = trainer.step - trainer.started_at_step
    found: dict[str, Number | list[Number]] = {
        **curves.features(trainer.history.curves, objective.metric, objective.direction),
        "train_size": float(prepared.train.count),
        "val_size": prepared.validation_answers(),
        "steps_per_epoch": float(prepared.steps_per_epoch),
        "classes": prepared.classes(),
        "first_loss": losses[0] if losses else math.nan,
        "last_losses": losses[-LAST_LOSSES:],
        "seconds": trainer.seconds,
        "samples_per_second": steps * prepared.batch_size / max(trainer.seconds, 1e-9),
        "peak_memory": peak_memory(prepared.device),
    }
    if trainer.plan.program.subset_batches is None:
        found.update(evaluation_curves(trainer))
    if trainer.fit_at is not None:
        found["fit_at"] = float(trainer.fit_at)
    if trainer.out_of_patience:
        found["stopped_early_at"] = float(trainer.step)
    if trainer.plan.program.subset_batches is not None:
        found["conflicts"] = float(conflicts(prepared))
    return found


def evaluation_curves(trainer: Trainer) -> dict[str, Number | list[Number]]:
    """`curve_epochs` and `curve_<metric>`: at most 24 evaluations, so that a probe can be held against this
    run at the same epoch.
    """
    prepared, curves_ = trainer.prepared, trainer.history.curves
    steps = curves_.get("val_loss", ([], []))[0]
    if not steps:
        return {}
    kept = curves.thinned(len(steps), CURVE_POINTS)
    found: dict[str, Number | list[Number]] = {
        "curve_epochs": [steps[i] / prepared.steps_per_epoch for i in kept]
    }
    for name in prepared.reported_metrics:
        at = dict(zip(*curves_[name], strict=True))
        found[f"curve_{name}"] = [float(f"{at.get(steps[i], math.nan):.6g}") for i in kept]
    return found


def conflicts(prepared: Prepared) -> int:
    """How many training samples no model can get right: inputs that occur with several labels, counted
    without each input's most frequent one. 0 for a regression.
    """
    inputs, targets = prepared.train.take(torch.arange(prepared.train.count))
    labels = class_labels(targets, prepared.metric.name)
    if labels is None:
        return 0
    seen: dict[bytes, dict[int, int]] = {}
    for row, label in zip(inputs.cpu().flatten(1).numpy(), labels.tolist(), strict=True):
        counts = seen.setdefault(row.tobytes(), {})
        counts[label] = counts.get(label, 0) + 1
    return sum(sum(counts.values()) - max(counts.values()) for counts in seen.values())


def _of_ensemble(trainer: Trainer) -> dict[str, Number]:
    """The kept snapshots together, on validation data and, where it may be opened, on the test set."""
    prepared, kept = trainer.prepared, trainer.selection.kept
    if len(kept) < 2:
        return {}
    splits = {"val": prepared.validation}
    if trainer.plan.program.test and prepared.test is not None:
        splits["test"] = prepared.test
    return {
        f"ensemble_{split}_{prepared.metric.name}": ensemble_metric(trainer.model, kept, prepared, samples)
        for split, samples in splits.items()
    }


def _tested(trainer: Trainer) -> dict[str, Number]:
    """The best snapshot on the test set."""
    prepared = trainer.prepared
    if prepared.test is None or trainer.selection.best is None:
        return {}
    trainer.model.load_state_dict(trainer.selection.best.weights)
    found = prepared.evaluate(trainer.model, prepared.test, torch.arange(prepared.test.count))
    return {"test_loss": found.loss, f"test_{prepared.metric.name}": found.metric}
