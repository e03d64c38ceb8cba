"""SQS: what its clients get from each release, what they may do, and what no client may."""

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


# How a release is told the queues. Each row ends where the official image's celery provider learns the next way.
MODULE = ("2.8.0", "2.8", "2.9.0", "2.9", "2.10.0", "2.10.4")
WHOLE = ("2.10.5", "2.11.0", "2.11", "3.0.0", "3.0", "3.1.0", "3.1", "3.2.0", "3.2", "3.3.0", "3.3.1")
SECTION = ("3.3.2", "3.3")


def cluster(release: str = "3.3", *pools: WorkerPool, broker: SqsBroker | None = None) -> ClusterPlan:
    """Plan a cluster over SQS."""
    executor = CeleryExecutor(broker=broker or SqsBroker(), pools=pools or POOLS)
    return plan_of(version=AirflowVersion.of(release), executor=executor, database=EXISTING)


def told(plan: ClusterPlan, component: str) -> dict[str, object]:
    """Everything that a component is told of Celery, but its concurrency."""
    (container,) = plan.component(component).containers
    return {
        name: value
        for name, value in container.environment.items()
        if "CELERY" in name and name != "AIRFLOW__CELERY__WORKER_CONCURRENCY"
    }


def allowed(plan: ClusterPlan, component: str) -> list[Permission]:
    """What a component may do with queues and results."""
    found = plan.component(component).permissions
    return [permission for permission in found if permission.actions[0].startswith(("sqs:", "dynamodb:"))]


@pytest.mark.parametrize("release", [*MODULE, *WHOLE, *SECTION])
def test_what_clients_are_told(release):
    """The queues by URL, with region and 12 hours, in the form that the release's celery provider takes."""
    found = told(cluster(release), "Scheduler")
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
def test_both_sides_are_told_the_same(line):
    """Scheduler and every pool have the same broker and results; nobody else knows of them."""
    plan = cluster(line)
    assert told(plan, "Scheduler") == told(plan, "Pools/default") == told(plan, "Pools/heavy")
    others = {component.name for component in plan.components} - {"Scheduler", "Pools/default", "Pools/heavy"}
    for name in others:
        for container in plan.component(name).containers:
            assert not [variable for variable in container.environment if "CELERY" in variable]
    assert [edge for edge in plan.edges if edge.target == "Broker"] == []


def test_workers_hold_no_database_credential():
    """Results in DynamoDB: a worker of Airflow 3 has neither variables of the database nor a way to it."""
    plan = cluster("3.3")
    worker = containers(plan)["worker"]
    assert not [name for name in worker.environment if "METADATA" in name or "SQL_ALCHEMY" in name]
    assert not [edge for edge in plan.edges if edge.source.startswith("Pools/") and edge.target == "Database"]


def test_what_each_may_do():
    """The scheduler sends and reads results; a pool takes from its own queues alone, and writes results."""
    plan = cluster()
    results = (Ref("Broker", "results_arn"),)
    assert allowed(plan, "Scheduler") == [
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
    assert allowed(plan, "Pools/default") == [default, write]
    assert allowed(plan, "Pools/heavy") == [heavy, write, default]
    for component in plan.components:
        if not component.name.startswith(("Scheduler", "Pools/")):
            assert allowed(plan, component.name) == []


@pytest.mark.parametrize("line", VERSIONS)
def test_what_nobody_may_do(line):
    """No role makes, lists, deletes or empties queues, or makes tables; no permission is on everything."""
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
def test_what_images_must_hold(release):
    """Pycurl everywhere; a newer kombu where images of the line had 5.5; the module where options name it."""
    broker = SqsBroker().plan(AirflowVersion.of(release), ["default"])
    newer = ("celery==5.6.2", "kombu==5.6.2") if release.startswith(("2.11", "3.0", "3.1")) else ()
    assert broker.requirements == (*newer, "pycurl==7.45.7")
    assert list(broker.image_files) == (["airflow_ecs_celery.py"] if release in MODULE else [])


def test_queues_follow_pools():
    """What exists is what pools serve, each once."""
    executor = CeleryExecutor(broker=SqsBroker(max_receive_count=2), pools=POOLS)
    store = executor.broker.store(("default", "heavy.gpu"))
    assert (store.names, store.max_receive_count, store.message_retention_days) == (("default", "heavy.gpu"), 2, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"message_retention_days": 0}, "message_retention_days is an integer, 1 to 14; got 0"),
        ({"message_retention_days": 15}, "message_retention_days is an integer, 1 to 14; got 15"),
        ({"message_retention_days": NUMBER_TOKEN}, "message_retention_days is an integer, .* only the deploy knows"),
        ({"max_receive_count": 0}, "max_receive_count is an integer, 1 to 1000; got 0"),
        ({"max_receive_count": True}, "max_receive_count is an integer, 1 to 1000; got True"),
        ({"max_receive_count": 8}, "max_receive_count=8 .* Use max_receive_count=7 or less"),
        (
            {"message_retention_days": 2},
            "max_receive_count=5 .* message_retention_days=2: .* Use max_receive_count=3 or less",
        ),
    ],
)
def test_what_sqs_has_not(arguments, words):
    """Each refusal names the argument, what it got and what it takes."""
    with pytest.raises(ValueError, match=f"^SqsBroker {words}"):
        SqsBroker(**arguments)


@pytest.mark.parametrize(
    "arguments", [{"message_retention_days": 14, "max_receive_count": 27}, {"max_receive_count": 7}]
)
def test_the_ends_of_the_ranges(arguments):
    """Dead letters are possible up to the last moment of a command's life."""
    broker = SqsBroker(**arguments)
    assert all(getattr(broker, name) == value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("queues", "words"),
    [
        (["default", "jobs.fifo"], "SqsBroker: the queue 'jobs.fifo'"),
        (["default", "a-b", "a.b"], "SqsBroker: .* dots .* two of a-b, a.b, default .* Rename one"),
    ],
)
def test_names_that_kombu_mistakes(queues, words):
    """Kombu takes a name's end for a kind of queue, and dots for hyphens: what that breaks is refused."""
    with pytest.raises(ValueError, match=words):
        cluster("3.3", WorkerPool("default", queues=queues))


@pytest.mark.parametrize("line", VERSIONS)
def test_nobody_says_otherwise(line):
    """A transport option of ours in config= is refused by every release, also where the section is not read."""
    with pytest.raises(ValueError, match="visibility_timeout is given twice: as '43200' by the executor"):
        plan_of(
            version=VERSIONS[line],
            executor=CeleryExecutor(broker=SqsBroker()),
            config={"celery_broker_transport_options": {"visibility_timeout": 86400}},
        )


@pytest.mark.parametrize("line", VERSIONS)
def test_what_another_option_would_hide(line):
    """Where the whole section is told by one option, an option of the section would be lost: it is refused."""
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
