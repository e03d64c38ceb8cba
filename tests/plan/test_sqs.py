"""SQS as broker: options of its clients, permissions and rejected arguments."""

from __future__ import annotations

import fnmatch

import pytest
from plans import EXISTING, NUMBER_TOKEN, VERSIONS, containers

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, SqsBroker, WorkerPool
from cdk_airflow_ecs.plan import ClusterPlan, Json, Permission, Ref
from cdk_airflow_ecs.testing import plan_of

POOLS = (WorkerPool("default"), WorkerPool("heavy", queues=["heavy.gpu", "default"]))
URLS = {
    "default": {"url": Ref("Broker", "url/default")},
    "heavy-gpu": {"url": Ref("Broker", "url/heavy.gpu")},
}
TRANSPORT = {
    "region": Ref("Stack", "region"),
    "visibility_timeout": 43200,
    "wait_time_seconds": 20,
    "predefined_queues": URLS,
}
LOOK = ("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem")
RECEIVE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")


# Releases by the form in which they read queue URLs: from a Python module, in one whole option, or in a section.
MODULE = ("2.8.0", "2.8", "2.9.0", "2.9", "2.10.0", "2.10.4")
WHOLE = ("2.10.5", "2.11.0", "2.11", "3.0.0", "3.0", "3.1.0", "3.1", "3.2.0", "3.2", "3.3.0", "3.3.1")
SECTION = ("3.3.2", "3.3")


def cluster(release: str = "3.3", *pools: WorkerPool, broker: SqsBroker | None = None) -> ClusterPlan:
    """Plan a cluster with SQS."""
    executor = CeleryExecutor(broker=broker or SqsBroker(), pools=pools or POOLS)
    return plan_of(version=AirflowVersion.of(release), executor=executor, database=EXISTING)


def celery_options(plan: ClusterPlan, component: str) -> dict[str, object]:
    """Return the Celery options of a component, except the concurrency."""
    (container,) = plan.component(component).containers
    return {
        name: value
        for name, value in container.environment.items()
        if "CELERY" in name and name != "AIRFLOW__CELERY__WORKER_CONCURRENCY"
    }


def permissions(plan: ClusterPlan, component: str) -> list[Permission]:
    """Return the permissions of a component on queues and results."""
    found = plan.component(component).permissions
    return [permission for permission in found if permission.actions[0].startswith(("sqs:", "dynamodb:"))]


@pytest.mark.parametrize("release", [*MODULE, *WHOLE, *SECTION])
def test_clients_of_sqs_have_queue_urls_in_the_form_of_their_airflow_release(release):
    """The Airflow release decides in which form its Celery provider reads queue URLs."""
    found = celery_options(cluster(release), "Scheduler")
    assert found.pop("AIRFLOW__CELERY__BROKER_URL") == "sqs://"
    assert found.pop("AIRFLOW__CELERY__RESULT_BACKEND") == Ref("Broker", "results_url")
    assert found.pop("AIRFLOW__CELERY__WORKER_ENABLE_REMOTE_CONTROL") == "False"
    assert found.pop("AIRFLOW__CELERY__OPERATION_TIMEOUT") == "10"
    section = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__"
    assert found.pop(f"{section}REGION") == Ref("Stack", "region")
    assert found.pop(f"{section}VISIBILITY_TIMEOUT") == "43200"
    assert found.pop(f"{section}WAIT_TIME_SECONDS") == "20"
    expected = {
        MODULE: {
            "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "airflow_ecs_celery.CELERY_CONFIG",
            f"{section}PREDEFINED_QUEUES": Json(URLS),
        },
        WHOLE: {"AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": Json({"broker_transport_options": TRANSPORT})},
        SECTION: {f"{section}PREDEFINED_QUEUES": Json(URLS)},
    }
    assert [found] == [words for releases, words in expected.items() if release in releases]


@pytest.mark.parametrize("line", VERSIONS)
def test_scheduler_and_worker_pools_have_the_same_celery_options(line):
    """Other components have no Celery options."""
    plan = cluster(line)
    assert (
        celery_options(plan, "Scheduler")
        == celery_options(plan, "Pools/default")
        == celery_options(plan, "Pools/heavy")
    )
    others = {component.name for component in plan.components} - {"Scheduler", "Pools/default", "Pools/heavy"}
    for name in others:
        for container in plan.component(name).containers:
            assert not [variable for variable in container.environment if "CELERY" in variable]
    assert [edge for edge in plan.edges if edge.target == "Broker"] == []


def test_airflow_3_workers_with_sqs_have_no_database_credentials():
    """With results in DynamoDB, a worker of Airflow 3 does not connect to the metadata database."""
    plan = cluster("3.3")
    worker = containers(plan)["worker"]
    assert not [name for name in worker.environment if "METADATA" in name or "SQL_ALCHEMY" in name]
    assert not [edge for edge in plan.edges if edge.source.startswith("Pools/") and edge.target == "Database"]


