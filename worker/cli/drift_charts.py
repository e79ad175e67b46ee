"""Drift as pictures: lines and histograms as inline SVG; colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Point:
    """One window of a time line; ``name`` is what it is called."""

    name: str
    statistic: float
    threshold: float
    drifted: bool


WIDTH, HEIGHT, MARGIN = 640, 120, 6
FOOT = 16  # below the line, for its first and last window
ROW, LABEL, BAR = 18, 170, 400


def time_line(points: Sequence[Point]) -> str:
    """A statistic window by window, in order.

    The threshold is a dashed line, a window that drifted a larger dot; each dot says its figures when it is pointed at. The
    axis begins at nought, and its upper end is written.
    """
    highest = max(max(point.statistic, point.threshold) for point in points)
    top = max(1e-9, highest) * 1.05
    step = (WIDTH - 2 * MARGIN) / max(1, len(points) - 1)

    def at(i: int, value: float) -> tuple[float, float]:
        return MARGIN + i * step, HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN)

    line = " ".join(_pair(*at(i, point.statistic)) for i, point in enumerate(points))
    limit = " ".join(_pair(*at(i, point.threshold)) for i, point in enumerate(points))
    dots = "".join(_dot(*at(i, point.statistic), point) for i, point in enumerate(points))
    return (
        f'<div class="scroll"><svg class="line" viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" aria-label="statistic by window">'
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT - MARGIN}" y2="{HEIGHT - MARGIN}"/>'
        f'<text x="{MARGIN}" y="12">{highest:.3g}</text><text x="{MARGIN}" y="{HEIGHT + FOOT - 4}">{escape(points[0].name)}'
        f'</text><text class="last" x="{WIDTH - MARGIN}" y="{HEIGHT + FOOT - 4}">{escape(points[-1].name)}</text>'
        f'<polyline class="limit" points="{limit}"/><polyline class="value" points="{line}"/>{dots}</svg></div>'
    )


def histogram(labels: Sequence[str], reference: Sequence[int], window: Sequence[int]) -> str:
    """Two bars a bin, the share of the reference above that of the window; bins that are empty in both are left out."""
    whole = max(1, sum(reference)), max(1, sum(window))
    shares = [
        (label, before / whole[0], now / whole[1])
        for label, before, now in zip(labels, reference, window, strict=True)
        if before or now
    ]
    largest = max((max(before, now) for _, before, now in shares), default=1.0)
    rows = "".join(
        f'<text class="bin" x="{LABEL - 8}" y="{i * ROW + 13}">{escape(_short(label))}</text>'
        f'<rect class="reference" x="{LABEL}" y="{i * ROW + 2}" width="{before / largest * BAR:.1f}" height="6"/>'
        f'<rect class="window" x="{LABEL}" y="{i * ROW + 9}" width="{now / largest * BAR:.1f}" height="6"/>'
        f'<text class="share" x="{LABEL + BAR + 8}" y="{i * ROW + 13}">{before:.1%}</text>'
        f'<text class="share" x="{LABEL + BAR + 60}" y="{i * ROW + 13}">{now:.1%}</text>'
        for i, (label, before, now) in enumerate(shares)
    )
    width, height = LABEL + BAR + 70, len(shares) * ROW + 4
    return f'<div class="scroll"><svg class="bars" viewBox="0 0 {width} {height}" role="img" aria-label="reference and window by bin">{rows}</svg></div>'


def _dot(x: float, y: float, point: Point) -> str:
    kind, radius = ("drifted", 3.5) if point.drifted else ("quiet", 1.5)
    said = f"{point.name}: {point.statistic:.4f}, threshold {point.threshold:.4f}"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{escape(said)}</title></circle>'


def _pair(x: float, y: float) -> str:
    return f"{x:.1f},{y:.1f}"


def _short(label: str, most: int = 26) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
