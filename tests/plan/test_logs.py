"""Log stores: their settings and permissions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from plans import BUCKET, NUMBER_TOKEN, OWN_IMAGE, TEXT_TOKEN, VERSIONS, containers, option, plan, settings_of

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    CloudWatchLogs,
    LocalLogs,
    S3Dags,
    S3Logs,
    WorkerPool,
)
from cdk_airflow_ecs.plan import Ref
from cdk_airflow_ecs.testing import plan_of

FIND = (("s3:ListBucket",), (Ref("Logs", "bucket_arn"),))
READ = {(("s3:GetObject",), (Ref("Logs", "objects_arn"),)), FIND}
LOG_GROUP = SimpleNamespace(log_group_arn="arn:aws:logs:::log-group:g:*", log_group_name="g")
STREAMS = (Ref("Logs", "streams_arn"),)
WATCH = {(("logs:GetLogEvents",), STREAMS)}
STREAM = {
    (("logs:CreateLogStream", "logs:PutLogEvents"), STREAMS),
    (("logs:DescribeLogGroups",), (Ref("Logs", "groups_arn"),)),
}
WRITE = {(("s3:GetObject", "s3:PutObject"), (Ref("Logs", "objects_arn"),)), FIND}


def permissions(found, of="Logs"):
    """Return each component's permissions on the log store."""
    return {
        part.name: {(p.actions, p.resources) for p in part.permissions if any(r.of == of for r in p.resources)}
        for part in found.components
    }


@pytest.mark.parametrize("line", VERSIONS)
def test_the_web_component_reads_logs_and_task_runners_write_them(line):
    """The triggerer writes task logs as well."""
    web = "ApiServer" if line[0] == "3" else "Webserver"
    none = {name: set() for name in ("Scheduler", "DagProcessor", "Migration")}
    assert permissions(plan(line)) == {**none, web: READ, "Triggerer": WRITE, "Pools/default": WRITE}
    assert permissions(plan(line, "local")) == {**none, web: READ, "Triggerer": WRITE, "Scheduler": WRITE}
    assert permissions(plan(line, "ecs")) == {**none, web: READ, "Triggerer": WRITE, "Tasks/executor": WRITE}


def test_all_containers_have_the_same_remote_log_folder():
    """Without an Airflow connection for logs, every container uses the task role."""
    found = containers(plan(logs=S3Logs(bucket=BUCKET)))
    del found["migrate"]
    for container in found.values():
        assert option(container, "logging", "remote_logging") == "True"
        assert option(container, "logging", "remote_base_log_folder") == Ref("Logs", "uri")
        assert option(container, "logging", "remote_log_conn_id") == ""


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("store", [S3Logs(), CloudWatchLogs()])
def test_airflow_3_0_and_3_1_have_a_connection_for_logs(line, store):
    """In these releases, an empty connection id fails every task."""
    wants = line in ("3.0", "3.1")
    for name, container in containers(plan(line, logs=store, image=OWN_IMAGE)).items():
        if name != "migrate":
            given = container.environment.get("AIRFLOW_CONN_AIRFLOW_ECS_LOGS")
            assert given == ("aws://" if wants else None), name
            if option(container, "logging", "remote_logging") == "True":
                assert option(container, "logging", "remote_log_conn_id") == ("airflow_ecs_logs" if wants else "")


@pytest.mark.parametrize("line", VERSIONS)
def test_a_log_group_has_the_same_readers_and_writers_as_a_bucket(line):
    """Components that may read or write a log bucket may read or write a log group."""
    web = "ApiServer" if line[0] == "3" else "Webserver"
    none = {name: set() for name in ("Scheduler", "DagProcessor", "Migration")}
    logs = {"logs": CloudWatchLogs(), "image": OWN_IMAGE}
    assert permissions(plan(line, **logs)) == {**none, web: WATCH, "Triggerer": STREAM, "Pools/default": STREAM}
    assert permissions(plan(line, "local", **logs)) == {**none, web: WATCH, "Triggerer": STREAM, "Scheduler": STREAM}
    assert permissions(plan(line, "ecs", **logs)) == {**none, web: WATCH, "Triggerer": STREAM, "Tasks/executor": STREAM}


AMAZON = "apache-airflow-providers-amazon"
# Images of these Airflow releases have an amazon provider before 9.32.0, which loses logs on Airflow 3.
LOSE = [AirflowVersion.of(version) for version in ("3.0.0", "3.0.6", "3.1.8", "3.2.2", "3.3.0")]
KEEP = [AirflowVersion.of(version) for version in ("2.8.4", "2.11.2", "3.3.1", "3.3.2")]


