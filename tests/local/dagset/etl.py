"""What the container of the DAG set's ECS task does."""

import sys

print(f"loaded <{sys.argv[1]}>", flush=True)
