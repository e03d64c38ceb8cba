"""Two containers, one after the other, each in its own Fargate task."""

from datetime import datetime

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.sdk import DAG, Variable

with DAG("etl", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, default_args={"retries": 2}):
    load = EcsRunTaskOperator(
        task_id="load",
        overrides={"containerOverrides": [{"name": "etl", "command": ["print('loaded {{ ds }}')"]}]},
        reattach=True,
        **Variable.get("ecs_etl", deserialize_json=True),
    )
    report = EcsRunTaskOperator(
        task_id="report",
        overrides={},
        deferrable=True,
        **Variable.get("ecs_nightly_report", deserialize_json=True),
    )
    load >> report
