"""`growth.svg`: one small picture for each kind of cost, the same bytes for the same numbers."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .growth import Curve

ACROSS = 3
COLOURS = ("#20558a", "#b3541e", "#3f7d3f")
STYLE = {
    "svg.hashsalt": "remit",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


def draw(curves: Sequence[Curve], to: Path) -> None:
    """Small multiples, each with a logarithmic x and a y from 0; every point bears its figure."""

    def place(curve: Curve) -> tuple[str, str]:
        return curve.panel, curve.over

    panels = [list(own) for _, own in groupby(sorted(curves, key=place), key=place)]
    down = -(-len(panels) // ACROSS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * ACROSS, 2.7 * down), layout="constrained")
        for n, own in enumerate(panels, 1):
            _draw(figure.add_subplot(down, ACROSS, n), own)
        figure.savefig(to, format="svg", metadata={"Date": None})


def _draw(axes: Any, curves: Sequence[Curve]) -> None:
    first = curves[0]
    axes.set_title(f"{first.panel}, {first.unit}", loc="left", fontsize=10, fontweight="bold")
    axes.set_xscale("log")
    axes.set_xlabel(first.over)
    greatest = max(y for curve in curves for _, y in curve.points)
    axes.set_ylim(0, (1.25 if len(curves) == 1 else 1.5) * greatest)
    for curve, colour in zip(curves, COLOURS, strict=False):
        xs, ys = zip(*curve.points, strict=True)
        axes.plot(xs, ys, color=colour, marker="o", markersize=3, linewidth=1.4, label=curve.label)
        for x, y in curve.points:
            axes.annotate(
                figure_of(y), (x, y), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=8, color=colour
            )
    axes.set_xticks([x for x, _ in first.points], [short(x) for x, _ in first.points])
    axes.minorticks_off()
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8, loc="upper center", ncols=len(curves))


def short(x: int) -> str:
    """`1,000` as it is, `1,000,000` as `1M`."""
    return f"{x // 1_000_000}M" if x >= 1_000_000 and x % 1_000_000 == 0 else f"{x:,}"


def figure_of(y: float) -> str:
    """Three significant digits at most."""
    return f"{y:,.0f}" if y >= 100 else f"{y:.3g}"
