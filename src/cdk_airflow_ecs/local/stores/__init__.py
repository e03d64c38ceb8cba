"""PostgreSQL, Redis and the DAG bucket behind the stores of a template."""
