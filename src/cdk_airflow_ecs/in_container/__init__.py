"""Programs that run in users' Airflow images, without this package.

Minimum: Python 3.8, the oldest in images of Airflow 2.8. The programs import the standard library, boto3 and Airflow.
"""

from functools import cache
from importlib import resources


@cache
def program(name: str) -> str:
    """Return the source text of a program in this folder, such as "migrate"."""
    return resources.files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
