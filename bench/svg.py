"""Charts as SVG text: lines over linear or logarithmic axes, and bars with whiskers. No scripts, no fonts of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 80, 40, 50, 50
COLOURS = ("#0b6bcb", "#d1601f", "#2e8b57", "#8a4fbf", "#946c00")
GREY, INK = "#d5d8dc", "#24292f"
Points = Sequence[tuple[float, float]]


def line_chart(
    title: str, x_label: str, y_label: str, series: Mapping[str, Points], *, log: bool = False, marks: bool = True
) -> str:
    """Both axes linear, y from 0; or both logarithmic, with the points' own x as ticks."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    y_ticks = _powers(min(ys), max(ys)) if log else _ticks(max(ys))
    across = _scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT, log=log)
    up = _scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP, log=log)
    parts = [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label), _text(14, TOP - 12, y_label, "start")]
    for tick in y_ticks:
        y = up(tick)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y, GREY), _text(LEFT - 8, y + 4, _number(tick), "end")]
    for x in xs if log else _ticks(xs[-1]):
        if xs[0] <= x <= xs[-1]:
            parts.append(_text(across(x), HEIGHT - BOTTOM + 18, _number(x)))
    for k, (name, points) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        at = [(across(x), up(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in at if marks]
        parts.append(_text(WIDTH - RIGHT, 22 + 16 * k, name, "end", colour))
    return _svg(title, HEIGHT, parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, float, float]]) -> str:
    """Name, value, and the ends of its whisker; one bar below the other."""
    left, row = 300, 26
    longest = max(max(value, high) for _, value, _, high in bars)
    unit = (WIDTH - left - 90) / longest
    parts = []
    for k, (name, value, low, high) in enumerate(bars):
        y = TOP + k * row
        parts += [
            _text(left - 8, y + 14, name, "end"),
            f'<rect x="{left}" y="{y}" width="{value * unit:.1f}" height="18" fill="{COLOURS[0]}"/>',
            _line(left + low * unit, y + 9, left + high * unit, y + 9, INK),
            _text(left + max(value, high) * unit + 6, y + 14, _number(value), "start"),
        ]
    return _svg(title, TOP + len(bars) * row + 14, parts)


def stacked(*charts: str) -> str:
    """Charts of the same size, one below the other."""
    placed = [
        chart.replace("<svg ", f'<svg y="{k * HEIGHT}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        for k, chart in enumerate(charts)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {len(charts) * HEIGHT}">'
    return "\n".join([head, *placed, "</svg>\n"])


def _scale(low: float, high: float, start: float, end: float, *, log: bool) -> Callable[[float], float]:
    """From values to places in the picture."""
    measure = math.log if log else float
    span = (measure(high) - measure(low)) or 1.0
    return lambda value: start + (measure(value) - measure(low)) / span * (end - start)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten, the first not above ``low`` and the last not below ``high``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**k for k in range(first, max(last, first + 1) + 1)]


def _ticks(most: float) -> list[float]:
    """0 and up to 6 round numbers, the last not below ``most``."""
    rough = (most or 1.0) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= rough * 0.999)
    return [k * step for k in range(math.ceil(most / step * 0.999) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">'
    back = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/><title>{escape(title)}</title>'
    name = f'<text x="14" y="22" font-size="15" fill="{INK}">{escape(title)}</text>'
    return "\n".join([head, back, name, *parts, "</svg>\n"])
