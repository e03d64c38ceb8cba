"""Merging of options from several sources. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.option_names import Option, base_option, every_option, read_as
from cdk_airflow_ecs.tokens import is_token

T = TypeVar("T")
# Values and options that messages show. Others, such as [smtp] smtp_user, may be secret.
_PUBLIC_VALUE: Final = re.compile(r"-?\d+(\.\d+)?|(?i:true|false)")
_PUBLIC_OPTION: Final = re.compile(r"(executor|queue|folder|path|level|format|class|timezone|region|mode|backend)s?$")
_INSTEAD_BROKER = "use executor=CeleryExecutor(broker=RedisBroker.existing(…))"
_GENERATED = "leave it out, the cluster generates one and keeps it in Secrets Manager"
# Options that the cluster sets, and what a user can do instead of setting them.
INSTEAD: Mapping[Option, str] = {
    ("database", "sql_alchemy_conn"): "use database=ExistingDatabase(endpoint=…, secret=…)",
    ("celery", "broker_url"): _INSTEAD_BROKER,
    (
        "celery",
        "result_backend",
    ): _INSTEAD_BROKER,
    ("core", "fernet_key"): _GENERATED,
    ("api", "secret_key"): _GENERATED,
    ("webserver", "secret_key"): _GENERATED,
    ("api_auth", "jwt_secret"): _GENERATED,
}


def merge(sources: Sequence[tuple[str, Mapping[Option, T]]], minor: str) -> dict[Option, T]:
    """Merge the options of several sources, in order.

    Args:
        sources: (name for error messages, options) of each source.
        minor: the release line, such as "3.3", which determines the old names of options.

    Raises:
        OptionConflictError: if two sources set different values of an option, or one sets the option and another its
            ``_cmd``.
    """
    found: dict[Option | str, str] = {}
    found.update(conflicts(sources, minor))
    if found:
        raise OptionConflictError(found)
    merged: dict[Option, tuple[Option, T]] = {}
    for _, options in sources:
        for option, value in options.items():
            merged.setdefault(read_as(option, minor), (option, value))
    return dict(merged.values())


class OptionConflictError(ValueError):
    """The options of one process cannot be used, for example because two sources set one to different values.

    Args:
        found: the error messages by option, under its current name, or by themselves.
        errors: the errors of checks whose messages are in *found*.
    """

    def __init__(self, found: Mapping[Option | str, str], errors: Sequence[ValueError] = ()) -> None:
        super().__init__(together([*found.values()]))
        self.found = found
        self.errors = errors


def raise_together(errors: Sequence[OptionConflictError]) -> None:
    """Raise one error with the messages of *errors*, if any: the original one if there is only one message."""
    found: dict[Option | str, str] = {}
    for each in errors:
        found = {**each.found, **found}
    checks = [error for each in errors for error in each.errors]
    if len(found) == 1 and checks:
        raise checks[0]
    if found:
        raise OptionConflictError(found, checks)


def conflicts(sources: Sequence[tuple[str, Mapping[Option, object]]], minor: str) -> dict[Option, str]:
    """Return error messages, by option, about options that two sources set differently or under different names.

    The arguments are those of :func:`merge`.
    """
    first: dict[Option, tuple[str, Option, object]] = {}
    found: dict[Option, str] = {}
    for source, options in sources:
        for option, value in options.items():
            current = read_as(option, minor)
            earlier, name, given = first.setdefault(current, (source, option, value))
            agree = type(given) is type(value) and given == value
            instead = f": {INSTEAD[current]}" if current in INSTEAD else ""
            if name != option and not (agree and base_option(name) == name and base_option(option) == option):
                message = f"{spell(name)} by {earlier}, and {spell(option)} by {source}, are one option"
            elif not agree:
                message = (
                    f"{spell(option)} is given twice: as {_show(option, given)} by {earlier}, "
                    f"and as {_show(option, value)} by {source}"
                )
            else:
                continue
            found.setdefault(current, f"{message}; remove one of the two{instead}")
    return found


def together(messages: Sequence[str]) -> str:
    """Return one message that lists all *messages*."""
    if len(messages) == 1:
        return messages[0]
    return "\n- ".join([f"{len(messages)} settings cannot be used:", *messages])


def overlay(defaults: Mapping[Option, T], chosen: Mapping[Option, T], minor: str) -> dict[Option, T]:
    """Override *defaults* by *chosen*. If *chosen* has an old name, drop the new name, which Airflow would prefer."""
    renamed = {read_as(option, minor) for option in chosen} - chosen.keys()
    return {**{option: value for option, value in defaults.items() if option not in renamed}, **chosen}


def spell(option: Option) -> str:
    """Return an option as written in Airflow's documentation: ``[section] option``."""
    return f"[{option[0]}] {option[1]}"


def _show(option: Option, value: object) -> str:
    """Return a value for a message, or its type if it may be a secret."""
    facts = every_option().get(option)
    if facts is None:
        return "a command" if option[1].endswith("_cmd") else f"a {type(value).__name__}"
    if facts.sensitive:
        return "a secret"
    if not isinstance(value, (str, int, float)):
        return "a value known only at deploy time"
    is_public = is_token(value) or _PUBLIC_VALUE.fullmatch(str(value)) or _PUBLIC_OPTION.search(option[1])
    return validation.shown(value) if is_public else validation.kind_of(value)
