"""What scaling, alarms and dashboards receive after all resources exist."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Annotations, Match, Template
from constructs import Construct

from cdk_airflow_ecs import (
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    Ec2Capacity,
    ExternalScaling,
    RdsDatabase,
    RedisBroker,
    Scaling,
    Service,
    SqsBroker,
    WorkerPool,
)
from cdk_airflow_ecs.binding import Binding, MetricSource
from cdk_airflow_ecs.testing import plan_of
from synthesis import add_cluster, resources, synthesize


@dataclass(frozen=True)
class Recorder(Scaling):
    """A third-party scaling that records its arguments and scales by CPU."""

    seen: list = field(default_factory=list, compare=False)

    def attach(self, service, cluster):
        """Scale between one and four tasks."""
        self.seen.append((service, cluster))
        service.resource.auto_scale_task_count(min_capacity=1, max_capacity=4).scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=60
        )


def observed(**arguments):
    """Return the service and cluster that the scheduler's scaling received, and the template."""
    recorder = Recorder()
    build = lambda app: add_cluster(  # noqa: E731
        Stack(app, "Data"), **{"scheduler": Service(scaling=recorder), **arguments}
    )
    template = synthesize(build).templates["Data"]
    ((service, cluster),) = recorder.seen
    return service, cluster, template


def resolved(cluster, name):
    """Return the namespace and dimensions of a store's metrics."""
    stack = Stack.of(cluster.load_balancer)
    return [(source.namespace, stack.resolve(dict(source.dimensions))) for source in cluster.resources[name].metrics]


def test_a_scaling_receives_the_services_and_the_load_balancer():
    """A scaling receives its own service, all other services, the load balancer and the log group."""
    service, cluster, template = observed()
    assert (service.name, service.containers, service.keeps_data) == ("Scheduler", ("scheduler",), False)
    assert list(cluster.services) == ["ApiServer", "Scheduler", "DagProcessor", "Triggerer", "Pools/default"]
    assert cluster.web == "ApiServer"
    stack = Stack.of(cluster.load_balancer)
    for construct, kind in (
        (cluster.load_balancer, "AWS::ElasticLoadBalancingV2::LoadBalancer"),
        (cluster.target_group, "AWS::ElasticLoadBalancingV2::TargetGroup"),
        (cluster.log_group, "AWS::Logs::LogGroup"),
        (cluster.services["Pools/default"].resource, "AWS::ECS::Service"),
    ):
        assert stack.get_logical_id(construct.node.default_child or construct.node.find_child("Service")) in resources(
            template, kind
        )
    ((cluster_id, _),) = resources(template, "AWS::ECS::Cluster").items()
    assert stack.resolve(cluster.ecs_cluster) == {"Ref": cluster_id}


def test_a_service_with_a_scaling_has_no_desired_count():
    """The service has no desired count, and the scalable target refers to the service."""
    _, _, template = observed()
    ((key, scheduler),) = (
        (key, each)
        for key, each in resources(template, "AWS::ECS::Service").items()
        if key.startswith("AirflowComponentsScheduler")
    )
    assert "DesiredCount" not in scheduler["Properties"]
    ((_, target),) = resources(template, "AWS::ApplicationAutoScaling::ScalableTarget").items()
    assert key in str(target["Properties"]["ResourceId"])


@pytest.mark.parametrize(
    ("arguments", "name", "namespace", "dimension", "kinds"),
    [
        ({"database": RdsDatabase()}, "Database", "AWS/RDS", "DBInstanceIdentifier", ["AWS::RDS::DBInstance"]),
        ({"database": AuroraDatabase()}, "Database", "AWS/RDS", "DBClusterIdentifier", ["AWS::RDS::DBCluster"]),
        (
            {"database": ContainerDatabase()},
            "Database/Files",
            "AWS/EFS",
            "FileSystemId",
            ["AWS::EFS::FileSystem"],
        ),
        (
            {"executor": CeleryExecutor(broker=RedisBroker(replicas=1))},
            "Broker",
            "AWS/ElastiCache",
            "CacheClusterId",
            ["AWS::ElastiCache::ReplicationGroup"] * 2,
        ),
        (
            {"executor": CeleryExecutor(broker=SqsBroker())},
            "Broker",
            "AWS/SQS",
            "QueueName",
            ["AWS::SQS::Queue"] * 2,
        ),
    ],
)
def test_the_metrics_of_a_store_refer_to_the_resource_of_the_store(arguments, name, namespace, dimension, kinds):
    """For example, metrics of RDS have the dimension DBInstanceIdentifier."""
    _, cluster, template = observed(**arguments)
    found = [dimensions for space, dimensions in resolved(cluster, name) if space == namespace]
    assert len(found) == len(kinds)
    for dimensions, kind in zip(found, kinds, strict=True):
        assert set(dimensions) == {dimension}
        assert any(key in str(dimensions[dimension]) for key in resources(template, kind)), dimensions
    assert len({str(dimensions) for dimensions in found}) == len(found)


