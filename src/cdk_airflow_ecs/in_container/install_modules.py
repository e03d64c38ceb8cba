"""Give an image modules that it lacks, then become Airflow: ``NAME TEXT NAME TEXT -- COMMAND...``.

They go where every process of Airflow looks for modules, those of an ECS Exec shell too.
"""

from __future__ import annotations

import os
import sys


def main(*words: str) -> None:
    """Write each module and become the command."""
    end = words.index("--")
    folder = os.path.join(os.path.expanduser(os.environ.get("AIRFLOW_HOME", "~/airflow")), "config")
    os.makedirs(folder, exist_ok=True)
    for at in range(0, end, 2):
        with open(os.path.join(folder, f"{words[at]}.py"), "w", encoding="utf-8") as module:
            module.write(words[at + 1])
    os.execvp(words[end + 1], words[end + 1 :])  # noqa: S606 (the point: signals reach Airflow)


if __name__ == "__main__":
    main(*sys.argv[1:])
