"""Executors, which run Airflow tasks."""
