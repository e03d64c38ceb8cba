"""Helpers for tests of clusters and executors: plans without constructs, and comparable templates."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Any

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext
from cdk_airflow_ecs.options import check
from cdk_airflow_ecs.plan import ClusterPlan
from cdk_airflow_ecs.planning import plan_cluster
from cdk_airflow_ecs.resolve import resolve
from cdk_airflow_ecs.validation import NAME

_ASSET_HASH = re.compile(r"\b[0-9a-f]{64}\b")


def plan_of(**arguments: Any) -> ClusterPlan:
    """Return the plan of a cluster, without constructs and within milliseconds.

    Args:
        arguments: those of ``AirflowCluster``, except those of network and encryption, and with components as
            ``services={"Scheduler": Service(…)}``.

    Examples:
        >>> plan_of(version=AirflowVersion.V3_3).component("Scheduler").containers[0].command
        ('airflow', 'scheduler')
    """
    return plan_cluster(resolve(ClusterArguments(**arguments)))


def normalize(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template without asset hashes, program texts and CDK's bootstrap version check, for comparison.

    A program of this library is replaced by its name, such as ``<PROGRAM dag_sync>``.

    Args:
        template: the result of ``Template.from_stack(stack).to_json()``.
    """
    programs = _programs()

    def clean(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: clean(value) for key, value in node.items()}
        if isinstance(node, list):
            return [clean(value) for value in node]
        if isinstance(node, str):
            for text, name in programs.items():
                node = node.replace(text, f"<PROGRAM {name}>")
            return _ASSET_HASH.sub("<ASSET-HASH>", node)
        return node

    cleaned: dict[str, Any] = clean(template)
    for section, name in (("Parameters", "BootstrapVersion"), ("Rules", "CheckBootstrapVersion")):
        cleaned.get(section, {}).pop(name, None)
        if not cleaned.get(section, True):
            del cleaned[section]
    return cleaned


@functools.cache
def _programs() -> dict[str, str]:
    files = resources.files("cdk_airflow_ecs.in_container").iterdir()
    modules = {file.name.removesuffix(".py"): file for file in files if file.name.endswith(".py")}
    return {file.read_text(encoding="utf-8"): name for name, file in modules.items() if name != "__init__"}


def check_executor(executor: Executor) -> None:
    """Check a custom executor with all Airflow releases for which its ``plan()`` raises no ``ValueError``.

    Raises:
        AssertionError: if two calls return different plans, an option is unknown or the cluster's, a name is not a
            construct id, or no release is supported.
    """
    refusals = [_check_executor(executor, version) for version in AirflowVersion.ALL]
    assert None in refusals, f"plan() refuses every Airflow: {refusals[-1]}"


def _check_executor(executor: Executor, version: AirflowVersion) -> str | None:
    context = ExecutorContext(version=version)
    try:
        first = executor.plan(context)
    except ValueError as refusal:
        return str(refusal)
    assert first == executor.plan(context), f"plan() gave two different plans for Airflow {version}"
    for kind, members in (("Pools", first.workers), ("Tasks", first.tasks)):
        names = [workers.path for workers in members]
        assert len(names) == len(set(names)), f"two services share a path: {names}"
        for name in names:
            assert re.fullmatch(rf"{kind}/{NAME}", name), f'{name!r} must have the form "{kind}/name"'
    for store in first.stores:
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", store), f"{store!r} is not a construct id"
    own = [workers.config for workers in (*first.workers, *first.tasks)]
    for config in (first.config, first.loader_config, *own):
        findings = check(config, version.line)
        assert not findings, findings[0].message
    try:
        plan_of(executor=executor, version=version)
    except ValueError as contradiction:
        raise AssertionError(str(contradiction)) from contradiction
    return None
