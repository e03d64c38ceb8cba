"""Worker pools and ECS tasks added after construction equal those in arguments; rejected ones have no effect."""

from __future__ import annotations

import json

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from test_executor_switch import diff

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    EcsExecutor,
    LocalExecutor,
    QueueScaling,
    SeveralExecutors,
    SqsBroker,
    WorkerPool,
)
from synthesis import add_cluster, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

DEFAULT = WorkerPool("default")
HEAVY = WorkerPool("heavy", queues=["big", "gpu"], cpu=4096, memory_mib=16384, count=2, ephemeral_storage_gib=100)


def token(stack):
    """Return an ecs.Secret of an imported secret."""
    found = stack.node.try_find_child("Token") or secretsmanager.Secret.from_secret_name_v2(stack, "Token", "token")
    return ecs.Secret.from_secrets_manager(found)


def lake(stack):
    """Return an imported bucket."""
    return s3.Bucket.from_bucket_name(stack, "Lake", "lake")


def warehouse(stack):
    """Return an imported database."""
    group = ec2.SecurityGroup.from_security_group_id(stack, "WarehouseGroup", "sg-1")
    attributes = {"instance_endpoint_address": "warehouse.example.com", "instance_identifier": "w", "port": 5432}
    return rds.DatabaseInstance.from_database_instance_attributes(
        stack, "Warehouse", security_groups=[group], **attributes
    )


def nothing(stack, cluster):
    """Do nothing with the cluster."""


def grants(stack, cluster):
    """Grant a bucket to the cluster, and connect it to a database."""
    lake(stack).grant_read(cluster)
    cluster.connections.allow_to_default_port(warehouse(stack))


def on_redis(pools):
    """Return a CeleryExecutor with these pools and Redis."""
    return CeleryExecutor(pools=pools)


def on_sqs(pools):
    """Return a CeleryExecutor with these pools and SQS."""
    return CeleryExecutor(broker=SqsBroker(), pools=pools)


def among_others(pools):
    """Return a CeleryExecutor with these pools, before another executor."""
    return SeveralExecutors([CeleryExecutor(pools=pools), EcsExecutor(spot=True)])


def after_others(pools):
    """Return a CeleryExecutor with these pools, after another executor."""
    return SeveralExecutors([LocalExecutor(), CeleryExecutor(pools=pools)])


# Cases: initial pools, added pools, function that returns the executor, step before the pools are added, arguments.
# Pools with an imported secret need the stack, so a function creates them.
SECRET_POOL = lambda stack: WorkerPool("secret", environment={"API_TOKEN": token(stack), "STAGE": "dev"})  # noqa: E731
CASES = {
    "Redis": ([DEFAULT], [HEAVY], on_redis, nothing, {}),
    "SQS": ([DEFAULT], [HEAVY, WorkerPool("small")], on_sqs, nothing, {"image": AirflowImage.registry("a.example/b")}),
    "several": ([DEFAULT], [WorkerPool("b"), HEAVY, WorkerPool("a")], on_redis, nothing, {}),
    "a queue that another pool serves": ([DEFAULT], [WorkerPool("more", queues=["default"])], on_redis, nothing, {}),
    "among others": ([DEFAULT], [HEAVY], among_others, nothing, {}),
    "after others": ([DEFAULT], [HEAVY], after_others, nothing, {}),
    "Spot": ([DEFAULT], [WorkerPool("cheap", spot=True)], on_redis, nothing, {}),
    "Spot after Spot": ([WorkerPool("default", spot=True)], [WorkerPool("cheap", spot=True)], on_redis, nothing, {}),
    "arm64": ([DEFAULT], [WorkerPool("arm", architecture="arm64")], on_redis, nothing, {}),
    "own image": (
        [DEFAULT],
        [WorkerPool("own", image=AirflowImage.registry("ghcr.io/acme/airflow:1", architecture="arm64"))],
        on_redis,
        nothing,
        {},
    ),
    "secret": ([DEFAULT], [SECRET_POOL], on_redis, nothing, {}),
    "secret after secret": (
        [DEFAULT],
        [SECRET_POOL],
        on_redis,
        nothing,
        {"environment": lambda stack: {"OTHER_TOKEN": token(stack)}},
    ),
    "scaled": (
        [DEFAULT],
        [WorkerPool("scaled", scaling=QueueScaling()), WorkerPool("nightly", scaling=QueueScaling(max_count=40))],
        on_redis,
        nothing,
        {},
    ),
    "scaled after scaled": (
        [WorkerPool("default", scaling=QueueScaling())],
        [WorkerPool("nightly", scaling=QueueScaling())],
        among_others,
        nothing,
        {},
    ),
    "shells": ([DEFAULT], [HEAVY], on_redis, nothing, {"enable_exec": True}),
    "a shell": ([DEFAULT], [WorkerPool("open", enable_exec=True)], on_redis, nothing, {"enable_exec": False}),
    "granted and connected": ([DEFAULT], [HEAVY], on_redis, grants, {}),
    "granted and connected, among others": ([DEFAULT], [HEAVY], among_others, grants, {}),
    "maintenance": ([DEFAULT], [HEAVY], on_redis, nothing, {"maintenance": True}),
}


