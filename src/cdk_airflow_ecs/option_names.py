"""The options of releases of Airflow and its providers, from Airflow's metadata. Pure.

``scripts/generate_option_names.py`` writes ``option_names.json``, which is read at first use.
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
# Sections that accept any option name, because Airflow passes their options on: to kombu's transports, to
# Elasticsearch's and OpenSearch's clients, and to sentry_sdk.init().
FREE_FORM = re.compile(r"\w+_transport_options|(elasticsearch|opensearch)_configs|sentry")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOption:
    """One option in all releases.

    Args:
        minors: the release lines that have the option under this name.
        read: the release lines that accept this name as an old one.
        renamed: the option's newer names, oldest first.
        since: the version that renamed the option, if known.
        deprecated: the version that deprecated the option.
        advice: Airflow's advice on a replacement.
        sensitive: whether Airflow masks the value, and can read it from a command or a secrets backend.
        provider: its provider package; None for Airflow's own options.
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
    """Return the release lines whose options are known, oldest first."""
    return tuple(_data()["airflow"])


def line_with_data(minor: str) -> str:
    """Return *minor*, such as "3.3", if its options are known, or the newest known release line if *minor* is later.

    Raises:
        ValueError: if the options of *minor* are unknown, and it is not later than the newest known line.
    """
    lines = minors()
    if minor in lines:
        return minor
    match = re.fullmatch(r"(\d+)\.(\d+)", minor)
    newest = tuple(map(int, lines[-1].split(".")))
    if match is None or int(match[1]) != newest[0] or int(match[2]) < newest[1]:
        raise ValueError(
            f"The Airflow release must be one of {', '.join(lines)} or a later {newest[0]}.x, got {minor!r}"
        )
    return lines[-1]


def known(minor: str) -> Mapping[Option, KnownOption]:
    """Return the options of release line *minor* and of the providers in its official image.

    Raises:
        ValueError: as :func:`line_with_data`.
    """
    return _known(line_with_data(minor))


def exists(option: Option, minor: str) -> bool:
    """Return whether release line *minor* has *option*, also as ``_cmd`` or ``_secret``."""
    return FREE_FORM.fullmatch(option[0]) is not None or base_option(option) in known(minor)


def current_option(option: Option, minor: str) -> Option | None:
    """Return the name of an option in release line *minor*. The given name may be an old one."""
    if option in known(minor):
        return option
    facts = every_option().get(option)
    names = (current_option(new, minor) for new in reversed(facts.renamed if facts else ()))
    return next((name for name in names if name), None)


def base_option(option: Option) -> Option:
    """Return a sensitive option without its suffix ``_cmd`` or ``_secret``; any other option unchanged."""
    section, name = option
    stems = [(section, name.removesuffix(suffix)) for suffix in COMMAND_SUFFIXES if name.endswith(suffix)]
    facts = every_option()
    return next((stem for stem in stems if option not in facts and stem in facts and facts[stem].sensitive), option)


@lru_cache(maxsize=4096)  # planning calls it for each option of each process
def read_as(option: Option, minor: str) -> Option:
    """Return the option that *option* sets in release line *minor*. It may be an old name, ``_cmd`` or ``_secret``."""
    base, minor = base_option(option), line_with_data(minor)
    facts = every_option().get(base)
    return (current_option(base, minor) if facts and minor in facts.read else None) or base


def section_of(variable: str) -> str:
    """Return the section for its spelling in an environment variable: ``common.io`` for ``COMMON_IO``."""
    return _with_dots().get(variable.lower(), variable.lower())


@cache
def every_option() -> Mapping[Option, KnownOption]:
    """Return the options of all releases, including old names."""

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
    data: dict[str, dict[str, dict[str, object]]] = json.loads(
        files(__package__).joinpath("option_names.json").read_text(encoding="utf-8")
    )
    return data


@cache
def _with_dots() -> Mapping[str, str]:
    return {section.replace(".", "_"): section for section, _ in every_option() if "." in section}


@cache
def _known(minor: str) -> Mapping[Option, KnownOption]:
    return MappingProxyType({name: facts for name, facts in every_option().items() if minor in facts.minors})


def _option(dotted: str) -> Option:
    """Split "section.option". A section may contain dots."""
    section, _, option = dotted.rpartition(".")
    return section, option
