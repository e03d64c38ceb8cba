"""PostgreSQL, Redis and the DAG bucket for the stores of a template."""
