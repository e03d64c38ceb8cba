"""ECS tasks that run one Airflow command."""
