"""The options that releases of Airflow and of its providers know, as Airflow's own metadata tells. Pure.

``option_names.json`` is written by ``scripts/generate_option_names.py`` and read once, at first use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType

Option = tuple[str, str]  # (section, option), in lower case as in airflow.cfg

COMMAND_SUFFIXES = ("_cmd", "_secret")
# Sections that Airflow hands on whole, so that any name is right: Celery's and kombu's transport options, the
# arguments of the Elasticsearch and OpenSearch clients, those of sentry_sdk.init().
FREE_FORM = re.compile(r"\w+_transport_options|(elasticsearch|opensearch)_configs|sentry")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOption:
    """What the releases of Airflow know about one option.

    Args:
        minors: the releases that have it, by this name.
        read: the releases that read this old name in place of a newer one.
        renamed: the newer names, oldest first.
        since: the version that renamed it, if Airflow says so.
        deprecated: the version that deprecated it.
        advice: Airflow's own words on what to do instead.
        sensitive: whether Airflow masks it, and takes it from a command or a secrets backend too.
        provider: the provider package that it belongs to; None if it is Airflow's own.
    """

    minors: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    renamed: tuple[Option, ...] = ()
    since: str | None = None
    deprecated: str | None = None
    advice: str | None = None
    sensitive: bool = False
    provider: str | None = None


def minors() -> tuple[str, ...]:
    """Return the release lines that there is data for, oldest first."""
    return tuple(_data()["airflow"])


def line_with_data(minor: str) -> str:
    """Return the release line whose options stand for those of *minor*: its own, or the newest for a later release.

    Args:
        minor: the release line, such as "3.3".

    Raises:
        ValueError: if there is no data for that release, and it is not later than the newest.
    """
    lines = minors()
    if minor in lines:
        return minor
    match = re.fullmatch(r"(\d+)\.(\d+)", minor)
    newest = tuple(map(int, lines[-1].split(".")))
    if match is None or int(match[1]) != newest[0] or int(match[2]) < newest[1]:
        raise ValueError(f"the options of Airflow {minor!r} are not known; those of {', '.join(lines)} are")
    return lines[-1]


def known(minor: str) -> Mapping[Option, KnownOption]:
    """Return the options of a release of Airflow and of the providers in its official image.

    Args:
        minor: the release line, such as "3.3".

    Raises:
        ValueError: if there is no data for that release, and it is not later than the newest.
    """
    return _known(line_with_data(minor))


def exists(option: Option, minor: str) -> bool:
    """Tell whether a release of Airflow has an option, by this name or as its ``_cmd`` or ``_secret``.

    Args:
        option: (section, option).
        minor: the release line, such as "3.3".
    """
    return FREE_FORM.fullmatch(option[0]) is not None or base_option(option) in known(minor)


def current_option(option: Option, minor: str) -> Option | None:
    """Return the name that an option, perhaps given by an old name, has in a release."""
    if option in known(minor):
        return option
    facts = every_option().get(option)
    names = (current_option(new, minor) for new in reversed(facts.renamed if facts else ()))
    return next((name for name in names if name), None)


def base_option(option: Option) -> Option:
    """Return the sensitive option whose command or secrets-backend path this is, or the option itself."""
    section, name = option
    stems = [(section, name.removesuffix(suffix)) for suffix in COMMAND_SUFFIXES if name.endswith(suffix)]
    facts = every_option()
    return next((stem for stem in stems if option not in facts and stem in facts and facts[stem].sensitive), option)


@lru_cache(maxsize=4096)  # a plan asks for each option once per process
def read_as(option: Option, minor: str) -> Option:
    """Return the option of a release that this name sets, which may be an old name, a command or a path."""
    base, minor = base_option(option), line_with_data(minor)
    facts = every_option().get(base)
    return (current_option(base, minor) if facts and minor in facts.read else None) or base


def section_of(variable: str) -> str:
    """Return the section that a variable's part names: COMMON_IO is common.io, for variables have no dots."""
    return _with_dots().get(variable.lower(), variable.lower())


@cache
def every_option() -> Mapping[Option, KnownOption]:
    """Return every option of any release, old names included."""

    def words(row: Mapping[str, object], key: str) -> tuple[str, ...]:
        return tuple(str(row.get(key, "")).split())

    def text(row: Mapping[str, object], key: str) -> str | None:
        return str(row[key]) if key in row else None

    return {
        _option(name): KnownOption(
            minors=words(row, "in"),
            read=words(row, "read"),
            renamed=tuple(_option(new) for new in words(row, "now")),
            since=text(row, "since"),
            deprecated=text(row, "deprecated"),
            advice=text(row, "advice"),
            sensitive=bool(row.get("sensitive")),
            provider=text(row, "provider"),
        )
        for name, row in _data()["options"].items()
    }


@cache
def _data() -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    """Read the generated file, once."""
    data: dict[str, dict[str, dict[str, object]]] = json.loads(
        files(__package__).joinpath("option_names.json").read_text(encoding="utf-8")
    )
    return data


@cache
def _with_dots() -> Mapping[str, str]:
    """Return the sections that variables must write otherwise."""
    return {section.replace(".", "_"): section for section, _ in every_option() if "." in section}


@cache
def _known(minor: str) -> Mapping[Option, KnownOption]:
    """Return the options that one release has."""
    return MappingProxyType({name: facts for name, facts in every_option().items() if minor in facts.minors})


def _option(dotted: str) -> Option:
    """Split "section.option"; a section may hold dots itself."""
    section, _, option = dotted.rpartition(".")
    return section, option
