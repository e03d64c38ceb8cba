"""Simulate scaling policies: ``python -m scaling [--seeds 5] [--write]``, with ``benchmarks`` on PYTHONPATH.

``--write`` updates the tables in docs/concepts/benchmarks-scaling.md and the plots in docs/images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tables import table

from scaling import clairvoyant, measures, policies, template
from scaling.assumptions import Platform
from scaling.measures import CPU, OURS, Summary
from scaling.template import QueuePolicy
from scaling.workloads import DAY, HOUR, WORKLOADS

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "concepts" / "benchmarks-scaling.md"
IMAGES = REPOSITORY / "docs" / "images"
PLOTS = REPOSITORY / ".venvs" / "plots" / "bin" / "python"
MARK = "<!-- bench-scaling -->"
MINUTES = (1, 2, 5, 10, 15, 30)
# The workloads with a goal for the worker hours.
LEAN = ("Nightly burst", "Larger burst", "Idle week")
STARTS = (30, 60, 120)
DELAYS = (0, 60, 120)
# The part of each workload that its plot shows, in seconds.
SHOWN = {
    "Steady": (DAY, DAY + 4 * HOUR),
    "Nightly burst": (DAY, DAY + 4 * HOUR),
    "Larger burst": (DAY, DAY + 4 * HOUR),
    "Long tail": (DAY, DAY + 4 * HOUR),
    "Idle week": (0, 7 * DAY),
}


def main_table(policy: QueuePolicy, seeds: int) -> tuple[list[str], dict[tuple[str, str], Summary]]:
    """Return one table for each workload, and all summaries by workload and policy."""
    lines, found = [], {}
    for name, make in WORKLOADS.items():
        log(name)
        moving, staying = measures.bounds(name, policy, seeds)
        for label, simulate in measures.POLICIES.items():
            found[name, label] = measures.summarize(name, simulate, policy, seeds)
        rows = [(label, found[name, label]) for label in measures.POLICIES]
        rows += [("Clairvoyant, tasks stay on their worker", staying), (measures.FEWEST, moving)]
        cells = [(label, *row(each)) for label, each in rows]
        head = ("Policy", "Killed", "Wait p50 s", "Wait p95 s", "Worker hours", "Ratio")
        tasks = f"{moving.tasks // seeds:,}"
        lines += [
            f"### {name}",
            "",
            f"{make(0).about}; {tasks} tasks.",
            "",
            f"![Workers and waiting tasks over time](../images/{image(name).name})",
            "",
            *table(head, cells),
            "",
        ]
    return lines, found


def row(summary: Summary) -> tuple[str, ...]:
    return (
        f"{summary.killed:,}",
        f"{summary.p50:,.0f}",
        f"{summary.p95:,.0f}",
        f"{summary.hours:,.1f}",
        f"{summary.ratio:.2f}",
    )


def goals(found: Mapping[tuple[str, str], Summary]) -> list[str]:
    """Return a table of the goals: no killed task, half of the wait of CPU tracking, at most 1.15 times the hours."""
    rows = []
    for name in WORKLOADS:
        ours, cpu = found[name, OURS], found[name, CPU]
        share = ours.p95 / cpu.p95 if cpu.p95 else 0
        rows.append(
            (
                name,
                goal(str(ours.killed), ours.killed == 0),
                goal(f"{share:.2f}", share <= 0.5),
                goal(f"{ours.ratio:.2f}", name not in LEAN or ours.ratio <= 1.15),
            )
        )
    ratio = "Ratio: 1.15 on bursts and the idle week"
    return table(("Workload", "Killed: 0", "Wait p95 ÷ that of CPU tracking: 0.50", ratio), rows)


def goal(text: str, is_met: bool) -> str:
    return text if is_met else f"**{text}**, missed"


def minutes_table(policy: QueuePolicy, seeds: int) -> list[str]:
    """Return a table of the values of scale_in_after_minutes."""
    rows = []
    for minutes in MINUTES:
        log(f"scale_in_after_minutes={minutes}")
        found = [measures.summarize(name, policies.queue_scaling, policy.after(minutes), seeds) for name in WORKLOADS]
        rows.append((str(minutes), *(f"{each.ratio:.2f} / {each.p95:,.0f} / {each.killed}" for each in found)))
    return table(("Minutes", *WORKLOADS), rows)


def platform_table(policy: QueuePolicy, seeds: int) -> list[str]:
    """Return a table of the undocumented times, on the nightly burst."""
    rows = []
    for start in STARTS:
        cells = []
        for delay in DELAYS:
            platform = Platform(start=start, metric_delay=delay)
            ours, cpu = (
                measures.summarize("Nightly burst", measures.POLICIES[label], policy, seeds, platform)
                for label in (OURS, CPU)
            )
            cells.append(f"{ours.ratio:.2f} / {ours.p95:,.0f} / {cpu.p95:,.0f}")
        rows.append((str(start), *cells))
    return table(("Start s", *(f"Metric after {delay} s" for delay in DELAYS)), rows)


def page(policy: QueuePolicy, seeds: int) -> str:
    """Return all results as Markdown."""
    lines, found = main_table(policy, seeds)
    return "\n".join(
        [
            f"Written by `make bench-scaling`; {seeds} runs of each workload with different random numbers. Waits and",
            "killed tasks are those of all runs together, worker hours the mean.",
            "",
            "### Goals",
            "",
            f"`QueueScaling()` with its defaults (`scale_in_after_minutes={policy.minutes}`):",
            "",
            *goals(found),
            "",
            "### By `scale_in_after_minutes`",
            "",
            "Ratio / wait p95 in seconds / killed tasks:",
            "",
            *minutes_table(policy, seeds),
            "",
            "### By start-up time and metric delay",
            "",
            "Nightly burst: ratio / wait p95 in seconds / that of CPU tracking:",
            "",
            *platform_table(policy, seeds),
            "",
            *lines,
        ]
    )


def plot(policy: QueuePolicy) -> None:
    """Write one plot for each workload, by a program in an environment with Matplotlib."""
    plots = [each for name in WORKLOADS for each in curves(name, policy)]
    subprocess.run([PLOTS, Path(__file__).parent / "plots.py"], input=json.dumps(plots), text=True, check=True)


def curves(name: str, policy: QueuePolicy) -> Iterator[dict[str, object]]:
    workload, (start, end) = WORKLOADS[name](0), SHOWN[name]
    runs = clairvoyant.schedule(workload, policy.slots * policy.most)
    simulated = {
        label: measures.POLICIES[policy_name](workload, policy, Platform()).history
        for label, policy_name in (("QueueScaling()", OURS), ("CPU tracking", CPU))
    }
    yield {
        "file": str(image(name)),
        "start": start,
        "end": end,
        "fewest": [list(each) for each in clairvoyant.workers(runs, policy.slots)],
        "policies": {label: [list(each) for each in history] for label, history in simulated.items()},
    }


def image(name: str) -> Path:
    return IMAGES / f"scaling-{name.lower().replace(' ', '-')}.svg"


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each workload")
    parser.add_argument("--write", action="store_true", help="put tables and plots into docs")
    arguments = parser.parse_args()
    policy = template.read(template.build())
    text = page(policy, arguments.seeds)
    print(text)
    if arguments.write:
        before = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(f"{before}{MARK}\n\n{text.rstrip()}\n")
        plot(policy)


if __name__ == "__main__":
    main()
