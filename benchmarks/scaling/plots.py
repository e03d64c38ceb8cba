"""Draw workers and waiting tasks over time: reads curves as JSON from standard input, needs only Matplotlib.

Colors and the transparent background are readable on white and on black.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

TEXT, GRID = "#7d858f", "#7d858f40"
COLORS = {"QueueScaling()": "#2f93d6", "CPU tracking": "#e07b24"}
POINTS = 1_500  # most points of a curve
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "scaling",
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "axes.edgecolor": TEXT,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
    }
)


def steps(history: list[list[float]], column: int, start: float, end: float) -> tuple[list[float], list[float]]:
    """Return hours since *start* and values, where the value changes; the maximum of each of 1,500 intervals."""
    values = [(at, each[column]) for at, each in ((max(point[0], start), point) for point in history) if at < end]
    width = (end - start) / POINTS
    highest: dict[int, float] = {}
    last: dict[int, float] = {}
    for at, value in values:
        place = int((at - start) / width)
        highest[place] = max(value, highest.get(place, value)) if at > start else value
        last[place] = value
    found = []
    for place in sorted(highest):
        found.append((place * width, highest[place]))
        if last[place] != highest[place]:
            found.append(((place + 1) * width, last[place]))
    kept = [found[0]] + [point for before, point in pairwise(found) if point[1] != before[1]]
    kept.append((end - start, kept[-1][1]))
    return [at / 3600 for at, _ in kept], [value for _, value in kept]


def draw(plot: dict) -> None:
    start, end = plot["start"], plot["end"]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8.4, 4.6), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    in_days = end - start > 3 * 86_400
    scale = 24 if in_days else 1
    hours, workers = steps(plot["fewest"], 1, start, end)
    above.fill_between(
        [at / scale for at in hours], workers, step="post", color=TEXT, alpha=0.35, linewidth=0, label="Fewest possible"
    )
    for label, history in plot["policies"].items():
        for axes, column in ((above, 1), (below, 2)):
            hours, values = steps(history, column, start, end)
            width = 1.8 if label in list(plot["policies"])[:1] else 1.4
            axes.step(
                [at / scale for at in hours], values, where="post", color=COLORS[label], linewidth=width, label=label
            )
    above.set_ylabel("Workers")
    below.set_ylabel("Waiting tasks")
    below.set_xlabel("Days" if in_days else "Hours after midnight")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, (end - start) / 3600 / scale)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
        axes.patch.set_alpha(0)
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    figure.savefig(plot["file"], transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)


for each in json.load(sys.stdin):
    draw(each)
