"""Run `airflow-ecs` as `python -m cdk_airflow_ecs.cli`."""

from cdk_airflow_ecs.cli import main

if __name__ == "__main__":
    main()
