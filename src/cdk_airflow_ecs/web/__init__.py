"""The way to Airflow's UI and public API: arguments, load balancer, listeners."""