def template(build):
    """Return the template of a stack that *build* fills."""
    return synthesize(lambda app: build(Stack(app, "Data"))).templates["Data"]


@pytest.mark.parametrize(
    ("case", "line"),
    [*((case, "3.3") for case in CASES), *((case, "2.11") for case in ("Redis", "SQS", "granted and connected"))],
)
def test_a_worker_pool_added_after_construction_equals_an_initial_pool(case, line):
    """Template and plan are equal in both cases."""
    there, added, executor, between, arguments = CASES[case]
    plans = []

    def created(stack, pools):
        return [pool(stack) if callable(pool) else pool for pool in pools]

    def at_once(stack):
        pools = created(stack, [*there, *added])
        cluster = add_cluster(stack, version=AirflowVersion.of(line), executor=lambda _: executor(pools), **arguments)
        between(stack, cluster)
        plans.append(cluster.plan)

    def later(stack):
        cluster = add_cluster(stack, version=AirflowVersion.of(line), executor=lambda _: executor(there), **arguments)
        between(stack, cluster)
        for pool in created(stack, added):
            cluster.add_worker_pool(pool)
        plans.append(cluster.plan)

    first, second = template(at_once), template(later)
    assert first == second
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert plans[0] == plans[1]
    names = [part.name for part in plans[0].components if part.path.startswith("Pools/")]
    assert len(names) == len(there) + len(added)
    assert len([key for key in resources(first, "AWS::ECS::Service") if key.startswith("AirflowPools")]) == len(names)


def test_a_worker_pool_and_an_ecs_task_on_arm_share_a_built_image(tmp_path):
    """A pool and an ECS task on another processor share one built image."""
    (tmp_path / "airflow/dags").mkdir(parents=True)
    (tmp_path / "airflow/requirements.txt").write_text("xlsxwriter\n")

    def build(stack):
        cluster = add_cluster(stack, image=AirflowImage.build(tmp_path / "airflow"))
        cluster.add_worker_pool(WorkerPool("arm", architecture="arm64"))
        cluster.add_ecs_task("etl", architecture="arm64")

    images = {}
    for each in resources(template(build), "AWS::ECS::TaskDefinition").values():
        processor = each["Properties"]["RuntimePlatform"]["CpuArchitecture"]
        images.setdefault(processor, set()).add(str(each["Properties"]["ContainerDefinitions"][0]["Image"]))
    assert {processor: len(names) for processor, names in images.items()} == {"X86_64": 1, "ARM64": 1}
    assert images["X86_64"] != images["ARM64"]


def test_the_order_of_grants_and_added_pools_does_not_matter():
    """A worker pool also gets the grants made before it was added."""

    def build(stack, *, before):
        cluster = add_cluster(stack)
        for step in (grants, lambda *_: cluster.add_worker_pool(HEAVY))[:: 1 if before else -1]:
            step(stack, cluster)

    before, after = (template(lambda stack, b=b: build(stack, before=b)) for b in (True, False))
    assert before == after
    (policy,) = (
        policy["Properties"]
        for policy in resources(before, "AWS::IAM::Policy").values()
        if "lake" in str(policy["Properties"]["PolicyDocument"])
    )
    assert [role["Ref"] for role in policy["Roles"] if role["Ref"].startswith("AirflowPoolsheavy")]


