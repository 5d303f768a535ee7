"""Small plots as SVG text: axes, lines, dots and cells. Colours are CSS classes of the page."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 54.0, 14.0, 12.0, 38.0


@dataclass(frozen=True)
class Scale:
    """Maps low..high (logarithmically where `log`) to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value; values beyond the ends are drawn at the ends."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """About five round values within the scale."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)


def scale(
    values: Iterable[float], start: float, end: float, *, log: bool = False, pad: float = 0.04
) -> Scale:
    """The scale that shows all finite values (positive ones where `log`), with a margin."""
    shown = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(shown), max(shown)) if shown else (0.1, 1.0)
    if log:
        ratio = max(high / low, 1.2) ** pad
        return Scale(low / ratio, high * ratio, start, end, log=True)
    margin = (high - low) * pad or abs(high) * 0.1 or 1.0
    return Scale(low - margin, high + margin, start, end)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / 7)]
    return _linear_ticks(low, high)


def _linear_ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def label(value: float) -> str:
    """A number as an axis writes it."""
    if value == 0:
        return "0"
    if abs(value) < 1e-3 or abs(value) >= 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.6g}"


@dataclass(frozen=True)
class Frame:
    """A plot's size and scales."""

    x: Scale
    y: Scale
    width: float
    height: float


def frame(
    xs: Iterable[float],
    ys: Iterable[float],
    *,
    width: float = 520,
    height: float = 250,
    log_x: bool = False,
    log_y: bool = False,
) -> Frame:
    """A frame that shows all of these."""
    x = scale(xs, LEFT, width - RIGHT, log=log_x)
    y = scale(ys, height - BOTTOM, TOP, log=log_y)
    return Frame(x, y, width, height)


def axes(box: Frame, x_title: str, y_title: str) -> str:
    """Grid lines, tick labels and titles."""
    parts = []
    for tick in box.y.ticks():
        y = box.y(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT:g}" x2="{box.width - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 6:g}" y="{y + 3.5:.1f}" text-anchor="end">{label(tick)}</text>'
        )
    floor = box.height - BOTTOM
    parts.append(
        f'<line class="axis" x1="{LEFT:g}" x2="{box.width - RIGHT:g}" y1="{floor:g}" y2="{floor:g}"/>'
    )
    for tick in box.x.ticks():
        x = box.x(tick)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor:g}" y2="{floor + 4:g}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{floor + 16:g}" text-anchor="middle">{label(tick)}</text>'
        )
    middle = (LEFT + box.width - RIGHT) / 2
    parts.append(
        f'<text class="title" x="{middle:g}" y="{box.height - 5:g}" text-anchor="middle">{escape(x_title)}</text>'
    )
    centre = (TOP + floor) / 2
    parts.append(
        f'<text class="title" transform="translate(12 {centre:g}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>'
    )
    return "".join(parts)


def line(box: Frame, xs: Sequence[float], ys: Sequence[float], css: str, title: str = "") -> str:
    """A curve; it breaks where a value is not finite."""
    commands, drawing = [], False
    for x, y in zip(xs, ys, strict=True):
        if not math.isfinite(y) or (box.y.log and y <= 0) or (box.x.log and x <= 0):
            drawing = False
            continue
        commands.append(f"{'L' if drawing else 'M'}{box.x(x):.1f} {box.y(y):.1f}")
        drawing = True
    if not commands:
        return ""
    if len(commands) == 1:  # a path of one point is invisible
        return dots(box, xs, ys, css, title=title)
    return f'<path class="line {css}" d="{"".join(commands)}">{_tip(title)}</path>'


def dots(
    box: Frame, xs: Sequence[float], ys: Sequence[float], css: str, *, radius: float = 3, title: str = ""
) -> str:
    """A dot at each finite point."""
    return "".join(
        f'<circle class="dot {css}" cx="{box.x(x):.1f}" cy="{box.y(y):.1f}" r="{radius:g}">{_tip(title)}</circle>'
        for x, y in zip(xs, ys, strict=True)
        if math.isfinite(y) and (y > 0 or not box.y.log)
    )


def cross(x: float, y: float, css: str, title: str = "", size: float = 4) -> str:
    """A mark for what diverged."""
    d = f"M{x - size:.1f} {y - size:.1f}l{2 * size:g} {2 * size:g}m0 {-2 * size:g}l{-2 * size:g} {2 * size:g}"
    return f'<path class="cross {css}" d="{d}">{_tip(title)}</path>'


def text(x: float, y: float, words: str, css: str = "note", anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def rect(
    x: float,
    y: float,
    width: float,
    height: float,
    css: str,
    *,
    fill: str = "",
    title: str = "",
    round_: float = 0,
) -> str:
    paint = f' fill="{fill}"' if fill else ""
    return (
        f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_:g}"{paint}>'
        f"{_tip(title)}</rect>"
    )


def picture(width: float, height: float, body: str, description: str) -> str:
    """A whole SVG; `description` is what a screen reader says."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" '
        f'aria-label="{escape(description, quote=True)}">{body}</svg>'
    )


def _tip(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


# Viridis at 0, 1/8 ... 1 (matplotlib).
VIRIDIS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140),
    (40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37),
)  # fmt: skip


def viridis(share: float) -> tuple[int, int, int]:
    """The colour at 0..1."""
    at = min(max(share, 0.0), 1.0) * (len(VIRIDIS) - 1)
    i = min(int(at), len(VIRIDIS) - 2)
    low, high = VIRIDIS[i], VIRIDIS[i + 1]
    red, green, blue = (round(a + (b - a) * (at - i)) for a, b in zip(low, high, strict=True))
    return red, green, blue


def hexed(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def is_dark(colour: tuple[int, int, int]) -> bool:
    """Whether white text reads better on it (ITU-R BT.709 luma)."""
    red, green, blue = colour
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 130
