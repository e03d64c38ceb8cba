"""The Dockerfile of an image derived from Airflow's own. Pure: facts in, text out."""

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
    """What goes into an image.

    Args:
        version: the Airflow release.
        base: "official", "slim", or the name of an image that was made from either.
        packages: Debian packages.
        requirements: the lines of requirements.txt.
        folders: which of "config", "plugins" and "dags" the context has.
        entrypoint: what the image starts with, when entrypoint.sh is in the context.
    """

    version: AirflowVersion
    base: str = "official"
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()


def dockerfile(recipe: Recipe) -> str:
    """Write the Dockerfile of *recipe*.

    Examples:
        >>> print(dockerfile(Recipe(version=AirflowVersion.V3_3, folders=("plugins",))))
        FROM apache/airflow:3.3.2-python3.12
        <BLANKLINE>
        COPY --chown=airflow:root plugins/ /opt/airflow/plugins/
        <BLANKLINE>
    """
    paragraphs = [f"FROM {base_image(recipe.version, recipe.base)}"]
    if recipe.base not in ("official", "slim"):
        # Whoever moves version= must move the base too.
        paragraphs.append(
            f'RUN test "${{AIRFLOW_VERSION}}" = "{recipe.version}" \\\n    || {{'
            f' echo "{recipe.base} has Airflow ${{AIRFLOW_VERSION}}, version= says {recipe.version}"; exit 1; }}'
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
    """Return the files that a builder gets and that come from no directory, by path.

    Args:
        recipe: what goes into the image.
        files: Python modules of the cluster's own, by file name.
    """
    context = {"Dockerfile": dockerfile(recipe).encode()}
    if recipe.requirements:
        context["requirements.txt"] = "".join(f"{line}\n" for line in recipe.requirements).encode()
    return context | {f"config/{name}": text.encode() for name, text in files.items()}


def base_image(version: AirflowVersion, base: str) -> str:
    """The name of the image that another starts from.

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
    """One pip command: it may not move Airflow, and breaks on any conflict."""
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
    """Put the versions that Airflow was tested with into a file, without those that requirements name themselves."""
    version, file, fetch = recipe.version, "${HOME}/constraints.txt", ""
    if recipe.base == "slim" or version.line == "2.8":
        # Images have a file only since 2.9 (docker-stack documentation), and nothing says that a slim one's names
        # providers, which it has not.
        url = _CONSTRAINTS.format(version="${AIRFLOW_VERSION}", python=version.python)
        file = f"{HOME}/constraints.txt"
        fetch = f'curl --fail --silent --show-error --location --output {file} "{url}" \\\n    && '
    if names := chosen_versions(recipe.requirements):
        pattern = "|".join(name.replace("-", "[-_.]") for name in names)
        return f"{fetch}sed --regexp-extended '/^({pattern})==/Id' \"{file}\" > /tmp/constraints.txt"
    return f'{fetch}cp "{file}" /tmp/constraints.txt'
