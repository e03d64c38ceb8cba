"""Checks of the user's Airflow options. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from typing import TypeVar

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_merging import INSTEAD, spell
from cdk_airflow_ecs.option_names import (
    COMMAND_SUFFIXES,
    FREE_FORM,
    KnownOption,
    Option,
    base_option,
    current_option,
    every_option,
    exists,
    known,
    line_with_data,
    minors,
    read_as,
    section_of,
)
from cdk_airflow_ecs.secret_detection import secret_in, secret_in_backend, secret_of

__all__ = [
    "Finding",
    "KnownOption",
    "Option",
    "check",
    "environment_name",
    "exists",
    "flatten",
    "known",
    "read_as",
    "variables",
]

T = TypeVar("T")
# "%%", airflow.cfg's escape for "%", before a field name or a date format.
_ESCAPED = re.compile(r"%%[(A-Za-z]")

_NAME = re.compile(r"[a-z0-9_.-]+")
_ENVIRONMENT_NAME = re.compile(r"AIRFLOW_{1,2}([A-Z].*?)__(.+)", re.IGNORECASE)
# Options with JSON arguments. Airflow masks them because they may contain a password, but most contain only prefixes,
# sizes and timeouts.
_MAY_BE_SECRET = re.compile(r"\w+_(kw)?args")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A warning or an error about an option.

    Args:
        id: the id of the rule.
        message: the option's value, its effect in Airflow, and the remedy.
        is_error: whether synthesis fails, instead of showing a warning.
    """

    option: Option
    id: str
    message: str
    is_error: bool = False

    @property
    def warning_id(self) -> str:
        """The id of the warning, unique for each option."""
        return f"{self.id}:{'.'.join(self.option)}"


@lru_cache(maxsize=4096)  # a plan calls it for each option of each process
def environment_name(section: str, option: str) -> str:
    """Return the name of the environment variable that sets an option.

    Examples:
        >>> environment_name("common.io", "xcom_objectstorage_path")
        'AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH'
    """
    return f"AIRFLOW__{section.replace('.', '_')}__{option}".upper()


def variables(chosen: Mapping[Option, T]) -> dict[str, T]:
    """Return the environment variables that set *chosen*."""
    return {environment_name(*option): value for option, value in chosen.items()}


def check(given: Mapping[Option, object], minor: str) -> tuple[Finding, ...]:
    """Return the findings about options of release line *minor*, such as "3.3".

    Values other than text, numbers and bools are treated as secrets, and sections unknown to all releases as those of
    plugins.
    """
    minor = line_with_data(minor)
    found = ((option, finding) for option, value in given.items() for finding in _judge(option, value, minor))
    # Findings have the option as the user wrote it, so that each of Airflow's teams has its own warning.
    return tuple(replace(finding, option=option) for option, finding in found if finding)


def flatten(user: Mapping[str, Mapping[str, object]]) -> dict[Option, object]:
    """Return the values of ``config=`` by option.

    Raises:
        ValueError: if *user* is not a mapping of sections to mappings of options to values, or a value cannot become
            text.
    """
    found: dict[Option, object] = {}
    for (section, name), value in _given(user):
        option = (section_of(section), name)
        if option in found:
            variable_section = option[0].replace(".", "_")
            raise IncompatibleArgumentsError(
                f"config: [{variable_section}] and [{option[0]}] are the same section in environment variables, and"
                f" both set {name!r}. Remove it from [{variable_section}]"
            )
        found[option] = value
    return found


def _given(user: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[Option, object]]:
    if not isinstance(user, Mapping):
        raise ValueError(f"config must map sections to options, got {type(user).__name__}; {_example()}")
    for section, options in user.items():
        _check_name("section", section)
        if not isinstance(options, Mapping):
            given = type(options).__name__
            place, dot, name = section.rpartition(".")
            if dot and place in {known_section for known_section, _ in every_option()}:
                raise ValueError(
                    f"config: keys must be sections, got {validation.shown(section)}, a section and an option;"
                    f" {_example(place, name)}"
                )
            raise ValueError(
                f"config[{validation.shown(section)}] must map options to values, got {given}; {_example(section)}"
            )
        for option, value in options.items():
            _check_name("option", option, section)
            _check_value((section, option), value)
            yield (section, option), value


