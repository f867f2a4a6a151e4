"""Curves as an SVG file: a picture for the guide without a plotting library."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 62, 46, 20, 52
# Colours that hold on white and on black, each with a dash of its own: colour is never the only sign.
STYLES = (("#888888", "2 4"), ("#c46a00", "8 4"), ("#2f6fde", "none"), ("#12855a", "14 3 3 3"))


def write_curves(path: Path, title: str, curves: Mapping[str, Sequence[float]], *, mark: float) -> None:
    """Draw each curve over its own length, both axes in percent of their ends, with a line at `mark` (0 to 1) of the height.

    `curves`: name -> values that grow from 0 to their last one.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" fill="#222222">{html.escape(title)}</text>',
    ]
    for tenth in range(0, 11, 2):
        x, y = _x(tenth / 10), _y(tenth / 10)
        parts += [
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e2e2e2"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{tenth * 10} %</text>',
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="#444444">{tenth * 10} %</text>',
        ]
    parts.append(
        f'<line x1="{LEFT}" y1="{_y(mark):.1f}" x2="{WIDTH - RIGHT}" y2="{_y(mark):.1f}" stroke="#b00020" stroke-dasharray="4 4"/>'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 12}" text-anchor="middle" fill="#222222">share of the cards read</text>'
    )
    for number, ((name, values), (colour, dash)) in enumerate(zip(curves.items(), STYLES, strict=False)):
        steps = len(values) - 1
        points = " ".join(f"{_x(i / steps):.1f},{_y(value / values[-1]):.1f}" for i, value in enumerate(values))
        row = HEIGHT - BOTTOM - 20 - 20 * (len(curves) - 1 - number)
        reached = next(i for i, value in enumerate(values) if value >= mark * values[-1] - 1e-9) / steps
        stroke = f'stroke="{colour}" stroke-width="2.2" stroke-dasharray="{dash}" fill="none"'
        parts += [
            f'<polyline points="{points}" {stroke}/>',
            f'<line x1="{WIDTH - 330}" y1="{row - 4}" x2="{WIDTH - 292}" y2="{row - 4}" {stroke}/>',
            f'<text x="{WIDTH - 284}" y="{row}" fill="#222222">{html.escape(name)}: {mark:.0%} after {reached:.1%}</text>',
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
