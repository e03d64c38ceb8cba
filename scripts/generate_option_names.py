# /// script
# requires-python = ">=3.11"
# dependencies = ["pip", "pyyaml", "uv"]
# ///
"""Generate src/cdk_airflow_ecs/option_names.json from Airflow's metadata.

    uv run scripts/generate_option_names.py [--cache DIR] [--check]

For each minor version it reads, without importing Airflow:

* the options of `airflow/config_templates/config.yml` and of `provider_config_fallback_defaults.cfg`;
* the options in `get_provider_info()["config"]` of the official image's providers, at the versions of the release day;
* the old names that its configuration parser still reads: `deprecated_options`, `deprecated_sections`,
  `many_to_one_deprecated_options`;
* the removed and renamed options of `airflow config lint`: `CONFIGS_CHANGES`.

For a new minor version, add a line to RELEASES and run it again.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from uv import find_uv_bin

OUTPUT = Path(__file__).parents[1] / "src" / "cdk_airflow_ecs" / "option_names.json"

# By minor version: the patch release, and the end of the day on which it was released.
RELEASES = {
    "2.8": ("2.8.4", "2024-03-26T00:00:00Z"),
    "2.9": ("2.9.3", "2024-07-17T00:00:00Z"),
    "2.10": ("2.10.5", "2025-02-11T00:00:00Z"),
    "2.11": ("2.11.2", "2026-03-15T00:00:00Z"),
    "3.0": ("3.0.6", "2025-08-30T00:00:00Z"),
    "3.1": ("3.1.8", "2026-03-12T00:00:00Z"),
    "3.2": ("3.2.2", "2026-05-30T00:00:00Z"),
    "3.3": ("3.3.2", "2026-09-18T00:00:00Z"),
}

# The official image's extras whose providers have options.
EXTRAS = (
    *("amazon", "celery", "cncf-kubernetes", "common-io", "elasticsearch", "fab"),
    *("microsoft-azure", "odbc", "openlineage", "opensearch", "postgres", "smtp"),
)

Option = tuple[str, str]


@dataclass
class Release:
    """The options of one Airflow release and its providers."""

    options: dict[Option, dict[str, Any]] = field(default_factory=dict)
    read_as: dict[Option, Option] = field(default_factory=dict)  # old name -> the name under which Airflow reads it
    since: dict[Option, str] = field(default_factory=dict)  # old name -> version that renamed it
    renamed: dict[Option, Option] = field(default_factory=dict)  # name that Airflow no longer reads -> new name
    advice: dict[Option, str] = field(default_factory=dict)  # old name without a new one -> advice of Airflow


def resolve(patch: str, before: str) -> dict[str, str]:
    """Return the Airflow distributions that pip would have installed on that day."""
    requirement = f"apache-airflow[{','.join(EXTRAS)}]=={patch}"
    command = [find_uv_bin(), "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate"]
    command += ["--python-version", "3.11", "--exclude-newer", before]
    done = subprocess.run(command, input=requirement, capture_output=True, text=True, check=True)
    return dict(re.findall(r"^(apache-airflow[\w-]*)==(\S+)", done.stdout, re.MULTILINE))


def wheel(name: str, version: str, cache: Path) -> zipfile.ZipFile:
    """Download one wheel without dependencies, unless it is cached."""
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", cache, f"{name}=={version}"], check=True)
    return zipfile.ZipFile(next(cache.glob(pattern)))


def texts(archive: zipfile.ZipFile, *endings: str) -> Iterator[str]:
    """Yield the text of each file in an archive whose path has one of these endings."""
    for name in archive.namelist():
        if name.endswith(endings):
            yield archive.read(name).decode()


def literal(source: str, variable: str) -> Any:
    """Return the literal that is assigned to a variable, or {}."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == variable:
            return ast.literal_eval(node.value) if node.value else {}
    return {}


