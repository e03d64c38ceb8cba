"""Executors: what runs Airflow tasks."""