@pytest.fixture
def built(tmp_path):
    """Return a function that builds an image with the given requirements."""

    def make(*requirements, **arguments):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (folder / "plugins").mkdir(parents=True)
        (folder / "plugins" / "ours.py").write_text("")
        (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
        return AirflowImage.build(folder, **arguments)

    return make


def in_pool(image):
    """Return an executor with a second worker pool that runs *image*."""
    return CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("heavy", image=image)])


def provider_warnings(**arguments):
    """Return the ids of warnings about the amazon provider."""
    found = settings_of(logs=CloudWatchLogs(), **arguments).advice
    return [each.id for each in found if each.id.startswith("cdk-airflow-ecs:cloudwatch-provider")]


@pytest.mark.parametrize("version", LOSE, ids=str)
def test_cloudwatch_with_an_image_that_loses_logs_is_rejected(version, built):
    """CloudWatchLogs rejects images whose amazon provider closes the log handler too early."""
    lose = [
        AirflowImage.official(),
        built("pandas"),
        built(base="slim"),
        *(built(f"{AMAZON}{bound}") for bound in ("", ">=9.1", "==9.31.0", "<=9.40", "!=9.31", "==9.*")),
    ]
    for image in lose:
        for arguments in ({"image": image}, {"image": OWN_IMAGE, "executor": in_pool(image)}):
            whose = "Pools/heavy" if "executor" in arguments else "this cluster"
            with pytest.raises(
                ValueError, match=rf"CloudWatchLogs\(\) loses logs with the image of {whose}, .*>=9\.32"
            ):
                plan_of(version=version, logs=CloudWatchLogs(), **arguments)
            assert plan_of(version=version, **arguments)


@pytest.mark.parametrize("version", KEEP, ids=str)
def test_airflow_releases_that_keep_logs_give_no_warning(version, built):
    """Images of these Airflow releases lose no logs with CloudWatch."""
    for image in (AirflowImage.official(), OWN_IMAGE, built(base="slim")):
        assert provider_warnings(version=version, image=image, executor=in_pool(image)) == []


@pytest.mark.parametrize(
    "requirement",
    [
        *(f"{AMAZON}{bound}" for bound in (">=9.32", ">=9.32.0", "==9.36.0", "~=9.33", ">9.32,<10", "==9.36.*")),
        "Apache_Airflow.Providers.Amazon[aiobotocore] >= 9.40 ; python_version > '3.8'",
        f"{AMAZON} @ https://example.com/amazon.whl",
    ],
)
def test_a_built_image_that_requires_a_fixed_amazon_provider_is_accepted(requirement, built):
    """If requirements.txt requires a fixed amazon provider, any base image is accepted."""
    for base in (None, "slim", "example.com/airflow:1"):
        image = built(requirement, base=base)
        assert provider_warnings(version=VERSIONS["3.0"], image=image, executor=in_pool(image)) == []


def test_an_image_with_an_unknown_amazon_provider_gives_a_warning(built, tmp_path):
    """An example is a registry image whose content is unknown."""
    repository = SimpleNamespace(repository_arn="arn:aws:ecr:::repository/r")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Dockerfile").write_text("FROM apache/airflow:3.0.6\n")
    good = built(f"{AMAZON}>=9.32")
    for image in (
        OWN_IMAGE,
        AirflowImage.ecr(repository, "1"),
        AirflowImage.build(tmp_path / "own"),
        built(base="example.com/airflow:1"),
    ):
        cluster, pool = "cdk-airflow-ecs:cloudwatch-provider:airflow", "cdk-airflow-ecs:cloudwatch-provider:Pools/heavy"
        assert provider_warnings(version=VERSIONS["3.0"], image=image) == [cluster]
        assert provider_warnings(version=VERSIONS["3.0"], image=good, executor=in_pool(image)) == [pool]
        assert provider_warnings(version=VERSIONS["3.0"], image=image, executor=in_pool(image)) == [cluster, pool]
        assert not [
            each for each in settings_of(version=VERSIONS["3.0"], image=image).advice if "cloudwatch" in each.id
        ]


def test_readers_and_writers_of_logs_have_the_log_group():
    """Components that read or write logs use the task role."""
    found = containers(plan(logs=CloudWatchLogs(log_group=LOG_GROUP)))
    for name in ("api-server", "triggerer", "worker"):
        assert option(found[name], "logging", "remote_logging") == "True"
        assert option(found[name], "logging", "remote_base_log_folder") == Ref("Logs", "uri")
        assert option(found[name], "logging", "remote_log_conn_id") == ""


@pytest.mark.parametrize("line", VERSIONS)
def test_containers_without_task_logs_do_not_configure_cloudwatch(line):
    """Airflow's log handler queries the log group at start."""
    found = containers(plan(line, logs=CloudWatchLogs(), image=OWN_IMAGE))
    for name in ("scheduler", "dag-processor"):
        assert option(found[name], "logging", "remote_logging") == "False", name
        assert option(found[name], "logging", "remote_base_log_folder") is None, name


