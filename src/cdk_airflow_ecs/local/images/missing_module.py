"""Names the remedy when an import fails that would succeed in the official image.

It is copied into each local environment that takes the place of a full official image. Python 3.8 runs it too.
"""

import sys


class MissingModules:
    """The last finder of modules: it is asked only for those that do not exist."""

    def __init__(self, modules, version):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        self._modules = modules
        self._version = version

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Raise ModuleNotFoundError for a module that an extra brings, if an import asks."""
        extra = self._modules.get(name)
        # importlib.util.find_spec asks too, and expects None.
        if extra is None or sys._getframe(2).f_code.co_name != "_find_and_load_unlocked":
            return None
        raise ModuleNotFoundError(
            f"No module named {name!r}. The official image of Airflow {self._version} has it, and this local"
            f" environment does not: start with `airflow-ecs local up --extras {extra}`",
            name=name,
        )


def install(modules, version):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Begin to explain imports that fail.

    Args:
        modules: the extra that brings each module.
        version: the Airflow release.
    """
    sys.meta_path.append(MissingModules(modules, version))  # type: ignore[no-untyped-call]
