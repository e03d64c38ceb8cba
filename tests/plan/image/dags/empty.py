"""No DAG: the folder alone matters to a plan."""
