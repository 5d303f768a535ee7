"""The picture of each stage: what a person would rather look at than read."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from hpsearch.records import Points, Stage, StageKind, Trial, TrialId, TrialState
from hpsearch.study_report import svg

WALL = 24  # curves in one picture
SHADES = 8  # classes s0 ... s7 of the page's style sheet
GRIDS = (StageKind.COARSE, StageKind.REFINE)


@dataclass(frozen=True)
class Album:
    """All that pictures are drawn from. `curves[metric][trial]` are thinned points."""

    stages: Sequence[Stage]
    trials: Mapping[TrialId, Trial]
    curves: Mapping[str, Mapping[TrialId, Points]]

    def of(self, stage: Stage) -> list[Trial]:
        """The stage's trials, by number."""
        return sorted((t for t in self.trials.values() if t.stage_id == stage.id), key=lambda t: t.number)

    def judged(self, stage: Stage) -> Trial | None:
        """The winner that a look at the curves speaks of: that of the last grid before it."""
        grids = [s for s in self.stages if s.position < stage.position and s.kind in GRIDS]
        return winner_of(grids[-1], self.of(grids[-1])) if grids else None

    def curve(self, metric: str, trial: Trial) -> Points | None:
        points = self.curves.get(metric, {}).get(trial.id)
        return points if points is not None and points.steps else None


def pictures(stage: Stage, album: Album) -> list[str]:
    """The stage's figures as HTML; none where there is nothing to draw."""
    trials = album.of(stage)
    match stage.kind:
        case StageKind.INITIAL_LOSS:
            drawn = [_initial_loss(trial) for trial in trials[-1:]]
        case StageKind.OVERFIT | StageKind.FIND_LR:
            drawn = [_by_learning_rate(stage, trials, album)]
        case StageKind.CURVES:
            judged = album.judged(stage)
            drawn = [] if judged is None else [_scatter(judged, album), _accuracy(judged, album)]
        case StageKind.COARSE | StageKind.REFINE | StageKind.SEARCH:
            best = winner_of(stage, trials)
            drawn = [heat_map(trials, best), wall(trials, best, album)]
        case StageKind.FINAL:
            drawn = [wall(trials, None, album)]
    return [figure for figure in drawn if figure]


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _key(css: str, words: str) -> str:
    return f'<span class="key"><i class="{css}"></i>{escape(words)}</span>'


# --- step 1 --------------------------------------------------------------------------------------


def _initial_loss(check: Trial) -> str:
    losses = [v for v in check.measurement_list("initial_losses") if math.isfinite(v) and v > 0]
    expected = check.measurement("expected_loss")
    if not losses or not expected > 0:
        return ""
    low, high = 0.9 * expected, 1.5 * expected
    width, height, middle = 520.0, 96.0, 40.0
    x = svg.scale([*losses, low / 1.2, high * 1.5], svg.LEFT, width - svg.RIGHT, log=True)
    parts = [
        svg.rect(
            x(low), middle - 20, x(high) - x(low), 40, "band", title="passes: 0.9 to 1.5 times expected"
        ),
        f'<line class="expected" x1="{x(expected):.1f}" x2="{x(expected):.1f}" y1="{middle - 26}" y2="{middle + 20}"/>',
        svg.text(x(expected), middle - 30, f"expected {expected:.3g}", anchor="middle"),
    ]
    parts += [
        f'<line class="axis" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{middle + 20}" y2="{middle + 24}"/>'
        + svg.text(x(t), middle + 36, svg.label(t), "tick", "middle")
        for t in x.ticks()
    ]
    parts.append(
        f'<line class="axis" x1="{svg.LEFT}" x2="{width - svg.RIGHT}" y1="{middle + 20}" y2="{middle + 20}"/>'
    )
    parts += [
        f'<circle class="dot winner" cx="{x(v):.1f}" cy="{middle}" r="5"><title>{v:.4g}</title></circle>'
        for v in losses
    ]
    parts.append(svg.text(width / 2, height - 4, "loss at initialization (log)", "title", "middle"))
    said = f"{len(losses)} initializations, median {statistics.median(losses):.3g}; shaded: what passes"
    return _figure(svg.picture(width, height, "".join(parts), said), said)


# --- steps 2 and 3 -------------------------------------------------------------------------------


