"""How people reach Airflow: load balancer, listeners, sign-in."""
