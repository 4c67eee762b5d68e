"""Draw the pictures of docs/performance.md: `python -m bench.pictures [RESULTS.json] [--into DIRECTORY]`.

One SVG for each curve of the results, readable on light and dark pages: each has its own paper, and follows
what the reader's system prefers. A server has one colour in all of them; what is dashed is a 99th percentile; the
pale area behind a line is from the lowest to the highest sample.
"""

from __future__ import annotations

import argparse
import sys
from html import escape
from pathlib import Path

from bench.axis import Axis, short
from bench.figures import Curve, Line
from bench.results import STORED, load

__all__ = ["draw", "picture_name"]

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 676, 56, 362
"""Of the plot; names of lines stand to the right of it."""
APART = 17.0
"""Between the names of two lines."""
COLOURS = {
    "Clove": ("#1f7a4d", "#6fd3a0"),
    "Clove, no spin": ("#8a9a1b", "#cfd86a"),
    "Clove, compiled": ("#0b7f8c", "#5fd0dc"),
    "C echo": ("#6b7280", "#a3abb8"),
    "bare Twisted": ("#2563b0", "#7db3f2"),
    "uvloop": ("#b4530f", "#f2a366"),
    "asyncio": ("#8b3fa8", "#d59bea"),
}
"""Of each server, on light and on dark paper."""
OTHER = ("#444444", "#cccccc")
TAIL = ", p99"
MIDDLE = ", median"


def picture_name(curve: Curve) -> str:
    """Of the file."""
    return f"bench-{curve.name}.svg"


def draw(curve: Curve) -> str:
    """A curve as SVG."""
    points = [point for line in curve.lines for point in line.points]
    across = Axis.over([point.x for point in points], LEFT, RIGHT, curve.log_x)
    up = Axis.over([point.high for point in points], BOTTOM, TOP, curve.log_y)
    if curve.log_y:
        values = [value for point in points for value in (point.low, point.high)]
        up = Axis.over(values, BOTTOM, TOP, True)
    parts = [_head(curve), *_grid(curve, across, up)]
    for at, line in enumerate(curve.lines):
        parts += _line(line, at, across, up)
    return "\n".join([*parts, *_names(curve.lines, across, up), "</svg>", ""])


def _server(line: Line) -> str:
    """The server that a line is about."""
    return line.name.removesuffix(TAIL).removesuffix(MIDDLE)


def _head(curve: Curve) -> str:
    styles = [_style(at, line) for at, line in enumerate(curve.lines)]
    light = " ".join(style[0] for style in styles)
    dark = " ".join(style[1] for style in styles)
    title = escape(curve.title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="13">\n'
        f'  <title id="t">{title}</title>\n'
        "  <style>\n"
        "    .paper { fill: #fbfdfb } text { fill: #1d2b24 } .small { fill: #4c5a53 }\n"
        "    .grid { stroke: #dbe3de } .axis { stroke: #8a978f } .grid, .axis { stroke-width: 1 }\n"
        "    .line { fill: none; stroke-width: 2; stroke-linejoin: round } .tail { stroke-dasharray: 6 4 }\n"
        "    .hair { fill: none; stroke-width: 1; stroke-opacity: .4 }\n"
        "    .band { stroke: none; fill-opacity: .13 } .head { font-weight: 600; font-size: 15px }\n"
        f"    {light}\n"
        "    @media (prefers-color-scheme: dark) {\n"
        "      .paper { fill: #16201b } text { fill: #e3ece6 } .small { fill: #a9b8b0 }\n"
        "      .grid { stroke: #2b3831 } .axis { stroke: #65746b }\n"
        f"      {dark}\n"
        "    }\n"
        "  </style>\n"
        f'  <rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>\n'
        f'  <text class="head" x="{LEFT}" y="30">{title}</text>'
    )


def _style(at: int, line: Line) -> tuple[str, str]:
    light, dark = COLOURS.get(_server(line), OTHER)
    rule = ".c{0} {{ stroke: {1} }} .f{0} {{ fill: {1} }}"
    return rule.format(at, light), rule.format(at, dark)


def _grid(curve: Curve, across: Axis, up: Axis) -> list[str]:
    parts = []
    for value in up.ticks():
        y = up.place(value)
        parts.append(f'  <path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>')
        parts.append(_text(LEFT - 8, y + 4, short(value), "small", "end"))
    for value in across.ticks():
        x = across.place(value)
        parts.append(f'  <path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>')
        parts.append(_text(x, BOTTOM + 18, short(value), "small", "middle"))
    parts.append(f'  <path class="axis" fill="none" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>')
    parts.append(_text((LEFT + RIGHT) / 2, HEIGHT - 16, curve.x, "small", "middle"))
    middle = (TOP + BOTTOM) / 2
    turned = f' transform="rotate(-90 18 {middle:.0f})"'
    parts.append(_text(18, middle, curve.y, "small", "middle", turned))
    return parts


def _line(line: Line, at: int, across: Axis, up: Axis) -> list[str]:
    spots = [(across.place(point.x), up.place(point.y)) for point in line.points]
    top = [(across.place(point.x), up.place(point.high)) for point in line.points]
    low = [(across.place(point.x), up.place(point.low)) for point in line.points]
    tail = " tail" if line.name.endswith(TAIL) else ""
    parts = [f'  <path class="band f{at}" d="{_path([*top, *reversed(low)])}Z"/>']
    parts.append(f'  <path class="line c{at}{tail}" d="{_path(spots)}"/>')
    parts += [f'  <circle class="f{at}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots]
    return parts


def _names(lines: list[Line], across: Axis, up: Axis) -> list[str]:
    """The name of each line, with a hair from its end, apart from each other."""
    ends = [(across.place(line.points[-1].x), up.place(line.points[-1].y)) for line in lines]
    order = sorted(range(len(lines)), key=lambda at: ends[at][1])
    heights: list[float] = []
    for at in order:
        heights.append(max(ends[at][1], heights[-1] + APART if heights else TOP + 4.0))
    most = float(BOTTOM)
    for back in range(len(order) - 1, -1, -1):  # what was pushed below the plot goes up again
        heights[back] = min(heights[back], most)
        most = heights[back] - APART
    parts = []
    for at, height in zip(order, heights, strict=True):
        x, y = ends[at]
        hair = f"M{x + 6:.1f} {y:.1f}L{RIGHT + 12} {height:.1f}"
        parts.append(f'  <path class="hair c{at}" d="{hair}"/>')
        parts.append(_text(RIGHT + 16, height + 4, lines[at].name, f"f{at}", "start"))
    return parts


def _path(spots: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)


def _text(x: float, y: float, text: str, kind: str, anchor: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}"'
    return f'  <text class="{kind}" {place} text-anchor="{anchor}"{more}>{escape(text)}</text>'


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0."""
    parser = argparse.ArgumentParser(
        prog="bench.pictures", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("results", nargs="?", type=Path, default=STORED)
    parser.add_argument("--into", type=Path, default=PICTURES, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    _, taken = load(options.results)
    options.into.mkdir(parents=True, exist_ok=True)
    for group in taken.values():
        for curve in group.curves:
            path = options.into / picture_name(curve)
            path.write_text(draw(curve))
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
