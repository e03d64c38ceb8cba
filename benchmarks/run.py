"""Throughput, waiting times and memory of clusters that run on this machine.

``python benchmarks/run.py [ours near wide compose seed ours-2] [--repetitions 3] [--write]``; ``--write`` updates the
tables in docs/concepts/benchmarks-run.md, which describes the method.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from tempfile import mkdtemp

from clusters import CLUSTERS
from memory import Sampler, sizes
from started import REPOSITORY, Cluster
from tables import processor, table

from cdk_airflow_ecs import AirflowVersion

PAGE = REPOSITORY / "docs" / "concepts" / "benchmarks-run.md"
MARK = "<!-- bench-run -->"
LABELS = {
    "ours": "`AirflowCluster()`",
    "near": "`AirflowCluster()`, DAGs in the image, logs on the worker",
    "wide": "as before, with `WorkerPool(concurrency=16)`",
    "compose": "Airflow's own defaults, as in its docker-compose.yaml",
    "seed": "this project's initial settings",
    "ours-2": "`AirflowCluster()` with Airflow 2.11.2",
}
ALONE = 4  # DAG runs with the single task in each repetition
LIMIT = 0.85  # highest acceptable share of a task's memory
CONTAINERS = {  # first container of each component, by which its task is found in the template
    "ApiServer": "api-server",
    "Webserver": "webserver",
    "Scheduler": "scheduler",
    "DagProcessor": "dag-processor",
    "Triggerer": "triggerer",
    "default": "worker",
}


@dataclass
class Result:
    """The measurements of one cluster."""

    name: str
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    next: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def seconds(run: dict, tasks: Sequence[dict]) -> list[float]:
    """Return how long each task of a chain waited since its DAG run was created or the previous task ended."""
    ready, waited = moment(run.get("queued_at") or run["start_date"]), []
    for each in sorted(tasks, key=lambda task: task["start_date"]):
        waited.append(moment(each["start_date"]) - ready)
        ready = moment(each["end_date"])
    return waited


def rate(run: dict, tasks: Sequence[dict]) -> float:
    """Return the tasks per minute, from the creation of the DAG run to the end of its last task."""
    end = max(moment(each["end_date"]) for each in tasks)
    return 60 * len(tasks) / (end - moment(run.get("queued_at") or run["start_date"]))


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def busy() -> float:
    """Return the CPU seconds that this machine has spent."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # without idle and I/O wait


def measure(name: str, repetitions: int) -> Result:
    """Start a cluster, sample its memory during a warm-up, measure it, and stop it."""
    result, folder = Result(name), Path(mkdtemp(prefix="bench-", dir="/tmp"))
    log(f"{name}: starts, load {os.getloadavg()[0]:.1f}")
    try:
        with Cluster(name, folder) as cluster:
            result.sizes = sizes(cluster.template)
            while not all(map(cluster.has, ("burst", "relay", "single"))):
                time.sleep(1)
            log(f"{name}: ready")
            processes = cluster.state / "processes"
            with Sampler(processes, result.peaks):
                cluster.run("burst")
            with Sampler(processes, result.peaks, pace=5):
                for _ in range(1 if name.endswith("-2") else repetitions):
                    repeat(cluster, result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def repeat(cluster: Cluster, result: Result) -> None:
    result.loads.append(os.getloadavg()[0])
    before = busy()
    run, tasks = cluster.run("burst")
    result.costs.append((busy() - before) / len(tasks))
    result.rates.append(rate(run, tasks))
    run, tasks = cluster.run("relay")
    result.durations += [float(each["duration"]) for each in tasks]
    first, *rest = seconds(run, tasks)
    result.next += rest
    result.first.append(first)
    for _ in range(ALONE):
        result.first += seconds(*cluster.run("single", pace=0.5))
    log(
        f"{result.name}: {result.rates[-1]:.0f} tasks a minute, {result.costs[-1]:.2f} CPU s each;"
        f" waited {statistics.median(result.first):.2f} and {statistics.median(result.next):.2f} s;"
        f" load {result.loads[-1]:.1f}"
    )


def page(results: Sequence[Result], repetitions: int) -> str:
    """Return all results as Markdown tables."""
    rows = [
        (
            LABELS[each.name],
            f"**{statistics.median(each.rates):.0f}** ({min(each.rates):.0f} to {max(each.rates):.0f})",
            f"{statistics.median(each.costs):.2f}",
            waits(each.first),
            waits(each.next),
            waits(each.durations),
            f"{min(each.loads):.1f} to {max(each.loads):.1f}",
        )
        for each in results
    ]
    head = (
        "Cluster",
        "Tasks per minute (repetitions)",
        "CPU s per task",
        "Wait of the first task: p50 / p95 s",
        "Wait of the next task: p50 / p95 s",
        "Duration: p50 / p95 s",
        "Load before",
    )
    first = results[0].began
    return "\n".join(
        [
            f"Medians of {repetitions} repetitions, one with Airflow 2; waits of {len(results[0].first)} first and"
            f" {len(results[0].next)} next tasks.",
            f"Written by `make bench-run` on {first:%d %B %Y}, on {processor()}, {platform.system()}, Airflow"
            f" {AirflowVersion.V3_3} and {AirflowVersion.V2_11}.",
            "",
            *table(head, rows),
            "",
            "Peak memory of all processes of a task (PSS), and the memory that its template sets:",
            "",
            *table(("Component", *(LABELS[each.name] for each in results)), memory(results)),
        ]
    )


def waits(found: Sequence[float]) -> str:
    return f"{percentile(found, 0.5):.2f} / {percentile(found, 0.95):.2f}"


def memory(results: Sequence[Result]) -> list[tuple[str, ...]]:
    rows = []
    for component, container in CONTAINERS.items():
        cells = [cell(each.peaks.get(component), each.sizes.get(container)) for each in results]
        if any(cells):
            rows.append((component.replace("default", "Worker"), *cells))
    return rows


def cell(peak: float | None, size: int | None) -> str:
    """Return peak memory, task size and share, in bold if the share is too high."""
    if peak is None or size is None:
        return ""
    text = f"{peak:.0f} of {size} MiB, {peak / size:.0%}"
    return f"**{text}**" if peak / size > LIMIT else text


def log(text: str) -> None:
    print(f"{datetime.now(timezone.utc):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure the clusters, print the results, and write them if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clusters", nargs="*", help=f"one or more of {', '.join(CLUSTERS)}; default: all")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/concepts/benchmarks-run.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.clusters) - set(CLUSTERS):
        parser.error(f"unknown cluster {', '.join(sorted(unknown))}. Choose from {', '.join(CLUSTERS)}")
    results, text = [], ""
    for name in arguments.clusters or CLUSTERS:
        results.append(measure(name, arguments.repetitions))
        text = page(results, arguments.repetitions)
        if arguments.write:  # after each cluster, because the next one may fail
            before = PAGE.read_text().partition(MARK)[0]
            PAGE.write_text(f"{before}{MARK}\n\n{text}\n")
    print(text)


if __name__ == "__main__":
    main()
