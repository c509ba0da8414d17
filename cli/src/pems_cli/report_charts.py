"""Charts of the report as inline SVG: bars and lines over days or hours, styled by the page's CSS variables.

A value that is unknown leaves a gap. Every mark carries a title, which browsers show on hover and read aloud.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

__all__ = ["Line", "Stack", "bars", "lines", "nice_ticks"]

_WIDTH, _HEIGHT = 480, 210  # small, so that its text can be read on a phone too
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 6, 10, 26
_MOST_LABELS = 7
_MOST_DOTS = 62

Values = Sequence[float | None]
Form = Callable[[float | None], str]


@dataclass(frozen=True)
class Stack:
    """One part of stacked bars: name, CSS class of its colour, value of each place (below 0: drawn downwards)."""

    name: str
    css: str
    values: Values


@dataclass(frozen=True)
class Line:
    """One line: name, CSS class of its colour, value of each place."""

    name: str
    css: str
    values: Values


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that span `[low, high]`: steps of 1, 2 or 5 times a power of ten, 0 among them if it is inside."""
    high = high if high > low else low + 1.0
    raw = (high - low) / wanted
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    return [round(n * step, 10) for n in range(floor(low / step), ceil(high / step) + 1)]


@dataclass(frozen=True)
class _Frame:
    """Maps places and values to the picture."""

    count: int
    low: float
    high: float

    def x(self, place: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * place / max(1, self.count)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * share


def _frame(labels: Sequence[str], values: Sequence[float], form: Form) -> tuple[_Frame, list[str]]:
    ticks = nice_ticks(min([0.0, *values]), max([0.0, *values]) or 1.0)
    frame = _Frame(len(labels), ticks[0], ticks[-1])
    parts = []
    for tick in ticks:
        y = frame.y(tick)
        css = "axis" if tick == 0 else "grid"
        parts.append(f'<line class="{css}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(form(tick))}</text>')
    every = ceil(len(labels) / _MOST_LABELS)
    for place in range(0, len(labels), every):
        x = frame.x(place + 0.5)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(labels[place])}</text>')
    return frame, parts


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    if len(entries) < 2:
        return ""
    marks = "".join(f'<span><i class="{css}"></i>{escape(name)}</span>' for name, css in entries)
    return f'<p class="legend">{marks}</p>'


def bars(
    title: str,
    labels: Sequence[str],
    stacks: Sequence[Stack],
    form: Form,
    *,
    tell: Form | None = None,
    level: Line | None = None,
) -> str:
    """Stacked bars.

    Args:
        title: What is shown, for those who cannot see it.
        labels: Of the places, below the axis where there is room.
        stacks: Parts from the axis outwards, upwards above 0 and downwards below.
        form: Text of a value at the axis.
        tell: Text of a value with its unit, for the marks' titles; `form` where not given.
        level: A line across, such as what is usual.
    """
    tell = tell or form
    ups = [sum(max(0.0, part.values[i] or 0.0) for part in stacks) for i in range(len(labels))]
    downs = [sum(min(0.0, part.values[i] or 0.0) for part in stacks) for i in range(len(labels))]
    levels = [value for value in level.values if value is not None] if level else []
    frame, parts = _frame(labels, [*ups, *downs, *levels], form)
    width = min(36.0, (frame.x(1) - frame.x(0)) * 0.72)
    for i, label in enumerate(labels):
        up = down = 0.0
        for part in stacks:
            value = part.values[i]
            if not value:
                continue
            begin = up if value > 0 else down
            top, bottom = frame.y(max(begin, begin + value)), frame.y(min(begin, begin + value))
            up, down = (up + value, down) if value > 0 else (up, down + value)
            parts.append(
                f'<rect class="{part.css}" x="{frame.x(i + 0.5) - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{bottom - top:.1f}"><title>{escape(f"{label}: {part.name} {tell(value)}")}</title></rect>'
            )
    if level is not None:
        parts += _course(frame, level, labels, tell, dots=False)
    entries = [(part.name, part.css) for part in stacks]
    return _svg(title, parts) + _legend(entries + ([(level.name, level.css)] if level else []))


def lines(title: str, labels: Sequence[str], courses: Sequence[Line], form: Form, *, tell: Form | None = None) -> str:
    """Lines over places, with gaps where a value is unknown; arguments as of `bars`."""
    known = [value for course in courses for value in course.values if value is not None]
    frame, parts = _frame(labels, known, form)
    for course in courses:
        parts += _course(frame, course, labels, tell or form, dots=len(labels) <= _MOST_DOTS)
    return _svg(title, parts) + _legend([(course.name, course.css) for course in courses])


def _course(frame: _Frame, course: Line, labels: Sequence[str], tell: Form, *, dots: bool) -> list[str]:
    parts, run = [], list[str]()
    for i, value in enumerate([*course.values, None]):
        if value is not None:
            run.append(f"{frame.x(i + 0.5):.1f},{frame.y(value):.1f}")
        elif run:
            css = f"{course.css} course"
            parts.append(f'<polyline class="{css}" points="{" ".join(run)}"/>')
            run = []
    for i, value in enumerate(course.values):
        if value is not None and dots:
            parts.append(
                f'<circle class="{course.css}" cx="{frame.x(i + 0.5):.1f}" cy="{frame.y(value):.1f}" r="2.5">'
                f"<title>{escape(f'{labels[i]}: {course.name} {tell(value)}')}</title></circle>"
            )
    return parts