@pytest.mark.parametrize(
    ("logs", "dags"), [("task-logs", ""), ("dags/logs", "dags"), ("airflow", "airflow/dags/"), ("same", "/same")]
)
def test_logs_inside_the_dags_folder_are_rejected(logs, dags):
    """Logs and DAGs must be in separate folders of a bucket."""
    other = SimpleNamespace(bucket_arn="arn:aws:s3:::b", bucket_name="b")
    with pytest.raises(ValueError, match=rf"prefix={logs!r}\) .* separate folders"):
        plan(logs=S3Logs(bucket=BUCKET, prefix=logs), dags=S3Dags(bucket=other, prefix=dags))
    elsewhere = SimpleNamespace(bucket_arn="arn:aws:s3:::c", bucket_name="c")
    assert plan(logs=S3Logs(bucket=BUCKET, prefix=logs), dags=S3Dags(bucket=elsewhere, prefix=dags))
    assert plan(logs=S3Logs(prefix=logs), dags=S3Dags(bucket=BUCKET, prefix=dags))


def test_logs_and_dags_may_share_a_bucket():
    """Logs and DAGs may share a bucket."""
    for logs, dags in (("logs", "dags"), ("dags-logs", "dags"), (TEXT_TOKEN, "dags")):
        assert plan(logs=S3Logs(bucket=BUCKET, prefix=logs), dags=S3Dags(bucket=BUCKET, prefix=dags))


@pytest.mark.parametrize(
    "arguments",
    [
        {"retention_days": 1},
        {"retention_days": 3653},
        {"retention_days": None},
        {"log_group": LOG_GROUP},
        {"log_group": SimpleNamespace(log_group_arn=TEXT_TOKEN, log_group_name=TEXT_TOKEN + "#")},
    ],
)
def test_any_valid_retention_of_a_log_group_is_accepted(arguments):
    """Both ends of the range, None and tokens are accepted."""
    found = CloudWatchLogs(**arguments)
    assert all(getattr(found, name) == value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"retention_days": 0}, r"retention_days must be one of 1, 3, 5, 7, 14, .* 3288, 3653, or None; got 0"),
        ({"retention_days": 31}, "retention_days must be one of .*; got 31"),
        ({"retention_days": "90"}, "retention_days must be one of .*; got '90'"),
        ({"retention_days": True}, "retention_days must be one of .*; got True"),
        ({"retention_days": NUMBER_TOKEN}, "retention_days must be one of .*; got a number known only at deploy time"),
        ({"log_group": "airflow"}, r"log_group must be a logs\.ILogGroup, such as .*from_log_group_name"),
        ({"log_group": LOG_GROUP, "retention_days": 30}, "retention_days=30 is not compatible with log_group="),
        ({"log_group": LOG_GROUP, "retention_days": None}, "retention_days=None is not compatible with log_group="),
        (
            {"log_group": SimpleNamespace(log_group_arn="arn:aws:logs:::log-group:a#b:*", log_group_name="a#b")},
            """log_group must not have a "#" in its name, .* got 'a#b'""",
        ),
    ],
)
def test_invalid_arguments_of_cloudwatch_logs_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^CloudWatchLogs {words}"):
        CloudWatchLogs(**arguments)


def test_local_logs_need_no_options_and_no_permissions():
    """LocalLogs needs no options and no permissions."""
    found = plan(logs=LocalLogs())
    assert option(containers(found)["worker"], "logging", "remote_logging") == "False"
    assert option(containers(found)["worker"], "logging", "remote_base_log_folder") is None
    assert not any(permissions(found).values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"expire_days": 30, "bucket": BUCKET}, "expire_days=30 is not compatible with bucket="),
        ({"expire_days": 0}, "expire_days .*1 or more.*got 0"),
        ({"expire_days": "90"}, "expire_days .*1 or more.*got '90'"),
        ({"prefix": ""}, "prefix must be a folder in the bucket"),
        ({"prefix": "/"}, "prefix must be a folder in the bucket"),
        ({"prefix": None}, "prefix must be a folder in the bucket"),
        ({"bucket": "logs"}, r"bucket must be an s3\.IBucket"),
        (
            {"bucket": BUCKET, "expire_days": 30},
            "expire_days=30 is not compatible with bucket=",
        ),
        ({"prefix": "s3://b/logs"}, "prefix must be a folder in the bucket such as .*got 's3://b/logs'"),
        *(({"prefix": f"a{sign}b"}, "prefix must be a folder in the bucket .*without") for sign in "#?*$"),
    ],
)
def test_invalid_arguments_of_s3_logs_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^S3Logs {words}"):
        S3Logs(**arguments)
