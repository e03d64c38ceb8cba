"""Install modules in a container, and execute Airflow: ``NAME TEXT NAME TEXT -- COMMAND...``.

The folder of the modules is on the import path of every Airflow process, including those in ECS Exec shells.
"""

from __future__ import annotations

import os
import sys


def main(*words: str) -> None:
    """Write the modules and execute the command."""
    end = words.index("--")
    folder = os.path.join(os.path.expanduser(os.environ.get("AIRFLOW_HOME", "~/airflow")), "config")
    os.makedirs(folder, exist_ok=True)
    for at in range(0, end, 2):
        with open(os.path.join(folder, f"{words[at]}.py"), "w", encoding="utf-8") as module:
            module.write(words[at + 1])
    os.execvp(words[end + 1], words[end + 1 :])  # noqa: S606 (exec, so that Airflow receives signals)


if __name__ == "__main__":
    main(*sys.argv[1:])