def provider_config(source: str) -> dict[str, Any]:
    """Return the "config" of a provider's get_provider_info()."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Return) and node.value:
            return ast.literal_eval(node.value).get("config") or {}
    return {}


def config_changes(source: str) -> Iterator[tuple[Option, Option | None, str]]:
    """Yield (old name, new name or None, advice) for each renamed or removed option of CONFIGS_CHANGES."""
    for call in ast.walk(ast.parse(source)):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "ConfigChange"):
            continue
        given = {word.arg: word.value for word in call.keywords}
        old, new = (_parameter(given.get(key)) for key in ("config", "renamed_to"))
        if old and new:
            yield old, new, ""
        elif old and not {"default_change", "is_invalid_if", "remove_if_equals"} & given.keys():
            yield old, None, ast.literal_eval(given["suggestion"]) if "suggestion" in given else ""


def _parameter(node: ast.expr | None) -> Option | None:
    """Return section and option of a ConfigParameter(...) call."""
    if not isinstance(node, ast.Call):
        return None
    section, option = (ast.literal_eval(given) for given in (*node.args, *(word.value for word in node.keywords)))
    return section, option


def read(patch: str, before: str, cache: Path) -> Release:
    """Read one Airflow release, with the providers of its release day."""
    release = Release()
    versions = resolve(patch, before)
    core = "apache-airflow-core" if "apache-airflow-core" in versions else "apache-airflow"
    archive = wheel(core, versions[core], cache)
    for text in texts(archive, "config_templates/config.yml"):
        add_options(release, yaml.safe_load(text), provider=None)
    for name, version in sorted(versions.items()):
        if name.startswith("apache-airflow-providers-"):
            for text in texts(wheel(name, version, cache), "/get_provider_info.py"):
                add_options(release, provider_config(text), provider=name.removeprefix("apache-airflow-providers-"))
    for text in texts(archive, "provider_config_fallback_defaults.cfg"):
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        defaults = {section: {"options": fallbacks(parser[section])} for section in parser.sections()}
        add_options(release, defaults, provider=None)
    for text in texts(archive, "airflow/configuration.py", "_shared/configuration/parser.py"):
        add_old_names(release, text)
    for text in texts(archive, "cli/commands/config_command.py"):
        for old, new, advice in config_changes(text):
            if new:
                release.renamed[old] = new
            else:
                release.advice[old] = advice
    return release


def fallbacks(section: configparser.SectionProxy) -> dict[str, Any]:
    """Return whether each option of the fallback file is sensitive, the only known fact."""
    return {option: {"sensitive": option.endswith(("password", "secret"))} for option in section}


def add_options(release: Release, config: dict[str, Any], *, provider: str | None) -> None:
    """Add the options that a release does not have yet."""
    for section, content in config.items():
        for option, facts in content["options"].items():
            known = {**facts, "provider": provider}
            release.options.setdefault((section.lower(), option.lower()), known)


def add_old_names(release: Release, parser_source: str) -> None:
    """Add the old names that a release's configuration parser still reads."""
    pairs = list(literal(parser_source, "deprecated_options").items())
    for new, olds in literal(parser_source, "many_to_one_deprecated_options").items():
        pairs += [(new, old) for old in olds]
    for section, (old_section, since) in literal(parser_source, "deprecated_sections").items():
        pairs += [((section, o), (old_section, o, since)) for s, o in release.options if s == section]
    for new, (section, option, since) in pairs:
        if new in release.options:  # the parser follows only one rename
            release.read_as[section, option] = new
            release.since[section, option] = since


def row(name: Option, releases: dict[str, Release]) -> dict[str, Any]:
    """Return the facts about one option name, in the order in which they are written."""
    having = {minor: release.options[name] for minor, release in releases.items() if name in release.options}
    reading = {minor: r.options[r.read_as[name]] for minor, r in releases.items() if name in r.read_as}
    latest = next(reversed(having.values()), {})
    new_names = (release.read_as.get(name) or release.renamed.get(name) for release in releases.values())
    newest_first = list(releases.values())[::-1]
    removal = next((release.advice[name] for release in newest_first if release.advice.get(name)), "")
    facts = {
        "in": " ".join(having),
        "provider": latest.get("provider"),
        "sensitive": any(option.get("sensitive") for option in (*having.values(), *reading.values())),
        "deprecated": latest.get("version_deprecated"),
        "now": " ".join(dict.fromkeys(".".join(new) for new in new_names if new)),
        "read": " ".join(reading),
        "since": next((release.since[name] for release in releases.values() if name in release.since), None),
        "advice": " ".join((removal or latest.get("deprecation_reason") or "").split()),
    }
    return {key: value for key, value in facts.items() if value}


def render(releases: dict[str, Release]) -> str:
    """Return the JSON with one option per line."""
    names = {name for r in releases.values() for name in (*r.options, *r.read_as, *r.renamed, *r.advice)}
    lines = [f"    {json.dumps('.'.join(name))}: {json.dumps(row(name, releases))}" for name in sorted(names)]
    airflow = {minor: RELEASES[minor][0] for minor in releases}
    return f'{{\n  "airflow": {json.dumps(airflow)},\n  "options": {{\n' + ",\n".join(lines) + "\n  }\n}\n"


def main() -> int:
    """Write the file, or check with --check that it is up to date."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "airflow-wheels")
    arguments.add_argument("--check", action="store_true", help="write nothing; fail if the file would change")
    given = arguments.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    text = render({minor: read(*release, given.cache) for minor, release in RELEASES.items()})
    if given.check:
        return int(text != OUTPUT.read_text())
    OUTPUT.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
