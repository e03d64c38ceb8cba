"""Container images of Airflow."""
