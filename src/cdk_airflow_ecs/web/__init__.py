"""Access to Airflow's UI and public API."""
