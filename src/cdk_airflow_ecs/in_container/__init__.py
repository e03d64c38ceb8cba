"""Programs that run inside users' Airflow images, on Python 3.8 and newer, without this package."""

from functools import cache
from importlib import resources


@cache
def program(name: str) -> str:
    """Return the source text of the program *name* of this folder, such as "migrate"."""
    return resources.files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