@pytest.mark.parametrize(
    ("executor", "pool", "message"),
    [
        (
            EcsExecutor(),
            HEAVY,
            "EcsExecutor does not support worker pools, so 'heavy' cannot be added. Use executor=C",
        ),
        (LocalExecutor(), HEAVY, "LocalExecutor does not support worker pools, so 'heavy' cannot be added"),
        (SeveralExecutors([EcsExecutor(), LocalExecutor()]), HEAVY, "SeveralExecutors does not support worker pools"),
        (CeleryExecutor(), DEFAULT, "two worker pools are named 'default'"),
        (CeleryExecutor(), WorkerPool("Default", queues=["x"]), "two worker pools are named 'default'"),
        (CeleryExecutor(), "heavy", r"add_worker_pool\(pool\) must be a WorkerPool such as"),
        (CeleryExecutor(), None, r"add_worker_pool\(pool\) must be a WorkerPool such as"),
        (
            CeleryExecutor(),
            WorkerPool("own", environment={"AIRFLOW__CELERY__BROKER_URL_CMD": "echo"}),
            r"\[celery\] broker_url_cmd",
        ),
        (CeleryExecutor(), WorkerPool("own", environment={"MY_TOKEN": "abc"}), "MY_TOKEN looks like a secret"),
    ],
)
def test_a_rejected_worker_pool_leaves_the_cluster_unchanged(executor, pool, message):
    """The test compares plan, constructs and template."""

    def refused(stack):
        cluster = add_cluster(stack, executor=executor)
        plan, tree = cluster.plan, [each.node.path for each in stack.node.find_all()]
        with pytest.raises(ValueError, match=message):
            cluster.add_worker_pool(pool)
        assert cluster.plan == plan
        assert [each.node.path for each in stack.node.find_all()] == tree

    assert template(refused) == template(lambda stack: add_cluster(stack, executor=executor))


def test_a_worker_pool_can_be_added_after_a_rejected_one():
    """After an error, worker pools and ECS tasks can be added as usual."""

    def build(stack, *, stumble):
        cluster = add_cluster(stack)
        if stumble:
            with pytest.raises(ValueError, match="two worker pools"):
                cluster.add_worker_pool(DEFAULT)
            with pytest.raises(ValueError, match="looks like a secret"):
                cluster.add_ecs_task("etl", environment={"MY_TOKEN": "abc"})
        cluster.add_worker_pool(HEAVY)
        cluster.add_ecs_task("etl")

    assert template(lambda s: build(s, stumble=True)) == template(lambda s: build(s, stumble=False))


def test_a_worker_pool_checks_its_size():
    """WorkerPool raises an error for an invalid size, before it is added to a cluster."""
    with pytest.raises(ValueError, match="pool 'heavy': memory_mib=512 is not compatible with cpu=4096"):
        WorkerPool("heavy", cpu=4096, memory_mib=512)


def add_pool(cluster):
    """Add a pool on Spot."""
    cluster.add_worker_pool(WorkerPool("heavy", spot=True))


def add_etl(cluster):
    """Add an ECS task."""
    cluster.add_ecs_task("etl", command=["python", "etl.py"])


def add_report(cluster):
    """Add an ECS task with a secret."""
    stack = Stack.of(cluster)
    parameter = ssm.StringParameter.from_secure_string_parameter_attributes(stack, "Key", parameter_name="/key")
    secret = ecs.Secret.from_ssm_parameter(parameter)
    cluster.add_ecs_task("report", image=ecs.ContainerImage.from_registry("acme/r"), environment={"API_KEY": secret})


def grant(cluster):
    """Grant a bucket, and connect to a database."""
    grants(Stack.of(cluster), cluster)


