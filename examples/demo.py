"""Synthesize the quickstart and print what it made: no Docker, no AWS account, no CDK command line."""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUTPUT = Path(os.environ.get("CDK_OUTDIR", HERE / "quickstart" / "cdk.out"))
# jsii starts Node.js when aws_cdk is imported: the one beside this Python comes first. CDK's own validator would take
# several seconds; the tests run it over every example.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ |= {"CDK_OUTDIR": str(OUTPUT), "CDK_VALIDATION": "false"}

Row = tuple[object, ...]


def main() -> None:
    """Run the quickstart as it stands, and describe its cluster and its template."""
    start = time.perf_counter()
    app = runpy.run_path(str(HERE / "quickstart" / "app.py"))["app"]
    cluster = app.node.find_child("Quickstart").node.find_child("Airflow")
    seconds = time.perf_counter() - start
    file = OUTPUT / "Quickstart.template.json"
    resources = json.loads(file.read_text())["Resources"]
    kinds = Counter(resource["Type"] for resource in resources.values())

    release = cluster.plan.component("Migration").containers[0].environment["AIRFLOW_ECS_VERSION"]
    print(f"Apache Airflow {release} on Amazon ECS: examples/quickstart, synthesized in {seconds:.1f} s")
    section("Components", [component(part) for part in cluster.plan.components])
    section("Stores", stores(resources))
    section(
        "Edges (nothing else may connect)",
        [(edge.source, "->", edge.target, edge.port, edge.why) for edge in cluster.plan.edges],
    )
    section("Resources", [(f"{len(resources)} resources of {len(kinds)} types; most of them:",)])
    table([(number, kind) for kind, number in kinds.most_common(5)])
    section("Template", [(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file,)])
    section("Warnings", [(text,) for text in warnings()] or [("none",)])
    section(
        "What next",
        [
            ("examples/quickstart/app.py", "the ten lines that made this; change one and run this again"),
            ("docs/get-started/tutorial.md", "from here to a running Airflow"),
            ("npx aws-cdk@2 deploy", "in examples/quickstart, with Node.js and an AWS account"),
            ("make test", "every test, linter and judge"),
        ],
    )


def component(part: Any) -> Row:
    """Size, number, containers and secrets of a component."""
    secrets = {
        value.of for c in part.containers for value in c.environment.values() if type(value).__name__ == "SecretRef"
    }
    return (
        part.name,
        f"{part.cpu / 1024:g} vCPU",
        f"{part.memory_mib / 1024:g} GiB",
        "runs once" if not part.has_service else f"{part.count} task{'s' * (part.count != 1)}",
        " + ".join(container.name for container in part.containers),
        "secrets: " + ", ".join(sorted(secrets)),
    )


def stores(resources: dict[str, Any]) -> list[Row]:
    """What keeps data, as the template has it."""

    def each(kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, r["Properties"]) for name, r in resources.items() if r["Type"] == kind]

    rows: list[Row] = []
    for _, made in each("AWS::RDS::DBInstance"):
        zones = "a standby in another zone" if made["MultiAZ"] else "one zone"
        size = f"{made['AllocatedStorage']} GB, {zones}"
        rows.append(("Database", f"PostgreSQL {made['EngineVersion']} on RDS", made["DBInstanceClass"], size))
    for _, made in each("AWS::ElastiCache::ReplicationGroup"):
        engine = f"{made['Engine'].capitalize()} {made['EngineVersion']} on ElastiCache"
        rows.append(("Broker", engine, made["CacheNodeType"], f"{made['NumCacheClusters']} node"))
    for name, _ in each("AWS::S3::Bucket"):
        what = {"AirflowDags": "DAGs", "AirflowLogsT": "task logs", "AirflowLogsA": "access logs"}
        rows.append(("Bucket", next(text for start, text in what.items() if name.startswith(start)), "S3", "kept"))
    secrets = each("AWS::SecretsManager::Secret")
    rows.append(
        ("Secrets", "made by Secrets Manager at deploy", f"{len(secrets)} of them", "encrypted with an own key")
    )
    return rows


def warnings() -> list[str]:
    """What the cluster advises against."""
    return [
        entry["data"]
        for entries in json.loads((OUTPUT / "Quickstart.metadata.json").read_text()).values()
        for entry in entries
        if entry["type"] == "aws:cdk:warning"
    ]


def section(title: str, rows: list[Row]) -> None:
    """Print a title and its rows."""
    print(f"\n{title}")
    table(rows)


def table(rows: list[Row]) -> None:
    """Print rows with their columns aligned."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
