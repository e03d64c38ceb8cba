"""The Dockerfile of a derived Airflow image. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.airflow_extras import extras_of
from cdk_airflow_ecs.images.requirements import chosen_versions

HOME: Final = "/opt/airflow"  # AIRFLOW_HOME of apache/airflow images
SCRIPT: Final = "/entrypoint.sh"
_CONSTRAINTS: Final = "https://raw.githubusercontent.com/apache/airflow/constraints-{version}/constraints-{python}.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The contents of an image.

    Args:
        base: "official", "slim", or the name of an image derived from one of them.
        folders: the folders of the build context, of "config", "plugins" and "dags".
        entrypoint: the entry point, if the context has entrypoint.sh.
    """

    version: AirflowVersion
    base: str = "official"
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()


def dockerfile(recipe: Recipe) -> str:
    """Return the Dockerfile of *recipe*.

    Examples:
        >>> print(dockerfile(Recipe(version=AirflowVersion.V3_3, folders=("plugins",))))
        FROM apache/airflow:3.3.2-python3.12
        <BLANKLINE>
        COPY --chown=airflow:root plugins/ /opt/airflow/plugins/
        <BLANKLINE>
    """
    paragraphs = [f"FROM {base_image(recipe.version, recipe.base)}"]
    if recipe.base not in ("official", "slim"):
        # If only version= changes, the build must fail, because the base still has the old release.
        paragraphs.append(
            f'RUN test "${{AIRFLOW_VERSION}}" = "{recipe.version}" \\\n    || {{'
            f' echo "{recipe.base} has Airflow ${{AIRFLOW_VERSION}}, but version= is {recipe.version}"; exit 1; }}'
        )
    if recipe.packages:
        paragraphs.append(_install_packages(recipe.packages))
    if recipe.requirements or recipe.base == "slim":
        paragraphs.append(_install_requirements(recipe))
    copies = [f"COPY --chown=airflow:root {name}/ {HOME}/{name}/" for name in recipe.folders]
    if recipe.entrypoint:
        copies.append(f"COPY --chown=airflow:root entrypoint.sh {SCRIPT}")
        copies.append(f"ENTRYPOINT {json.dumps(recipe.entrypoint)}")
    if copies:
        paragraphs.append("\n".join(copies))
    return "\n\n".join(paragraphs) + "\n"


def build_context(recipe: Recipe, files: Mapping[str, str]) -> dict[str, bytes]:
    """Return the generated files of the build context by path; *files* are the Python modules that the cluster adds."""
    context = {"Dockerfile": dockerfile(recipe).encode()}
    if recipe.requirements:
        context["requirements.txt"] = "".join(f"{line}\n" for line in recipe.requirements).encode()
    return context | {f"config/{name}": text.encode() for name, text in files.items()}


def base_image(version: AirflowVersion, base: str) -> str:
    """Return the name of the base image.

    Examples:
        >>> base_image(AirflowVersion.V2_8, "slim")
        'apache/airflow:slim-2.8.4-python3.11'
    """
    if base not in ("official", "slim"):
        return base
    return f"apache/airflow:{'slim-' if base == 'slim' else ''}{version}-python{version.python}"


def _install_packages(packages: tuple[str, ...]) -> str:
    names = " \\\n        ".join(packages)
    return f"""USER root
# Debian removes a version when it publishes the next one: a pin would break the build.
# hadolint ignore=DL3008
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends \\
        {names} \\
    && apt-get clean \\
    && rm -rf /var/lib/apt/lists/*
USER airflow"""


def _install_requirements(recipe: Recipe) -> str:
    """Return one pip command for all packages, so that pip keeps Airflow's release and fails on conflicts."""
    extras = ""
    lines = []
    if recipe.base == "slim":
        extras = f"[{extras_of(str(recipe.version))}]"
    if recipe.requirements:
        lines.append(f"COPY --chown=airflow:root requirements.txt {HOME}/requirements.txt")
    lines.append(
        f"RUN {_constraints(recipe)} \\\n"
        "    && pip install --no-cache-dir --constraint /tmp/constraints.txt \\\n"
        f'        "apache-airflow{extras}==${{AIRFLOW_VERSION}}"'
        + (f" --requirement {HOME}/requirements.txt" if recipe.requirements else "")
        + " \\\n    && pip check \\\n    && rm /tmp/constraints.txt"
    )
    return "\n".join(lines)


def _constraints(recipe: Recipe) -> str:
    """Return a command that writes Airflow's constraints, except for packages in requirements.txt, to a file."""
    version, file, fetch = recipe.version, "${HOME}/constraints.txt", ""
    if recipe.base == "slim" or version.line == "2.8":
        # Images have a constraints file since 2.9 (docker-stack documentation), but the file of slim images may lack
        # providers.
        url = _CONSTRAINTS.format(version="${AIRFLOW_VERSION}", python=version.python)
        file = f"{HOME}/constraints.txt"
        fetch = f'curl --fail --silent --show-error --location --output {file} "{url}" \\\n    && '
    if names := chosen_versions(recipe.requirements):
        pattern = "|".join(name.replace("-", "[-_.]") for name in names)
        return f"{fetch}sed --regexp-extended '/^({pattern})==/Id' \"{file}\" > /tmp/constraints.txt"
    return f'{fetch}cp "{file}" /tmp/constraints.txt'
