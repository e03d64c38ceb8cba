"""The program of the ECS task that dagset.py starts."""

import sys

print(f"loaded <{sys.argv[1]}>", flush=True)
