"""CPU and wall seconds of a synthesis: medians of interleaved whole processes, with Node.js.

``python benchmarks/synthesis.py [--rounds 25] [--write]``; ``--write`` updates the tables in
docs/concepts/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tables import processor, table

from cdk_airflow_ecs.testing import normalize

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "concepts" / "benchmarks.md"
MARK = "<!-- bench -->"
SIZES = (1, 5, 10, 20)
EVERY = 5  # apps with several clusters are slower, so they run only in every fifth round
KINDS = {
    "empty": "an empty CDK app",
    "by-hand": "the same resources, written by hand",
    "include": "the same template through CfnInclude",
    "ours": "`AirflowCluster`",
}


@dataclass
class Process:
    """One kind of process with its measurements."""

    kind: str
    clusters: int = 1
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def run(self, folder: Path) -> Path:
        """Run the process once, record its times, and return its output folder."""
        output = folder / f"{self.kind}-{self.clusters}"
        command = [sys.executable, str(HERE / "apps.py"), self.kind, str(self.clusters), str(output)]
        start = time.perf_counter()
        process = subprocess.Popen([*command, str(folder / "template.json")], env=environment())
        # The times include all child processes: Python, and jsii's two Node.js processes.
        _, status, used = os.wait4(process.pid, 0)
        self.wall.append(time.perf_counter() - start)
        self.cpu.append(used.ru_utime + used.ru_stime)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self.kind} failed with {process.returncode}")
        return output


def environment() -> dict[str, str]:
    """Return the environment that make sets: with bytecode, without CDK's validator, with this Python's Node.js."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PATH": path, "CDK_VALIDATION": "false"}


def types(output: Path) -> Counter[str]:
    """Return the number of resources of each type in the first template of *output*."""
    template = json.loads((output / "Quickstart0.template.json").read_text())
    return Counter(resource["Type"] for resource in template.get("Resources", {}).values())


def prepare(folder: Path) -> int:
    """Warm the caches, write the template for CfnInclude, and check that all resources are equal."""
    ours = Process("ours").run(folder)
    template = normalize(json.loads((ours / "Quickstart0.template.json").read_text()))
    (folder / "template.json").write_text(json.dumps(template))
    Process("empty").run(folder)
    for kind in ("by-hand", "include"):
        if (created := types(Process(kind).run(folder))) != types(ours):
            raise SystemExit(
                f"{kind} creates other resources: {created - types(ours)} too many, {types(ours) - created} missing"
            )
    return sum(types(ours).values())


def measure(folder: Path, rounds: int) -> list[Process]:
    """Run all processes in alternating order, so that other programs slow all of them equally."""
    small = [Process(kind) for kind in KINDS]
    large = [Process("ours", size) for size in SIZES[1:]]
    for number in range(rounds):
        for process in small[:: -1 if number % 2 else 1]:
            process.run(folder)
        if number % EVERY == 0:
            for process in large:
                process.run(folder)
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return small + large


def tables(processes: list[Process], resources: int, rounds: int, load: float) -> str:
    run = {(process.kind, process.clusters): process for process in processes}
    cpu = {key: statistics.median(process.cpu) for key, process in run.items()}
    wall = {key: statistics.median(process.wall) for key, process in run.items()}
    by_hand = run["by-hand", 1]
    first = [
        (
            label,
            f"{cpu[kind, 1]:.2f}",
            f"{wall[kind, 1]:.2f}",
            against(run[kind, 1].cpu, by_hand.cpu),
            against(run[kind, 1].wall, by_hand.wall),
        )
        for kind, label in KINDS.items()
    ]
    second = [
        (
            str(size),
            f"{cpu['ours', size]:.2f}",
            f"{wall['ours', size]:.2f}",
            "" if size == 1 else f"{(cpu['ours', size] - cpu['ours', 1]) / (size - 1):.2f}",
        )
        for size in SIZES
    ]
    return "\n".join(
        [
            f"Medians of {rounds} interleaved rounds of whole processes ({-(-rounds // EVERY)} beyond one cluster),",
            "Python and Node.js together, from start to exit.",
            f"Every process except the first creates the same {resources} resources.",
            f"Written by `make bench` on {machine()};",
            f"load average at the start {load:.1f}.",
            "",
            *table(
                (
                    "Process creates",
                    "CPU s",
                    "Wall s",
                    "CPU, by hand = 1 (rounds)",
                    "Wall, by hand = 1 (rounds)",
                ),
                first,
            ),
            "",
            *table(("Clusters in one app", "CPU s", "Wall s", "CPU s per additional cluster"), second),
        ]
    )


def against(these: list[float], those: list[float]) -> str:
    """Return median and range of the ratios between two processes, one ratio per round."""
    ratios = [one / other for one, other in zip(these, those, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def machine() -> str:
    node = subprocess.run(["node", "--version"], env=environment(), capture_output=True, text=True, check=True)
    return (
        f"{processor()}, {platform.system()}, Python {platform.python_version()},"
        f" Node.js {node.stdout.strip().removeprefix('v')}, aws-cdk-lib {version('aws-cdk-lib')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/concepts/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        resources = prepare(folder)
        load = os.getloadavg()[0]
        text = tables(measure(folder, arguments.rounds), resources, arguments.rounds, load)
    print(text)
    if arguments.write:
        before = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(f"{before}{MARK}\n\n{text}\n")


if __name__ == "__main__":
    main()
