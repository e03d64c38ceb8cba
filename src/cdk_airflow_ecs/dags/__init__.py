"""DAG sources."""
