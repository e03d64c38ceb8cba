"""PostgreSQL, Redis and the DAG bucket of a local cluster."""
