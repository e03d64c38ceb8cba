"""Not a DAG: plans need only the folder."""
