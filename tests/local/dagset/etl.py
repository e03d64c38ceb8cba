"""The program of the DAG set's ECS task."""

import sys

print(f"loaded <{sys.argv[1]}>", flush=True)