def _check_name(kind: str, name: object, section: str = "core") -> None:
    if not isinstance(name, str):
        raise ValueError(
            f"config: {kind} names must be text, got {validation.shown(name)} ({type(name).__name__}); {_example()}"
        )
    if match := _ENVIRONMENT_NAME.fullmatch(name):
        example = _example(*(part.lower() for part in match.groups()))
        raise ValueError(f"config: {validation.shown(name)} is the name of an environment variable; {example}")
    if name != name.lower():
        example = _example(*((section,) if kind == "option" else ()), name.lower())
        raise ValueError(
            f"config: {kind} names must be in lower case, as in airflow.cfg, got {validation.shown(name)}; {example}"
        )
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"config: {kind} names must consist of letters, digits and _ . -, got {validation.shown(name)}"
        )


def _check_value(option: Option, value: object) -> None:
    if value is None:
        raise ValueError(f'config: {spell(option)} is None; omit it for Airflow\'s default, or pass "" for no value')
    if isinstance(value, (Mapping, list, tuple, set, frozenset, bytes)):
        remedy = "pass text" if isinstance(value, bytes) else "pass text, such as json.dumps(...) of it"
        raise ValueError(f"config: {spell(option)} must be a single value, got a {type(value).__name__}; {remedy}")


def _judge(option: Option, value: object, minor: str) -> Iterator[Finding | None]:
    section, name = option
    option = (section.rpartition("___")[2], name)  # without a team: AIRFLOW__TEAM___SECTION__OPTION
    base = base_option(option)
    facts = every_option().get(base)
    sensitive = facts and facts.sensitive and base == option and isinstance(value, (str, int, float)) and value != ""
    why = secret_in_backend(value) if name.endswith("backend_kwargs") else secret_in(value)
    if why or sensitive:
        yield _plain_text(option, why, minor)
    elif facts is None and secret_of(name, value):
        yield _named_secret(option)
    if isinstance(value, str) and _ESCAPED.search(value):
        message = (
            f'{spell(option)} contains "%%", which means "%" only in airflow.cfg, not in environment variables.'
            ' Write "%"'
        )
        yield Finding(option=option, id="cdk-airflow-ecs:escaped-percent", message=message, is_error=True)
    if FREE_FORM.fullmatch(option[0]):
        return
    if facts is None:
        yield _unknown(option, minor)
    elif minor in facts.read:
        yield _renamed(base, facts, minor)
    elif minor not in facts.minors:
        yield _absent(base, facts, minor)
    elif facts.deprecated and _version(facts.deprecated)[:2] <= _version(minor):
        message = f"{spell(base)} is deprecated since Airflow {facts.deprecated}. {facts.advice or ''}"
        yield Finding(option=option, id="cdk-airflow-ecs:deprecated-option", message=message.rstrip())


def _plain_text(option: Option, why: str | None, minor: str) -> Finding:
    place = current_option(option, minor) or option
    secret = f"pass an ecs.Secret: {_config(*place, 'ecs.Secret.from_secrets_manager(...)')}"
    remedy = INSTEAD.get(place, secret)
    if _MAY_BE_SECRET.fullmatch(option[1]) and not why:
        message = f"{spell(option)} is readable in the template. If it holds a password or a key, {remedy}"
        return Finding(option=option, id="cdk-airflow-ecs:possibly-secret-option", message=message)
    what = f"holds {why}" if why else "is a secret"
    message = f"{spell(option)} {what}, and would be readable in the template; {remedy}"
    return Finding(option=option, id="cdk-airflow-ecs:plain-text-secret", message=message, is_error=True)


