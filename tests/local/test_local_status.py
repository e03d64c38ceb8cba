"""`airflow-ecs local status` reports DAG files that were skipped."""

from __future__ import annotations

from pathlib import Path

from cdk_airflow_ecs.cli.running import skipped_files


def test_status_lists_the_files_that_the_last_sync_skipped(tmp_path: Path):
    """The status does not list DAG files that only an earlier sync skipped."""
    lines = {
        "DagProcessor.1.dag-processor.log": [
            "dags: skipped 'reports': it is a folder too",
            "dags: skipped 'a//b.py': a part of its name is empty",
            "dags: 3 files from s3://bucket/, 2 skipped",
            "a line of Airflow",
            "dags: skipped 'reports': it is a folder too",
            "dags: 4 files from s3://bucket/, 1 skipped",
        ],
        "Triggerer.1.triggerer.log": [
            "dags: skipped 'x': it is a folder too",
            "dags: 1 files from s3://bucket/, 1 skipped",
            "dags: 2 files from s3://bucket/",
        ],
        "Scheduler.1.scheduler.log": ["starting"],
    }
    for name, content in lines.items():
        (tmp_path / name).write_text("\n".join(content) + "\n")
    assert skipped_files(tmp_path) == {"DagProcessor": ["'reports': it is a folder too"]}
