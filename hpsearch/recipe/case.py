"""One run under examination: what it was, what was measured of it, and what its probes found."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hpsearch.curves import LATE_SHARE
from hpsearch.recipe.history import Facts
from hpsearch.records import Measured
from hpsearch.space import Params

TAIL = 2  # evaluations that are averaged where one would be noise
TREND_P, LATE_DROP = 0.1, 0.05  # a falling trend; the late part of all that was made
FEW = 6  # evaluations, too few for a test of trend or jitter
FIT_SHARE, FIT_LOSS, FIT_VARIANCE = 0.995, 0.97, 0.99
SHORT, TINY_BATCH = 5, 4  # epochs; samples, which make many steps of a few epochs
COLLAPSE = 0.3  # of the loss at chance that a run lost again


@dataclass(frozen=True)
class Probe:
    """A counterfactual run: the same initialization and data order, `changes` made, so many epochs.

    `continues`: nothing changes before the examined run's end, so it may go on from its last checkpoint.
    """

    changes: Mapping[str, float | int | str | bool]
    epochs: float
    continues: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        return (*sorted((name, repr(value)) for name, value in self.changes.items()), self.epochs)


@dataclass(frozen=True)
class Result:
    """How a run, or a probe, ended, as the examination reads it."""

    state: str
    seen: Measured
    cost: float = 0.0  # epochs that it trained

    @property
    def diverged(self) -> bool:
        return self.state == "diverged"

    @property
    def usable(self) -> bool:
        return self.state in ("completed", "diverged")


@dataclass(frozen=True)
class Level:
    """How good a run is at one moment: skills are 1 - loss / loss at chance; metrics only where shares of 1."""

    train_skill: float
    val_skill: float
    train_metric: float
    val_metric: float


@dataclass(frozen=True)
class Case:
    """Everything an examination may look at.

    `values`: every hyperparameter of the run. `epochs`: its length. `sizing`: changes that make any
    model larger, as a probe; `size_knob`: those that size this one, as a remedy, where they are known. `results`: probes that have ended, by `Probe.key`. `allowance`: epochs that all probes together
    may cost; 0 judges passively. `metric`: name of the objective without `val_`.
    """

    values: Params
    epochs: float
    metric: str
    accuracy: bool
    check: Measured
    run: Result
    sizing: Params = field(default_factory=dict)
    size_knob: Params = field(default_factory=dict)
    results: Mapping[tuple[object, ...], Result] = field(default_factory=dict)
    allowance: float = 0.0

    @cached_property
    def facts(self) -> Facts:
        return Facts.of(self.check)

    def number(self, name: str) -> float:
        value = self.values[name]
        return math.nan if isinstance(value, str) else float(value)

    def feature(self, name: str) -> float:
        return self.run.seen.measurement(name)

    def cost(self, probe: Probe) -> float:
        """Epochs of the whole training set that a probe trains."""
        share = float(probe.changes.get("train_fraction", 0.0)) / self.number("train_fraction") or 1.0
        return share * probe.epochs - (self.epochs if probe.continues else 0.0)

    @cached_property
    def spent(self) -> float:
        """Epochs that probes have trained."""
        return sum(found.cost for found in self.results.values())

    # --- levels -----------------------------------------------------------------------------------

    @cached_property
    def chance(self) -> Level:
        """Of knowing only the label frequencies."""
        majority = self.facts.majority
        share = 0.0 if not self.accuracy or math.isnan(majority) else majority
        if self.metric == "balanced_accuracy" and self.facts.classes > 0:
            share = 1 / self.facts.classes
        return Level(0.0, 0.0, share, share)

    @cached_property
    def end(self) -> Level:
        return self.level(self.run)

    @property
    def best_val_skill(self) -> float:
        """Of two evaluations in a row; what a run at a high rate swings back to."""
        return self._skill([self.feature("val_loss_best")])

    def level(self, result: Result, epoch: float | None = None) -> Level:
        """At the end, or at the last evaluation up to `epoch`; chance where the run diverged."""
        if result.diverged:
            return Level(-1.0, -1.0, *(2 * [self.chance.val_metric]))
        train, validation = self._curve(result, "train_loss", epoch), self._curve(result, "val_loss", epoch)
        levels = [self._skill(values) for values in (train, validation)]
        shares = [self._curve(result, f"{split}_{self.metric}", epoch) for split in ("train", "val")]
        metrics = [_tail(values) if self.accuracy else math.nan for values in shares]
        return Level(levels[0], levels[1], metrics[0], metrics[1])

    def _skill(self, losses: Sequence[float]) -> float:
        loss, chance = _tail(losses), self.facts.chance_loss
        return 1 - loss / chance if chance > 0 else -loss

    def _curve(self, result: Result, name: str, epoch: float | None) -> list[float]:
        values = result.seen.measurement_list(f"curve_{name}")
        if not values:
            end = {"train_loss": "train_loss_end", "val_loss": "val_loss_end"}.get(
                name, "train_objective_end" if name.startswith("train_") else "objective_end"
            )
            return [result.seen.measurement(end)]
        if epoch is None:
            return values
        epochs = result.seen.measurement_list("curve_epochs")
        upto = [value for value, at in zip(values, epochs, strict=True) if at <= epoch + 1e-6]
        return upto or values[:1]

    # --- noise ------------------------------------------------------------------------------------

    @cached_property
    def noise(self) -> float:
        """Standard error of a validation figure: of a share by the binomial and the run's own jitter, of the
        loss explained by the chi-squared spread of a mean of squares, sqrt(2 / n).
        """
        size = self.run.seen.measurement("val_size", math.nan)
        if not size > 0:
            return 0.0
        if not self.accuracy:
            lost = min(max(1 - self.end.val_skill, 0.0), 1.0)
            return math.sqrt(2 / size) * lost
        jitter = self.feature("objective_se")
        if math.isnan(jitter) or self.feature("evaluations") < FEW:
            return self._binomial  # a few evaluations show the run's rise, not its jitter
        return max(self._binomial, min(jitter, 3 * self._binomial))

    @property
    def _binomial(self) -> float:
        """Standard error of a share of `val_size` samples."""
        size = self.run.seen.measurement("val_size")
        share = min(max(self.end.val_metric, 1 / (size + 2)), 1 - 1 / (size + 2))
        return math.sqrt(share * (1 - share) / size)

    @cached_property
    def loss_noise(self) -> float:
        """Standard error of the share of the validation loss that a change saves. Of a mean of squares over n
        samples it is sqrt(2 / n). A cross-entropy L comes from few samples that cost much, so its variance is
        about 2 L a sample: sqrt(2 / (n L)). Two runs judged on the same samples differ by half of that at most
        (18 tasks, five seeds each: 0.02 to 0.5 times, where training itself has come to rest).
        """
        size = self.run.seen.measurement("val_size", math.nan)
        if not size > 0:
            return 0.0
        loss = (1 - self.end.val_skill) * self.facts.chance_loss if self.accuracy else 1.0
        return 0.5 * math.sqrt(2 / (size * loss)) if loss > 0 else 0.0

    @property
    def short(self) -> bool:
        """So few epochs that more of them are the first thing to try."""
        return self.epochs < SHORT and self.number("batch_size") > TINY_BATCH

    @cached_property
    def fitted(self) -> bool:
        """The training data is learned as far as it can be: 99.5 % accuracy, or 97 % of the loss at chance; of a
        regression 99 %, whose loss is its score.
        """
        if self.accuracy:
            return self.end.train_metric >= FIT_SHARE or self.end.train_skill >= FIT_LOSS
        return self.end.train_skill >= FIT_VARIANCE

    @cached_property
    def collapsed(self) -> bool:
        """The run had learned something on training data and lost it again."""
        losses = [loss for loss in self._curve(self.run, "train_loss", None) if math.isfinite(loss)]
        chance = self.facts.chance_loss
        return bool(losses) and losses[-1] - min(losses) > COLLAPSE * chance > 0

    @cached_property
    def still_falling(self) -> bool:
        """The training loss has a falling trend at the end (Mann-Kendall), and made there a noticeable part of
        all that it has made since chance.
        """
        losses = self.run.seen.measurement_list("curve_train_loss")
        if len(losses) < 2 or not (_descends(losses) or self.feature("train_trend_p") < TREND_P):
            return False
        at = losses[math.floor((1 - LATE_SHARE) * (len(losses) - 1))]
        made = max(self.facts.chance_loss, losses[0]) - losses[-1]
        return at - losses[-1] > LATE_DROP * made > 0

    @cached_property
    def descending(self) -> bool:
        """Too few evaluations for a test of trend, and the training loss fell at each."""
        losses = self.run.seen.measurement_list("curve_train_loss")
        return len(losses) > 1 and _descends(losses)

    @cached_property
    def learned(self) -> bool:
        """Better than chance on training data."""
        return self.end.train_skill > 0.05 or (
            self.accuracy and self.end.train_metric > self.chance.train_metric + max(0.05, 3 * self.noise)
        )


def _tail(values: Sequence[float]) -> float:
    finite = [value for value in values[-TAIL:] if math.isfinite(value)]
    return statistics.fmean(finite) if finite else math.nan


def _descends(losses: Sequence[float]) -> bool:
    """Too few for a test of trend: each lower than the one before."""
    return len(losses) < FEW and all(after < before for before, after in itertools.pairwise(losses))
