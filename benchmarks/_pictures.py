"""Pictures of results as SVG files that stand alone: grouped bars, and lines over days."""

from collections.abc import Mapping, Sequence
from html import escape

from pems_cli.report_charts import nice_ticks

__all__ = ["grouped_bars", "lines_over_days"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 300, 56, 12, 44, 34
_COLOURS = ("#8a8f98", "#c2410c", "#ca8a04", "#2563eb", "#7c3aed", "#0d9488", "#15803d")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#374151}.g{stroke:#e5e7eb}.a{stroke:#6b7280}"
    "@media(prefers-color-scheme:dark){text{fill:#d1d5db}.g{stroke:#374151}}"
)


def _frame(title: str, low: float, high: float, unit: str) -> tuple[list[str], float, float]:
    ticks = nice_ticks(low, high)
    parts = [f'<text x="{_LEFT}" y="16" font-weight="600">{escape(title)}</text>']
    for tick in ticks:
        y = _y(tick, ticks[0], ticks[-1])
        parts.append(
            f'<line class="{"a" if tick == 0 else "g"}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text x="{_LEFT - 6}" y="{_TOP - 12}" text-anchor="end">{escape(unit)}</text>')
    return parts, ticks[0], ticks[-1]


def _y(value: float, low: float, high: float) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * (value - low) / (high - low), 1)


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], float(_LEFT)
    for k, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="24" width="10" height="10" fill="{_COLOURS[k % len(_COLOURS)]}"/>')
        parts.append(f'<text x="{x + 14}" y="33">{escape(name)}</text>')
        x += 26 + 7 * len(name)
    return parts


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def _told(group: str, name: str, value: float, unit: str) -> str:
    return f"{group}, {name}: {value:g} {unit}"


def grouped_bars(title: str, unit: str, groups: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> str:
    """Draw one group of bars per name in `groups`, one bar per series; an unknown value leaves a gap."""
    known = [value for values in series.values() for value in values if value is not None]
    parts, low, high = _frame(title, min([0.0, *known]), max([0.0, *known]) or 1.0, unit)
    group_px = (_WIDTH - _LEFT - _RIGHT) / max(len(groups), 1)
    bar_px = min(34.0, group_px * 0.84 / max(len(series), 1))
    for g, group in enumerate(groups):
        middle = _LEFT + group_px * (g + 0.5)
        parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(group)}</text>')
        for k, (name, values) in enumerate(series.items()):
            value = values[g]
            if value is None:
                continue
            top, bottom = _y(max(value, 0.0), low, high), _y(min(value, 0.0), low, high)
            x = middle + (k - len(series) / 2) * bar_px
            parts.append(
                f'<rect x="{x:.1f}" y="{top}" width="{bar_px - 2:.1f}" height="{bottom - top:.1f}" '
                f'fill="{_COLOURS[k % len(_COLOURS)]}"><title>{escape(_told(group, name, value, unit))}</title></rect>'
            )
    return _svg(title, [*parts, *_legend(list(series))])


def lines_over_days(title: str, unit: str, days: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Draw one line per series over days."""
    known = [value for values in series.values() for value in values]
    parts, low, high = _frame(title, min([0.0, *known]), max([0.0, *known]) or 1.0, unit)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(days), 1)
    for k in range(0, len(days), max(1, len(days) // 10)):
        parts.append(
            f'<text x="{_LEFT + step * (k + 0.5):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(days[k])}</text>'
        )
    for k, values in enumerate(series.values()):
        points = " ".join(f"{_LEFT + step * (i + 0.5):.1f},{_y(v, low, high)}" for i, v in enumerate(values))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLOURS[k % len(_COLOURS)]}" stroke-width="2"/>'
        )
    return _svg(title, [*parts, *_legend(list(series))])