def _by_learning_rate(stage: Stage, trials: Sequence[Trial], album: Album) -> str:
    """Minibatch loss against steps, shaded by learning rate; what diverged ends in a cross."""
    drawn = [(t, c) for t in trials if (c := album.curve("loss", t)) is not None]
    if not drawn:
        return ""
    rates = sorted({_rate(t) for t, _ in drawn})
    box = svg.frame(
        [s for _, c in drawn for s in c.steps], [v for _, c in drawn for v in c.values if v < 1e4], log_y=True
    )
    parts = [svg.axes(box, "optimizer step", "minibatch loss (log)")]
    for trial, curve in drawn:
        css = _shade(rates.index(_rate(trial)), len(rates))
        words = f"lr {svg.label(_rate(trial))}, {trial.role}: {trial.state}"
        parts.append(svg.line(box, curve.steps, curve.values, css, words))
        if trial.state is TrialState.DIVERGED:
            step, value = _last_finite(curve)
            parts.append(svg.cross(box.x(step), box.y(value), css, words))
    keys = "".join(_key(_shade(i, len(rates)), f"lr {svg.label(rate)}") for i, rate in enumerate(rates))
    said = f"{stage.kind.replace('_', ' ')}: minibatch loss of {len(drawn)} trials by learning rate"
    return _figure(svg.picture(box.width, box.height, "".join(parts), said), keys + _diverged_key(trials))


def _diverged_key(trials: Sequence[Trial]) -> str:
    lost = any(t.state is TrialState.DIVERGED for t in trials)
    return '<span class="key">× diverged</span>' if lost else ""


def _rate(trial: Trial) -> float:
    rate = trial.params.get("learning_rate", 0.0)
    return float(rate) if isinstance(rate, int | float) else 0.0


def _shade(place: int, of: int) -> str:
    return f"s{round(place * (SHADES - 1) / max(of - 1, 1))}"


def _last_finite(curve: Points) -> tuple[float, float]:
    known = [(s, v) for s, v in zip(curve.steps, curve.values, strict=True) if math.isfinite(v) and v > 0]
    return known[-1] if known else (0.0, 1.0)


# --- grids ---------------------------------------------------------------------------------------


def heat_map(trials: Sequence[Trial], winner: Trial | None) -> str:
    """Validation loss over learning rate and weight decay, of the first seed: all points share it."""
    cells: dict[tuple[float, float], list[Trial]] = {}
    first = min((t.replicate for t in trials), default=0)
    for trial in trials:
        place = _place(trial)
        if place is not None and trial.replicate == first:
            cells.setdefault(place, []).append(trial)
    rates, decays = sorted({r for r, _ in cells}), sorted({d for _, d in cells})
    if len(cells) < 3 or len(rates) > 12 or len(decays) > 12 or len(rates) < 2:
        return ""
    losses = {place: _mean_loss(group) for place, group in cells.items()}
    known = [math.log(v) for v in losses.values() if math.isfinite(v) and v > 0]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    best = _place(winner) if winner is not None else None
    width, cell = 520.0, 34.0
    height = len(decays) * cell + svg.BOTTOM + 10
    step = (width - svg.LEFT - svg.RIGHT - 10) / len(rates)
    parts = []
    for (rate, decay), value in losses.items():
        x = svg.LEFT + 10 + rates.index(rate) * step
        y = (len(decays) - 1 - decays.index(decay)) * cell + 4
        parts.append(_cell(x, y, step - 2, cell - 2, value, low, high, best=(rate, decay) == best))
    for i, rate in enumerate(rates):
        parts.append(
            svg.text(svg.LEFT + 10 + (i + 0.5) * step, height - 24, svg.label(_short(rate)), "tick", "middle")
        )
    for i, decay in enumerate(decays):
        y = (len(decays) - 1 - i + 0.5) * cell + 7
        parts.append(svg.text(svg.LEFT + 4, y, svg.label(_short(decay)), "tick", "end"))
    parts.append(svg.text(width / 2, height - 5, "learning rate × weight decay (up)", "title", "middle"))
    said = "validation loss (first seed) by learning rate and weight decay; darker is lower, the winner is framed"
    return _figure(svg.picture(width, height, "".join(parts), said), said)


def _cell(
    x: float, y: float, width: float, height: float, value: float, low: float, high: float, *, best: bool
) -> str:
    middle = (x + width / 2, y + height / 2 + 4)
    if not math.isfinite(value):
        return svg.rect(x, y, width, height, "lost", round_=3) + svg.text(
            *middle, "diverged", "tick", "middle"
        )
    share = (math.log(value) - low) / (high - low) if high > low and value > 0 else 0.0
    colour = svg.viridis(0.1 + 0.9 * share)
    css = "on-dark" if svg.is_dark(colour) else "on-light"
    frame = "cell best" if best else "cell"
    return svg.rect(x, y, width, height, frame, fill=svg.hexed(colour), round_=3) + svg.text(
        *middle, svg.label(_short(value)), css, "middle"
    )


def _mean_loss(trials: Sequence[Trial]) -> float:
    known = [v for t in trials if math.isfinite(v := loss_of(t))]
    return statistics.fmean(known) if known else math.inf


