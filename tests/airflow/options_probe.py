"""A program that checks the option names on its standard input with an installed Airflow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import distributions

from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager

MARK = "set-by-the-probe"
PROVIDER = "apache-airflow-providers-"


def reads(name: str, option: tuple[str, str], value: str = MARK) -> bool:
    """Return whether Airflow reads an option from an environment variable."""
    os.environ[name] = value
    try:
        return conf.get(*option, fallback=None, suppress_warnings=True) == MARK
    finally:
        del os.environ[name]


def described() -> list[tuple[str, str]]:
    """Return every option that this Airflow documents or has a default for."""
    fallbacks = getattr(conf, "_provider_config_fallback_default_values", None) or {}
    sections: list[Mapping[str, object]] = [
        {section: content["options"] for section, content in conf.configuration_description.items()},
        {section: fallbacks[section] for section in fallbacks if section != "DEFAULT"},
    ]
    return [(section, option) for part in sections for section, options in part.items() for option in options]


def main() -> None:
    """Print for each name whether this Airflow has the option and reads it from its environment variable."""
    ProvidersManager().initialize_providers_configuration()
    queries = json.load(sys.stdin)
    answer = {
        "described": described(),
        "sensitive": sorted(conf.sensitive_config_values),
        "providers": [d.name.removeprefix(PROVIDER) for d in distributions() if d.name.startswith(PROVIDER)],
        "old": [[*old[:2], *new] for new, old in conf.deprecated_options.items()],
        "plain": [reads(name, option) for name, option in queries["plain"]],
        "defaults": [conf.get(*option, fallback="") for option in queries["defaults"]],
        "commands": [reads(name, option, f"echo -n {MARK}") for name, option in queries["commands"]],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
