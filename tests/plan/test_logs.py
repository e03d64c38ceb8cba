"""Log stores: where task logs go, and who may read and write them."""

from __future__ import annotations

import pytest
from plans import BUCKET, VERSIONS, containers, option, plan

from cdk_airflow_ecs import LocalLogs, S3Logs
from cdk_airflow_ecs.plan import Ref

FIND = (("s3:ListBucket",), (Ref("Logs", "bucket_arn"),))
READ = {(("s3:GetObject",), (Ref("Logs", "objects_arn"),)), FIND}
WRITE = {(("s3:GetObject", "s3:PutObject"), (Ref("Logs", "objects_arn"),)), FIND}


def rights(found, of="Logs"):
    """What each component may do with the log bucket."""
    return {
        part.name: {(p.actions, p.resources) for p in part.permissions if any(r.of == of for r in p.resources)}
        for part in found.components
    }


@pytest.mark.parametrize("line", VERSIONS)
def test_who_reads_and_who_writes(line):
    """The web component reads; triggerer and what runs tasks write; no one else does either."""
    web = "ApiServer" if line[0] == "3" else "Webserver"
    none = {name: set() for name in ("Scheduler", "DagProcessor", "Migration")}
    assert rights(plan(line)) == {**none, web: READ, "Triggerer": WRITE, "Pools/default": WRITE}
    assert rights(plan(line, "local")) == {**none, web: READ, "Triggerer": WRITE, "Scheduler": WRITE}
    assert rights(plan(line, "ecs")) == {**none, web: READ, "Triggerer": WRITE, "Tasks/executor": WRITE}


def test_everybody_is_told_where():
    """Writers and readers get the same place, with the task role as the way to it."""
    found = containers(plan(logs=S3Logs(bucket=BUCKET)))
    del found["migrate"]
    for container in found.values():
        assert option(container, "logging", "remote_logging") == "True"
        assert option(container, "logging", "remote_base_log_folder") == Ref("Logs", "uri")
        assert option(container, "logging", "remote_log_conn_id") == ""


def test_local_logs():
    """Without a bucket nobody is told of one, and nobody may do anything."""
    found = plan(logs=LocalLogs())
    assert option(containers(found)["worker"], "logging", "remote_logging") == "False"
    assert option(containers(found)["worker"], "logging", "remote_base_log_folder") is None
    assert not any(rights(found).values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"expire_days": 0}, "expire_days is an integer, 1 or more; got 0"),
        ({"expire_days": "90"}, "expire_days is an integer, 1 or more; got '90'"),
        ({"prefix": ""}, "prefix is a folder in the bucket"),
        ({"prefix": "/"}, "prefix is a folder in the bucket"),
        ({"prefix": None}, "prefix is a folder in the bucket"),
        ({"bucket": "logs"}, r"bucket takes an s3\.IBucket"),
    ],
)
def test_what_is_no_log_store(arguments, words):
    """Each refusal names the argument, what it got and what it takes."""
    with pytest.raises(ValueError, match=f"^S3Logs {words}"):
        S3Logs(**arguments)