def loss_of(trial: Trial) -> float:
    """A trial's validation loss at its best, else its last; infinite where there is none."""
    if trial.state is not TrialState.COMPLETED:
        return math.inf
    value = trial.measurement("val_loss_best", trial.metrics.get("val_loss", math.inf))
    return value if math.isfinite(value) else math.inf


def winner_of(stage: Stage, trials: Sequence[Trial]) -> Trial | None:
    """The trial of the point that the stage chose; before it has, or if it says nothing, the lowest loss."""
    chosen = stage.carried.get("winner")
    of_choice = [t for t in trials if t.params == chosen and math.isfinite(loss_of(t))]
    if of_choice:
        return min(of_choice, key=lambda t: t.replicate)
    return min((t for t in trials if math.isfinite(loss_of(t))), key=loss_of, default=None)


def _place(trial: Trial) -> tuple[float, float] | None:
    rate, decay = trial.params.get("learning_rate"), trial.params.get("weight_decay")
    if isinstance(rate, int | float) and isinstance(decay, int | float):
        return float(rate), float(decay)
    return None


def _short(value: float) -> float:
    return float(f"{value:.3g}")


# --- curves --------------------------------------------------------------------------------------


def wall(trials: Sequence[Trial], winner: Trial | None, album: Album) -> str:
    """Training (dashed) and validation loss of the winner and the next best, shaded by rank, log y."""
    have = [t for t in trials if album.curve("val_loss", t) is not None]
    shown = sorted(have, key=lambda t: (t is not winner, loss_of(t)))[:WALL]
    if not shown:
        return ""
    pairs = [(album.curve("train_loss", t), album.curve("val_loss", t)) for t in shown]
    flat = [c for pair in pairs for c in pair if c is not None]
    box = svg.frame(
        [s for c in flat for s in c.steps], [v for c in flat for v in c.values if v < 1e4], log_y=True
    )
    parts = [svg.axes(box, "optimizer step", "loss (log)")]
    for rank in range(len(shown) - 1, -1, -1):
        trial = shown[rank]
        css = "winner" if rank == 0 else f"{_shade(rank, len(shown))}{'' if rank < 4 else ' faint'}"
        words = f"#{trial.number}: validation loss {loss_of(trial):.4g}, {trial.state}"
        train, val = pairs[rank]
        parts += [
            svg.line(box, c.steps, c.values, css + dash, words)
            for c, dash in ((train, " dashed"), (val, ""))
            if c
        ]
    keys = (
        _key("winner", f"{'winner' if shown[0] is winner else 'lowest'}, #{shown[0].number}")
        + _key("s1", "next")
        + '<span class="key">dashed: training, solid: validation</span>'
    )
    if len(shown) < len(have):
        keys += f'<span class="key">showing {len(shown)} of {len(have)}</span>'
    said = f"learning curves of {len(shown)} trials"
    return _figure(svg.picture(box.width, box.height, "".join(parts), said), keys)


def _scatter(trial: Trial, album: Album) -> str:
    """The winner's minibatch losses as dots and their moving average: noise apart from trend (step 6)."""
    curve = album.curve("loss", trial)
    if curve is None:
        return ""
    box = svg.frame(curve.steps, [v for v in curve.values if v < 1e4], log_y=True)
    window = max(len(curve.values) // 15, 3)
    smooth = [statistics.fmean(curve.values[max(0, i - window) : i + 1]) for i in range(len(curve.values))]
    body = (
        svg.axes(box, "optimizer step", "minibatch loss (log)")
        + svg.dots(box, curve.steps, curve.values, "s2", radius=1.6)
        + svg.line(box, curve.steps, smooth, "winner")
    )
    said = f"the winner's (#{trial.number}) minibatch losses and their moving average"
    return _figure(svg.picture(box.width, box.height, body, said), said)


def _accuracy(trial: Trial, album: Album) -> str:
    """The winner's training and validation accuracy: the gap between them."""
    names = ("train_accuracy", "val_accuracy")
    drawn = [(n, c) for n in names if (c := album.curve(n, trial)) is not None]
    if not drawn:
        return ""
    box = svg.frame([s for _, c in drawn for s in c.steps], [v for _, c in drawn for v in c.values])
    lines = [
        svg.line(box, c.steps, c.values, "winner" if n == names[1] else "s2 dashed", n) for n, c in drawn
    ]
    body = svg.axes(box, "optimizer step", "accuracy") + "".join(lines)
    keys = _key("winner", "validation") + _key("s2", "training (dashed)")
    return _figure(svg.picture(box.width, box.height, body, f"accuracy of the winner, #{trial.number}"), keys)
