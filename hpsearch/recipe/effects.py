"""What a probe's change did to a run: at the same epoch, and against the run's own end."""

import math
from dataclasses import dataclass

from hpsearch.recipe.case import Case, Level, Probe, Result

TRAIN_GAIN, TRAIN_LOSS_SHARE = 0.02, 0.10  # that count as better on training data: points, relative loss
VAL_GAIN, VAL_LOSS_SHARE = 0.01, 0.07  # on validation data; points are held against their noise too
CLEAR_LOSS_SHARE, LARGE_LOSS_SHARE = 0.15, 0.30
DECISIVE = 0.25  # of everything there is to gain, validation and training averaged


@dataclass(frozen=True)
class Effect:
    """Gains of one probe. Shares of everything between chance and perfect, 1 at most. `noise`: standard error of a
    validation figure, `loss_noise`: of the share of the validation loss that a change saves.
    """

    probe: Probe
    before: Level  # the run at the same epoch, or its end where the probe continues it
    after: Level
    end: Level
    noise: float
    accuracy: bool
    loss_noise: float = 0.0

    @property
    def gain(self) -> float:
        """Over the run's end."""
        return _gain(self.end, self.after)

    @property
    def early_gain(self) -> float:
        """Over the run at the same epoch."""
        return _gain(self.before, self.after)

    @property
    def lost(self) -> float:
        """How much of the validation figure the change cost."""
        if self.accuracy:
            return self.end.val_metric - self.after.val_metric
        return self.end.val_skill - self.after.val_skill

    @property
    def helps_validation(self) -> bool:
        return self._val_better(self.end)

    @property
    def validation_leads(self) -> bool:
        """At the same epoch."""
        return self._val_better(self.before)

    @property
    def helps_clearly(self) -> bool:
        """By points, or by so much of the loss that no continuation of a settled run shows it."""
        saved = _saved(self.end.val_skill, self.after.val_skill)
        if not self.accuracy:
            return saved >= CLEAR_LOSS_SHARE
        points = self.after.val_metric - self.end.val_metric
        return self.gains_points or (saved >= CLEAR_LOSS_SHARE and points >= self.noise)

    @property
    def gains_points(self) -> bool:
        """More of the validation samples are right at the end than before; of a regression, its loss says it all."""
        points = self.after.val_metric - self.end.val_metric
        return not self.accuracy or points >= max(VAL_GAIN, self.noise)

    @property
    def helps_training(self) -> bool:
        return self._train_better(self.end)

    @property
    def decisive(self) -> bool:
        return self.gain >= DECISIVE

    def _train_better(self, before: Level) -> bool:
        points = self.after.train_metric - before.train_metric
        return points >= TRAIN_GAIN or _saved(before.train_skill, self.after.train_skill) >= TRAIN_LOSS_SHARE

    def _val_better(self, before: Level) -> bool:
        share = _saved(before.val_skill, self.after.val_skill)
        less_loss = share >= max(VAL_LOSS_SHARE, self.loss_noise)
        if not self.accuracy:
            return less_loss and self.after.val_skill - before.val_skill >= VAL_GAIN
        points = self.after.val_metric - before.val_metric
        sure = max(VAL_GAIN, self.noise)
        if share >= max(LARGE_LOSS_SHARE, 2 * self.loss_noise):
            # A rate that has not decayed yet swings a little in points.
            return points > -1.5 * self.noise
        return points >= sure or (less_loss and points > -self.noise / 2)

    def beats(self, other: "Effect", by: float) -> bool:
        """By such a share less training loss than another probe of the same length, and validation no worse."""
        saved = _saved(other.after.train_skill, self.after.train_skill)
        worse = _saved(other.after.val_skill, self.after.val_skill) < -self.loss_noise
        if self.accuracy:
            worse = self.after.val_metric < other.after.val_metric - self.noise / 2
        return saved >= by and not worse

    def helps_early(self) -> bool:
        """Better on both at the same epoch."""
        return self._train_better(self.before) and self._val_better(self.before)


def effect(case: Case, probe: Probe, result: Result) -> Effect:
    before = case.end if probe.continues else case.level(case.run, probe.epochs)
    return Effect(probe, before, case.level(result), case.end, case.noise, case.accuracy, case.loss_noise)


def _saved(before: float, after: float) -> float:
    """Which share of the loss is gone; skills are 1 - loss / chance."""
    if math.isnan(before):
        return 1.0 if math.isfinite(after) else 0.0
    return 1 - (1 - after) / max(1 - before, 1e-12) if math.isfinite(after) else -math.inf


def _gain(before: Level, after: Level) -> float:
    parts = [
        _clipped(new) - _clipped(old)
        for old, new in (
            (before.train_skill, after.train_skill),
            (before.val_skill, after.val_skill),
            (before.train_metric, after.train_metric),
            (before.val_metric, after.val_metric),
        )
        if not math.isnan(new) or not math.isnan(old)
    ]
    return sum(parts) / len(parts) if parts else 0.0


def _clipped(value: float) -> float:
    """A skill or share; a run worse than chance is no worse than chance to its owner."""
    return 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)