def test_elasticache_has_metrics_for_each_node():
    """ElastiCache numbers its nodes from 001, and has metrics for each."""
    _, cluster, _ = observed(executor=CeleryExecutor(broker=RedisBroker(replicas=2)))
    names = [dimensions["CacheClusterId"]["Fn::Join"][1][-1] for _, dimensions in resolved(cluster, "Broker")]
    assert names == ["-001", "-002", "-003"]


class Mainframe(RdsDatabase):
    """A third-party database with its own metrics."""

    def bind(self, scope: Construct, context) -> Binding:
        """Bind like RDS, with its own metrics."""
        bound = RdsDatabase.bind(self, scope, context)
        return Binding(
            attributes=bound.attributes,
            secrets=bound.secrets,
            connectable=bound.connectable,
            key=bound.key,
            dependencies=bound.dependencies,
            metrics=[MetricSource("Acme/Mainframe", {"Partition": "airflow"})],
        )


def test_the_cluster_provides_the_metrics_of_a_third_party_store():
    """The metrics of a third-party store are passed on."""
    _, cluster, _ = observed(database=Mainframe())
    assert cluster.resources["Database"].metrics == [MetricSource("Acme/Mainframe", {"Partition": "airflow"})]


@pytest.mark.parametrize("maintenance", [False, True])
def test_external_scaling_sets_a_desired_count_only_in_maintenance(maintenance):
    """With ExternalScaling, the template sets a desired count only during maintenance."""
    pools = CeleryExecutor(pools=[WorkerPool("default", scaling=ExternalScaling()), WorkerPool("heavy", count=2)])

    def build(app):
        cluster = add_cluster(Stack(app, "Data"), executor=lambda _: pools, maintenance=maintenance)
        cluster.service("Pools/default").auto_scale_task_count(min_capacity=0, max_capacity=20)

    template = synthesize(build).templates["Data"]
    counts = {
        key: each["Properties"].get("DesiredCount") for key, each in resources(template, "AWS::ECS::Service").items()
    }
    ((scaled, count),) = ((key, count) for key, count in counts.items() if key.startswith("AirflowPoolsdefault"))
    assert count == (0 if maintenance else None)
    others = {count for key, count in counts.items() if key != scaled}
    assert others == ({0} if maintenance else {1, 2})
    assert len(resources(template, "AWS::ApplicationAutoScaling::ScalableTarget")) == 1


@pytest.mark.parametrize("maintenance", [False, True])
@pytest.mark.parametrize("pool", [{}, {"count": 2}, {"capacity": Ec2Capacity(provider="machines")}])
def test_attaching_a_scaler_omits_the_desired_count_except_in_maintenance(pool, maintenance):
    """Otherwise each deployment would restore the count. A count other than 1 gives a warning."""
    pools = CeleryExecutor(pools=[WorkerPool("default", **pool), WorkerPool("heavy", count=2)])
    stack = Stack(App(), "Data")
    cluster = add_cluster(stack, executor=lambda _: pools, maintenance=maintenance)
    cluster.service("Pools/default").auto_scale_task_count(max_capacity=20).scale_on_cpu_utilization(
        "Cpu", target_utilization_percent=60
    )
    services = resources(Template.from_stack(stack).to_json(), "AWS::ECS::Service")
    counts = {key.split("Service")[0]: each["Properties"].get("DesiredCount") for key, each in services.items()}
    assert counts["AirflowPoolsdefault"] == (0 if maintenance else None)
    assert counts["AirflowPoolsheavy"] == (0 if maintenance else 2)
    warnings = Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp("pass min_capacity="))
    assert len(warnings) == ("count" in pool and not maintenance)


def test_a_worker_pool_added_after_construction_is_autoscaled():
    """add_worker_pool attaches the scaling of the added pool, and does not attach other scalings again."""
    before, later = Recorder(), Recorder()

    def build(app):
        cluster = add_cluster(Stack(app, "Data"), scheduler=Service(scaling=before))
        cluster.add_worker_pool(WorkerPool("heavy", scaling=later))

    synthesize(build)
    assert [service.name for service, _ in before.seen] == ["Scheduler"]
    assert [service.name for service, _ in later.seen] == ["Pools/heavy"]
    assert "Pools/heavy" in later.seen[0][1].services


def test_a_planned_component_with_a_scaling_has_no_desired_count():
    """In the plan, the desired count of a component with a scaling is None."""
    part = plan_of(services={"ApiServer": Service(cpu=2048, memory_mib=4096, scaling=ExternalScaling())})
    found = part.component("ApiServer")
    assert (found.count, found.scaling, found.cpu) == (None, ExternalScaling(), 2048)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Service(count=2, scaling=ExternalScaling()), "count= and scaling= both set the number of tasks"),
        (
            lambda: WorkerPool("heavy", count=2, scaling=ExternalScaling()),
            "count= and scaling= both set the number of tasks",
        ),
        (lambda: Service(scaling="cpu"), "scaling must be a Scaling such as"),
    ],
)
def test_count_and_scaling_of_a_service_are_incompatible(make, message):
    """count= and scaling= of a Service or WorkerPool are incompatible."""
    with pytest.raises(ValueError, match=message):
        make()
