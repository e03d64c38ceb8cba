"""AWS accepts every documented change, according to judges/updates.py, which rejects what AWS rejects."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from test_tables import CHANGES

from cdk_airflow_ecs import AuroraDatabase, CeleryExecutor, ContainerDatabase, RdsDatabase, RedisBroker, WorkerPool
from judges.updates import SCHEMAS, create_only, refused, replaced
from synthesis import resources, template_of

pytestmark = pytest.mark.skipif(SCHEMAS is None, reason="needs the environment of cfn-lint: make environments")
# Resource types that hold data, or that such resources depend on.
KEEPS = (
    *("RDS::DB", "S3::Bucket", "KMS::", "SecretsManager::Secret", "EFS::File", "DynamoDB::", "SQS::Queue"),
    *("EC2::Subnet", "EC2::VPC", "ElastiCache::Replication", "Logs::LogGroup", "ServiceDiscovery::PrivateDns"),
)
# Types that match KEEPS but hold no data.
NOTHING = {"SQS::QueuePolicy", "S3::BucketPolicy", "SecretsManager::SecretTargetAttachment"}
REPLICAS = CeleryExecutor(broker=RedisBroker(replicas=1))


def keeping(before: dict, after: dict) -> set[str]:
    """Return the types of replaced resources that hold data."""
    kinds = {after["Resources"][name]["Type"].removeprefix("AWS::") for name in replaced(before, after)}
    return {kind for kind in kinds if kind.startswith(KEEPS) and kind not in NOTHING}


@pytest.mark.parametrize("change", [change for change, (pairs, _) in CHANGES.items() if pairs])
def test_no_aws_service_rejects_a_documented_change(change):
    """Of the resources with data, a change replaces only those that the documentation lists."""
    pairs, expected = CHANGES[change]
    for before, after in pairs:
        old, new = template_of(**before), template_of(**after)
        assert refused(old, new) == []
        assert bool(keeping(old, new)) == ("replaced" in expected.values() and change != "`web=Web(internet_facing=…)`")


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "the first replica": ({}, {"executor": REPLICAS}, "failover and the number of nodes change at once"),
    "the last replica": ({"executor": REPLICAS}, {}, "failover and the number of nodes change at once"),
    "an older PostgreSQL": (
        {"database": RdsDatabase(engine_version="17.10")},
        {"database": RdsDatabase(engine_version="17.9")},
        "RDS rejects an older engine version",
    ),
    "an older Aurora": (
        {"database": AuroraDatabase(engine_version="17.9")},
        {"database": AuroraDatabase(engine_version="16.9")},
        "RDS rejects an older engine version",
    ),
    "another major release": (
        {"database": RdsDatabase(engine_version="16.9")},
        {"database": RdsDatabase(engine_version="17.5")},
        "AllowMajorVersionUpgrade",
    ),
    "an older Valkey": (
        {"executor": CeleryExecutor(broker=RedisBroker(engine_version="8.0"))},
        {"executor": CeleryExecutor(broker=RedisBroker(engine_version="7.2"))},
        "ElastiCache rejects an older engine version",
    ),
    "a smaller disk": (
        {"database": RdsDatabase(allocated_storage_gib=50)},
        {"database": RdsDatabase(allocated_storage_gib=20)},
        "RDS rejects a smaller disk",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_updates_py_reports_changes_that_aws_rejects(change):
    """judges/updates.py has a message for each of these changes."""
    before, after, why = REFUSED[change]
    findings = refused(template_of(**before), template_of(**after))
    assert any(why in finding for finding in findings), findings


IN_PLACE = [
    ({"executor": REPLICAS}, {"executor": CeleryExecutor(broker=RedisBroker(replicas=2))}),
    ({}, {"executor": CeleryExecutor(broker=RedisBroker(replicas=1, failover=False))}),
    ({"executor": CeleryExecutor(broker=RedisBroker(replicas=1, failover=False))}, {"executor": REPLICAS}),
    ({"database": RdsDatabase(engine_version="17.10")}, {"database": RdsDatabase(engine_version="17")}),
    ({}, {"executor": CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("heavy")])}),
    ({"database": ContainerDatabase()}, {"database": ContainerDatabase(memory_mib=2048)}),
]


@pytest.mark.parametrize(("before", "after"), IN_PLACE)
def test_undocumented_changes_replace_no_resource_with_data(before, after):
    """AWS accepts these changes without replacing a resource that holds data."""
    old, new = template_of(**before), template_of(**after)
    assert refused(old, new) == []
    assert keeping(old, new) == set()


def test_replacing_only_the_load_balancer_of_a_target_group_is_reported():
    """Replacing only the load balancer of a target group is rejected."""
    old = template_of()
    new = copy.deepcopy(old)
    (balancer,) = resources(new, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    balancer["Properties"]["Scheme"] = "internet-facing"
    assert any("would belong to two load balancers" in finding for finding in refused(old, new))


def test_replacing_a_resource_with_a_fixed_name_is_reported():
    """The fixed name is still taken when CloudFormation creates the new resource."""
    old = copy.deepcopy(template_of())
    (queue,) = resources(old, "AWS::SQS::Queue").values()
    queue["Properties"]["QueueName"] = "airflow.fifo"
    new = copy.deepcopy(old)
    (queue,) = resources(new, "AWS::SQS::Queue").values()
    queue["Properties"]["FifoQueue"] = True
    assert any("the same QueueName" in finding for finding in refused(old, new))


def test_removing_a_subnet_from_a_subnet_group_is_reported():
    """The subnet may be in use."""
    old = template_of()
    new = copy.deepcopy(old)
    for group in resources(new, "AWS::RDS::DBSubnetGroup", "AWS::ElastiCache::SubnetGroup").values():
        group["Properties"]["SubnetIds"].pop()
    assert sum("leaves the subnet group" in finding for finding in refused(old, new)) == 2


def test_create_only_properties_are_those_of_the_cloudformation_schemas():
    """create_only() reads CloudFormation's resource schemas."""
    assert {"DBName", "MasterUsername"} <= create_only("AWS::RDS::DBInstance")
    assert "Scheme" in create_only("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert create_only("Custom::AirflowMigration") == frozenset()
