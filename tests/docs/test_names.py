"""Links, names and commands on pages exist, and public names are documented."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from pages import PAGES, ROOT, name_of, table

import cdk_airflow_ecs
from cdk_airflow_ecs import AirflowCluster
from synthesis import EXAMPLES, example

REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
# Every npx command pins major version 2, because npm's latest may differ.
CLI = re.compile(r"npx\s+(?!aws-cdk@2\b)\S+|\baws-cdk@(?!2\b)\S+|npm i\S* -g")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page as Zensical and GitHub generate them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_internal_links_lead_to_existing_files_and_headings(path: Path):
    """Each internal link leads to an existing file and heading."""
    text = path.read_text(encoding="utf-8")
    for target in [*re.findall(r"(?<!`)\]\(([^)\s]+)\)", text), *re.findall(r'<img src="([^"]+)"', text)]:
        if target.startswith(("https://", "mailto:")):
            continue
        assert not target.startswith("http://"), target
        file, _, anchor = unquote(target).partition("#")
        found = path if not file else (path.parent / file).resolve()
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_make_targets_exist_and_cdk_commands_are_pinned(path: Path):
    """Each make target exists, and CDK commands run with major version 2."""
    text = path.read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, re.MULTILINE))
    assert used <= known, used - known
    assert not CLI.findall(text)


@pytest.mark.parametrize("path", [path for path in PAGES if path.is_relative_to(ROOT / "docs")], ids=name_of)
def test_each_page_is_in_the_navigation(path: Path):
    """Each page is in the navigation of the documentation site."""
    assert f": {path.relative_to(ROOT / 'docs').as_posix()}\n" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize("name", cdk_airflow_ecs.__all__)
def test_public_names_are_in_the_reference(name: str):
    """Each public name has a docstring and an entry in the reference."""
    assert re.search(rf"^::: cdk_airflow_ecs\.{name}$", REFERENCE, re.MULTILINE)
    assert inspect.getdoc(getattr(cdk_airflow_ecs, name))


@pytest.mark.parametrize("name", cdk_airflow_ecs.__all__)
def test_each_argument_of_a_public_class_is_in_the_class_docstring(name: str):
    """The docstring of a public class describes each argument."""
    public = getattr(cdk_airflow_ecs, name)
    if dataclasses.is_dataclass(public):
        arguments = {field.name for field in dataclasses.fields(public) if field.init}
    else:
        arguments = set(inspect.signature(public.__init__).parameters) - {"self", "args", "kwargs"}
    described = set(re.findall(r"^ {4}(\w+): ", public.__doc__ or "", re.MULTILINE))
    described |= set(re.findall(r"^ {8}(\w+): ", public.__doc__ or "", re.MULTILINE))
    if name == "AirflowVersion":  # the docstring of AirflowVersion.of() describes the argument
        return
    assert arguments <= described, arguments - described


def test_the_readme_lists_the_outputs_of_the_quickstart():
    """The README lists exactly the outputs of the quickstart."""
    rows = table((ROOT / "README.md").read_text(encoding="utf-8"), "names start with the cluster's id:")
    named = {name for row in rows[1:] for name in re.findall(r"`(\w+)`", row[0])}
    outputs = example("quickstart").templates["Quickstart"]["Outputs"]
    assert named == {re.sub(r"^Airflow|[0-9A-F]{8}$", "", output) for output in outputs}


def test_stack_outputs_that_a_page_mentions_exist():
    """Each stack output that a page other than the README mentions exists."""
    templates = [*example("quickstart").templates.values(), *example("production").templates.values()]
    outputs = {name for template in templates for name in template["Outputs"]}
    known = {re.sub(r"^Airflow(AirflowTasks[a-z]+)?|[0-9A-F]{8}$", "", output) for output in outputs}
    for path in PAGES:
        used = set(re.findall(r"`(\w+Command|DagsBucket)`", path.read_text(encoding="utf-8")))
        assert used <= known, (path, used - known)


def test_the_architecture_picture_contains_every_part():
    """The picture contains every part of the quickstart's cluster."""
    texts = " ".join(ElementTree.parse(ROOT / "docs/images/architecture.svg").getroot().itertext())
    for part in (
        *("Load balancer", "API server", "execution API", "Scheduler", "DAG processor", "Triggerer", "Celery workers"),
        *("PostgreSQL", "Valkey", "S3: DAGs", "S3: task logs", "Secrets Manager", "Migration gate"),
    ):
        assert part in texts, part


def test_each_cluster_argument_is_on_a_page_beyond_the_reference():
    """Each argument of AirflowCluster is on a page other than the reference."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES if "reference" not in path.parts)
    for name in set(inspect.signature(AirflowCluster.__init__).parameters) - {"self", "scope", "construct_id"}:
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_readme_of_each_example_has_four_sections(name: str):
    """The sections include "What it creates" and "Cost"."""
    text = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    for part in ("## What it creates", "## What to change", "## Commands", "## Cost"):
        assert part in text


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="NOT RUN: Zensical 0.0.73 with mkdocstrings needs Python 3.11")
def test_the_documentation_site_builds_without_broken_links(tmp_path: Path):
    """The strict build also fails if a page refers to a Python name that does not exist."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    settings = (ROOT / "mkdocs.yml").read_text().replace("paths: [src]", f"paths: [{ROOT / 'src'}]")
    (tmp_path / "mkdocs.yml").write_text(settings)
    command = [Path(sys.executable).parent / "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = (tmp_path / "site/reference/cluster/index.html").read_text()
    assert "removal_policy" in made
