"""`python -m cdk_airflow_ecs.cli` is `airflow-ecs`."""

from cdk_airflow_ecs.cli import main

if __name__ == "__main__":
    main()
