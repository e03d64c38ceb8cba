"""Makes import errors of modules that only the official image has name the extra to install.

This file is copied into local environments and must run on Python 3.8.
"""

import sys


class MissingModules:
    """A module finder; it is the last one, so Python calls it only for missing modules."""

    def __init__(self, modules, version):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        self._modules = modules
        self._version = version

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Raise ModuleNotFoundError with the extra that installs the missing module."""
        extra = self._modules.get(name)
        # importlib.util.find_spec also calls this method, and expects None for a missing module.
        if extra is None or sys._getframe(2).f_code.co_name != "_find_and_load_unlocked":
            return None
        raise ModuleNotFoundError(
            f"No module named {name!r}. The official image of Airflow {self._version} has it, but this local"
            f" environment does not: start with `airflow-ecs local up --extras {extra}`",
            name=name,
        )


def install(modules, version):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Add the finder; *modules* maps module names to extras."""
    sys.meta_path.append(MissingModules(modules, version))  # type: ignore[no-untyped-call]