def test_a_worker_pool_may_receive_messages_only_from_its_queues():
    """No worker pool may receive from the queues of another pool."""
    plan = cluster()
    results = (Ref("Broker", "results_arn"),)
    assert permissions(plan, "Scheduler") == [
        Permission(
            actions=("sqs:SendMessage", "sqs:GetQueueAttributes"),
            resources=(Ref("Broker", "arn/default"), Ref("Broker", "arn/heavy.gpu")),
        ),
        Permission(actions=LOOK, resources=results),
    ]
    write = Permission(actions=(*LOOK, "dynamodb:PutItem"), resources=results)
    default, heavy = (
        Permission(actions=RECEIVE, resources=(Ref("Broker", f"arn/{queue}"),)) for queue in ("default", "heavy.gpu")
    )
    assert permissions(plan, "Pools/default") == [default, write]
    assert permissions(plan, "Pools/heavy") == [heavy, write, default]
    for component in plan.components:
        if not component.name.startswith(("Scheduler", "Pools/")):
            assert permissions(plan, component.name) == []


@pytest.mark.parametrize("line", VERSIONS)
def test_no_role_may_create_list_delete_or_purge_queues(line):
    """No permission has a wildcard in the action."""
    forbidden = [
        *(f"sqs:{action}" for action in ("CreateQueue", "ListQueues", "DeleteQueue", "PurgeQueue", "SetQueue*")),
        *(f"dynamodb:{action}" for action in ("CreateTable", "UpdateT*", "DeleteTable", "Scan", "Query")),
    ]
    for component in cluster(line).components:
        for permission in component.permissions:
            assert "*" not in permission.resources
            assert not any("*" in action for action in permission.actions)
            assert not [a for a in permission.actions for rule in forbidden if fnmatch.fnmatch(a, rule)]


@pytest.mark.parametrize("release", [*MODULE, *WHOLE, *SECTION])
def test_sqs_adds_pycurl_and_a_newer_kombu_to_the_image(release):
    """For some releases, a Python module is added as well."""
    broker = SqsBroker().plan(AirflowVersion.of(release), ["default"])
    newer = ("celery==5.6.2", "kombu==5.6.2") if release.startswith(("2.11", "3.0", "3.1")) else ()
    assert broker.requirements == (*newer, "pycurl==7.45.7")
    assert list(broker.image_files) == (["airflow_ecs_celery.py"] if release in MODULE else [])


def test_each_queue_of_the_worker_pools_is_created_once():
    """Two worker pools may share a queue."""
    executor = CeleryExecutor(broker=SqsBroker(max_receive_count=2), pools=POOLS)
    store = executor.broker.store(("default", "heavy.gpu"))
    assert (store.names, store.max_receive_count, store.message_retention_days) == (("default", "heavy.gpu"), 2, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"message_retention_days": 0}, "message_retention_days .*1 to 14.*got 0"),
        ({"message_retention_days": 15}, "message_retention_days .*1 to 14.*got 15"),
        (
            {"message_retention_days": NUMBER_TOKEN},
            "message_retention_days .*1 to 14.*known only at deploy time",
        ),
        ({"max_receive_count": 0}, "max_receive_count .*1 to 1000.*got 0"),
        ({"max_receive_count": True}, "max_receive_count .*1 to 1000.*got True"),
        ({"max_receive_count": 8}, "max_receive_count=8 .* Use max_receive_count=7 or less"),
        (
            {"message_retention_days": 2},
            "max_receive_count=5 .* message_retention_days=2: .* Use max_receive_count=3 or less",
        ),
    ],
)
def test_invalid_arguments_of_sqs_broker_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^SqsBroker {words}"):
        SqsBroker(**arguments)


@pytest.mark.parametrize(
    "arguments", [{"message_retention_days": 14, "max_receive_count": 27}, {"max_receive_count": 7}]
)
def test_a_receive_count_just_within_the_message_retention_is_accepted(arguments):
    """With these arguments, a message becomes a dead letter just before its retention ends."""
    broker = SqsBroker(**arguments)
    assert all(getattr(broker, name) == value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("queues", "words"),
    [
        (["default", "jobs.fifo"], "SqsBroker: the queue 'jobs.fifo'"),
        (["default", "a-b", "a.b"], "SqsBroker: .* dots .* two of a-b, a.b, default .* Rename one"),
    ],
)
def test_queue_names_that_kombu_changes_are_rejected(queues, words):
    """Kombu replaces dots with hyphens, and treats names that end with ".fifo" differently."""
    with pytest.raises(ValueError, match=words):
        cluster("3.3", WorkerPool("default", queues=queues))


@pytest.mark.parametrize("line", VERSIONS)
def test_transport_options_that_the_cluster_sets_cannot_be_changed(line):
    """The error names both sources of the Celery transport option."""
    with pytest.raises(ValueError, match="visibility_timeout is given twice: as '43200' by the executor"):
        plan_of(
            version=VERSIONS[line],
            executor=CeleryExecutor(broker=SqsBroker()),
            config={"celery_broker_transport_options": {"visibility_timeout": 86400}},
        )


@pytest.mark.parametrize("line", VERSIONS)
def test_transport_options_that_an_airflow_release_ignores_are_rejected(line):
    """Some Airflow releases read all Celery transport options from one option."""
    arguments = {
        "version": VERSIONS[line],
        "executor": CeleryExecutor(broker=SqsBroker()),
        "config": {"celery_broker_transport_options": {"polling_interval": 5}},
    }
    if line in ("2.8", "2.9", "3.3"):
        worker = containers(plan_of(**arguments))["worker"]
        assert worker.environment["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__POLLING_INTERVAL"] == "5"
        return
    with pytest.raises(ValueError, match=r"\[celery_broker_transport_options\] polling_interval by config= would"):
        plan_of(**arguments)