def _named_secret(option: Option) -> Finding:
    message = (
        f"{spell(option)} looks like a secret by its name, and would be readable in the template; pass an ecs.Secret:"
        f" {_config(*option, 'ecs.Secret.from_secrets_manager(...)')}. If it is not a secret, pass"
        " ecs.Secret.from_ssm_parameter(...) with a plain parameter"
    )
    return Finding(option=option, id="cdk-airflow-ecs:plain-text-secret", message=message, is_error=True)


def _renamed(option: Option, facts: KnownOption, minor: str) -> Finding:
    new = current_option(option, minor) or option
    since = f"since Airflow {facts.since}" if facts.since else "now"
    message = f"{spell(option)} is called {spell(new)} {since}. Airflow {minor} still reads the old name"
    return Finding(option=option, id="cdk-airflow-ecs:deprecated-option", message=f"{message}; {_example(*new)}")


def _absent(option: Option, facts: KnownOption, minor: str) -> Finding:
    airflow = f"Airflow {minor}"
    if facts.provider:
        airflow += f" with its {facts.provider} provider"
    place = minors().index(minor)
    earlier = [other for other in minors()[:place] if other in facts.minors or other in facts.read]
    later = [other for other in minors()[place:] if other in facts.minors or (other in facts.read and not earlier)]
    if later:
        old = next((old for old, its in known(minor).items() if option in its.renamed), None)
        remedy = f"; {_example(*old)}" if old else ""
        message = f"{airflow} has no {spell(option)} and ignores it; Airflow {later[0]} has it{remedy}"
        return Finding(option=option, id="cdk-airflow-ecs:newer-option", message=message)
    gone = f"in Airflow {minors()[minors().index(earlier[-1]) + 1]}" if earlier else f"before Airflow {minors()[0]}"
    message = f"{spell(option)} was removed {gone}, and {airflow} ignores it"
    new = current_option(option, minor)
    message += f"; {_example(*new)}" if new else f". {facts.advice or 'Nothing replaces it: remove it.'}"
    return Finding(option=option, id="cdk-airflow-ecs:removed-option", message=message)


def _unknown(option: Option, minor: str) -> Finding | None:
    """Return the finding about an unknown option, or None if its section is not similar to a known one."""
    section, name = option
    sections = {other for other, _ in every_option()}
    nearby = [section] if section in sections else get_close_matches(section, sections, 1, 0.8)
    if not nearby:
        return None
    hints = [spell(hint) for hint in _suggestions((nearby[0], name), minor)]
    if nearby != [section] and not hints:
        hints = [f"[{nearby[0]}]"]
    message = f"Airflow {minor} has no option {spell(option)}"
    stem = next((name.removesuffix(suffix) for suffix in COMMAND_SUFFIXES if name.endswith(suffix)), name)
    if (section, stem) in known(minor):
        message += f": only sensitive options have _cmd and _secret, and {spell((section, stem))} is not sensitive"
    elif hints:
        message += f"; did you mean {' or '.join(hints)}?"
    return Finding(option=option, id="cdk-airflow-ecs:unknown-option", message=message)


def _suggestions(option: Option, minor: str) -> list[Option]:
    """Return at most two options that the user may have meant, the likeliest first."""
    section, name = option
    here = known(minor)
    if (section, f"{section}_{name}") in here:  # [smtp] host
        return [(section, f"{section}_{name}")]
    same = {current_option(other, minor) for other in every_option() if other[1] == name} - {None}
    if 1 <= len(same) <= 3:  # too many sections have a name such as "host"
        return _nearest(section, (other for other in same if other))
    if near := get_close_matches(name, [other for place, other in here if place == section], 1, 0.75):
        return [(section, near[0])]
    elsewhere = get_close_matches(name, {other for _, other in here}, 1, 0.85)
    return _nearest(section, (other for other in here if other[1] in elsewhere))


def _nearest(section: str, others: Iterable[Option]) -> list[Option]:
    return sorted(others, key=lambda other: (-SequenceMatcher(None, other[0], section).ratio(), other))[:2]


def _config(section: str = "core", option: str = "<option>", value: str = "...") -> str:
    return f'config={{"{section}": {{"{option}": {value}}}}}'


def _example(*option: str) -> str:
    return f"write {_config(*option)}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