@pytest.mark.parametrize(
    ("executor", "line"),
    [
        (CeleryExecutor(), "3.3"),
        (CeleryExecutor(), "2.11"),
        (CeleryExecutor(broker=SqsBroker()), "3.3"),
        (SeveralExecutors([CeleryExecutor(), EcsExecutor()]), "3.3"),
        (SeveralExecutors([LocalExecutor(), CeleryExecutor()]), "2.11"),
    ],
)
def test_the_order_of_added_pools_and_tasks_does_not_change_the_template(executor, line):
    """There may be grants between the additions."""
    orders = [
        (add_pool, grant, add_etl, add_report),
        (add_etl, add_report, add_pool, grant),
        (grant, add_etl, add_pool, add_report),
        (add_etl, grant, add_report, add_pool),
    ]
    image = AirflowImage.registry("a.example/b")

    def build(stack, order):
        cluster = add_cluster(stack, executor=executor, version=AirflowVersion.of(line), image=image)
        for step in order:
            step(cluster)

    first, *others = (template(lambda stack, order=order: build(stack, order)) for order in orders)
    for other in others:
        assert other == first


def test_services_on_spot_wait_for_capacity_providers():
    """Services on Spot, and those that start tasks there, depend on the capacity providers."""

    def build(stack):
        cluster = add_cluster(stack, executor=SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True)]))
        cluster.add_worker_pool(WorkerPool("cheap", spot=True))

    found = template(build)
    ((offer, association),) = resources(found, "AWS::ECS::ClusterCapacityProviderAssociations").items()
    assert association["Properties"]["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    assert association["Properties"]["DefaultCapacityProviderStrategy"] == []
    waiting = {key for key, service in resources(found, "AWS::ECS::Service").items() if offer in service["DependsOn"]}
    prefixes = ("AirflowPoolscheap", "AirflowComponentsScheduler", "AirflowComponentsApiServer")
    assert len(waiting) == len(prefixes)
    assert all(key.startswith(prefixes) for key in waiting)
    on_spot = {
        key: service["Properties"].get("CapacityProviderStrategy", service["Properties"].get("LaunchType"))
        for key, service in resources(found, "AWS::ECS::Service").items()
    }
    strategy = [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]
    assert [key for key, capacity in on_spot.items() if capacity == strategy] == [
        key for key in on_spot if key.startswith("AirflowPoolscheap")
    ]
    assert [capacity for capacity in on_spot.values() if capacity != strategy] == ["FARGATE"] * (len(on_spot) - 1)


def test_an_ecs_task_on_spot_makes_task_runners_wait_for_capacity_providers():
    """Task runners depend on the capacity providers even if an ECS task on Spot is added later."""

    def build(stack):
        add_cluster(stack).add_ecs_task("etl", spot=True)

    found = template(build)
    (offer,) = resources(found, "AWS::ECS::ClusterCapacityProviderAssociations")
    waiting = [key for key, service in resources(found, "AWS::ECS::Service").items() if offer in service["DependsOn"]]
    starts = ("AirflowPoolsdefault", "AirflowComponentsDagProcessor", "AirflowComponentsTriggerer")
    assert {key[: len(prefix)] for key in waiting for prefix in starts if key.startswith(prefix)} == {*starts}
    assert len(waiting) == len(starts)


@pytest.mark.slow
@pytest.mark.parametrize("spot", [True, False])
def test_switching_spot_of_a_worker_pool_replaces_only_its_service(spot, tmp_path):
    """``cdk diff`` lists only the pool's service, the capacity providers and the migration gate, which depends on them.

    CloudFormation does not update a resource such as the gate if only its dependencies change.
    """

    def cluster(spot):
        return {"executor": CeleryExecutor(pools=[WorkerPool("default", spot=spot)])}

    changes = diff(template_of(**cluster(not spot)), cluster(spot), tmp_path)
    assert sorted((sign, kind, remark) for sign, kind, _, _, remark in changes) == [
        ("+" if spot else "-", "AWS::ECS::ClusterCapacityProviderAssociations", ""),
        ("~", "AWS::ECS::Service", " replace"),
        ("~", "Custom::AirflowMigration", ""),
    ]


def test_without_spot_there_are_no_capacity_providers():
    """Without Spot there are no capacity providers."""
    found = template(add_cluster)
    assert resources(found, "AWS::ECS::ClusterCapacityProviderAssociations") == {}
    services = resources(found, "AWS::ECS::Service").values()
    assert {service["Properties"].get("LaunchType") for service in services} == {"FARGATE"}
