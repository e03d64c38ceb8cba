"""Reading of the environment variables and Airflow options that users pass. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.option_names import section_of
from cdk_airflow_ecs.plan import Option, SecretRef, Value
from cdk_airflow_ecs.secret_detection import refusal, secret_of
from cdk_airflow_ecs.tokens import is_secret

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

# AIRFLOW__SECTION__OPTION, or AIRFLOW__TEAM___SECTION__OPTION for one of Airflow's teams.
_OPTION_NAME: Final = re.compile(r"AIRFLOW__((?:[A-Z0-9_]+?___)?[A-Z0-9_]+?)__([A-Z0-9_]+)")
# Variables that the official image's entry point reads (scripts/docker/entrypoint_prod.sh), and why to reject them.
_ENTRYPOINT_VARIABLES: Final = {
    "_AIRFLOW_DB_MIGRATE": "the migration gate upgrades the database",
    "_AIRFLOW_DB_UPGRADE": "the migration gate upgrades the database",
    "_AIRFLOW_DB_RESET": "it would erase the database at every start",
    "_AIRFLOW_WWW_USER_CREATE": "the migration gate creates the admin",
    "_PIP_ADDITIONAL_REQUIREMENTS": "it installs packages at every start; build an image instead",
}


def split_environment(
    owner: str, environment: Mapping[str, str | ecs.Secret], secrets: dict[str, ecs.Secret]
) -> tuple[dict[str, Value], dict[Option, Value]]:
    """Split variables into Airflow options and others. Move secrets to *secrets*, and refer to them.

    Raises:
        ValueError: for an invalid name, or a secret in plain text.
    """
    if not isinstance(environment, Mapping):
        raise ValueError(f"{owner} must map names to text, got {validation.kind_of(environment)}")
    plain: dict[str, Value] = {}
    found: dict[Option, Value] = {}
    for name, value in environment.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{owner}: {validation.shown_name(name)} is not a valid environment variable name")
        if name in _ENTRYPOINT_VARIABLES:
            raise ValueError(f"{owner}: {name} is not accepted: {_ENTRYPOINT_VARIABLES[name]}")
        if match := _OPTION_NAME.fullmatch(name):
            found[section_of(match[1]), match[2].lower()] = _value(owner, name, value, secrets)
            continue
        if name.upper().startswith(("AIRFLOW__", "AIRFLOW_CORE_")):
            raise ValueError(f"{owner}: {name} is not an Airflow option. Use AIRFLOW__SECTION__OPTION")
        if why := secret_of(name, value):
            raise ValueError(refusal(f"{owner}: {name}", why))
        plain[name] = _value(owner, name, value, secrets)
    return plain, found


def read_config(config: Mapping[Option, object], secrets: dict[str, ecs.Secret]) -> dict[Option, Value]:
    """Return the values of ``config=``. Move secrets to *secrets*, and refer to them.

    Raises:
        ValueError: for a value of another type.
    """
    return {
        (section, name): _value("config=", f"{section}.{name}", value, secrets)
        for (section, name), value in config.items()
    }


def _value(owner: str, name: str, value: object, secrets: dict[str, ecs.Secret]) -> Value:
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, str):
        return value
    if is_secret(value):
        key = f"{owner}/{name}"
        secrets[key] = value  # type: ignore[assignment]  # checked by is_secret
        return SecretRef("Given", key)
    raise ValueError(
        f"{owner}: {name} must be text, a number or an ecs.Secret, such as ecs.Secret.from_secrets_manager(…), got"
        f" {validation.shown(value)}"
    )
