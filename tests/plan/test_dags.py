"""DAG sources and how each release loads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plans import BUCKET, NUMBER_TOKEN, OWN_IMAGE, VERSIONS, containers, option, plan

from cdk_airflow_ecs import ImageDags, S3Dags
from cdk_airflow_ecs.airflow import NO_DAGS
from cdk_airflow_ecs.plan import Json, Ref

SYNCED = "/opt/airflow/dags-live"
PROVIDERS = ["3.2", "3.3"]  # releases whose official image has a version of S3DagBundle that finds every change
OURS = "airflow_ecs_bundle.S3DagBundle"


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize(("executor", "readers"), [("celery", {"worker"}), ("local", {"scheduler"}), ("ecs", {"task"})])
@pytest.mark.parametrize("dags", [S3Dags(), S3Dags(provider_bundle=True), ImageDags()])
def test_only_parsers_and_task_runners_have_dags(line, executor, readers, dags):
    """Only the DAG processor and task runners may read DAGs."""
    if dags == S3Dags(provider_bundle=True) and line not in PROVIDERS:
        dags = S3Dags()
    found = plan(line, executor, dags=dags, image=OWN_IMAGE)
    readers = {*readers, "dag-processor"}
    of_component = {c.name: part for part in found.components for c in part.containers}
    for name, container in containers(found).items():
        folder = option(container, "core", "dags_folder")
        bundle = option(container, "dag_processor", "dag_bundle_config_list")
        may_read = any(Ref("Dags", "objects_arn") in p.resources for p in of_component[name].permissions)
        if name not in readers:
            assert (folder, bundle, may_read) == (NO_DAGS, None, False)
        elif isinstance(dags, ImageDags):
            assert (folder, bundle, may_read) == ("/opt/airflow/dags", None, False)
        elif line[0] == "2":
            assert (folder, bundle, may_read) == (SYNCED, None, True)
        else:
            assert (folder, may_read) == (None, True)
            assert (bundle.tree[0]["classpath"] == OURS) == (not dags.provider_bundle)
        assert (Ref("Dags", "uri") in container.prefix) is (folder == SYNCED)
        is_ours = isinstance(bundle, Json) and bundle.tree[0]["classpath"] == OURS
        assert (OURS.partition(".")[0] in container.prefix) is is_ours


@pytest.mark.parametrize("provider", [False, True])
@pytest.mark.parametrize("line", PROVIDERS)
def test_the_dag_bundle_reads_the_bucket_with_the_task_role(line, provider):
    """The bundle may read only one folder of the bucket."""
    for prefix, written in (("", ""), ("dags", "dags/"), ("/a/b/", "a/b/")):
        dags = S3Dags(bucket=BUCKET, prefix=prefix, refresh_seconds=60, provider_bundle=provider)
        (bundle,) = option(containers(plan(line, dags=dags))["worker"], "dag_processor", "dag_bundle_config_list").tree
        assert bundle["classpath"] == ("airflow.providers.amazon.aws.bundles.s3.S3DagBundle" if provider else OURS)
        assert bundle["kwargs"] == {
            **({"aws_conn_id": ""} if provider else {}),
            "bucket_name": Ref("Dags", "bucket_name"),
            "prefix": written,
            "refresh_interval": 60,
        }
        json.dumps({**bundle, "kwargs": None})


@pytest.mark.parametrize("line", [line for line in VERSIONS if line[0] == "3"])
def test_the_start_command_contains_the_modules_of_the_dag_bundle(line):
    """The start command writes the modules and then runs Airflow's command."""
    ours = containers(plan(line, dags=S3Dags()))["worker"]
    plain = containers(plan(line, dags=ImageDags(), image=OWN_IMAGE))["worker"]
    assert (ours.prefix[:2], ours.prefix[-1]) == (("python", "-c"), "--")
    modules = dict(zip(ours.prefix[3:-1:2], ours.prefix[4:-1:2], strict=True))
    assert list(modules) == ["airflow_ecs_sync", "airflow_ecs_bundle"]
    assert "class Mirror:" in modules["airflow_ecs_sync"]
    assert "class S3DagBundle(" in modules["airflow_ecs_bundle"]
    assert (plain.prefix, ours.command) == ((), plain.command)


@pytest.mark.parametrize("line", [line for line in VERSIONS if line not in PROVIDERS])
def test_the_dag_bundle_of_the_amazon_provider_requires_airflow_3_2(line):
    """provider_bundle=True raises an error before Airflow 3.2."""
    with pytest.raises(ValueError, match=r"^S3Dags provider_bundle=True requires Airflow 3.2 or newer, got \d"):
        plan(line, dags=S3Dags(provider_bundle=True))


@pytest.mark.parametrize("line", [line for line in VERSIONS if line[0] == "2"])
def test_airflow_2_containers_start_the_dag_sync_before_airflow(line):
    """The DAG sync program precedes Airflow's command."""
    synced = containers(plan(line, dags=S3Dags(refresh_seconds=45)))["worker"]
    plain = containers(plan(line, dags=ImageDags(), image=OWN_IMAGE))["worker"]
    assert synced.prefix[:2] == ("python", "-c")
    assert synced.prefix[3:] == (Ref("Dags", "uri"), SYNCED, "45")
    assert (plain.prefix, synced.command) == ((), plain.command)
    assert option(synced, "scheduler", "dag_dir_list_interval") == "45"


@pytest.mark.parametrize("folder", ["dags", "", None, 5])
def test_the_dag_folder_of_an_image_must_be_an_absolute_path(folder):
    """A folder in the image must be an absolute path."""
    with pytest.raises(ValueError, match="ImageDags folder must be an absolute path in the image"):
        ImageDags(folder)


def test_the_uploaded_dag_folder_may_be_text_or_a_path():
    """The folder to upload may be text or a Path."""
    here = Path(__file__).parent
    assert S3Dags(here).folder == here
    assert S3Dags(str(here)).folder == str(here)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"folder": "no/such"}, "folder must be a folder .* got 'no/such'"),
        ({"folder": __file__}, "folder must be a folder"),
        ({"folder": 5}, "folder must be a folder .* got 5"),
        ({"bucket": "my-bucket"}, r"bucket must be an s3\.IBucket, such as .*from_bucket_name.* got 'my-bucket'"),
        ({"prefix": "dags"}, "prefix='dags' .* Pass bucket= too"),
        ({"bucket": BUCKET, "prefix": None}, "prefix must be text"),
        ({"refresh_seconds": 4}, "refresh_seconds .*5 or more.*got 4"),
        ({"refresh_seconds": NUMBER_TOKEN}, "got a number known only at deploy time"),
        ({"provider_bundle": "yes"}, "provider_bundle .*True or False, got 'yes'"),
    ],
)
def test_invalid_arguments_of_dag_sources_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=words) as caught:
        S3Dags(**arguments)
    assert str(caught.value).startswith("S3Dags")
