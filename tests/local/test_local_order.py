"""The order in which local resources are created."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

from cdk_airflow_ecs.local.aws.resolver import ordered

GATE = {"Type": "Custom::AirflowMigration"}
WORKER = {"Type": "AWS::ECS::Service", "DependsOn": ["Gate"]}
NAMESPACE = {"Type": "AWS::ServiceDiscovery::PrivateDnsNamespace"}
NAME = {
    "Type": "AWS::ServiceDiscovery::Service",
    "Properties": {"NamespaceId": {"Fn::GetAtt": ["Namespace", "Id"]}},
    "DependsOn": "Gate",
}
API = {"Type": "AWS::ECS::Service", "Properties": {"Registries": [{"Ref": "Name"}]}, "DependsOn": ["Gate"]}
BODIES = {"Worker": WORKER, "Gate": GATE, "Api": API, "Name": NAME, "Namespace": NAMESPACE}


@pytest.mark.parametrize("names", list(itertools.permutations(BODIES)))
def test_dns_names_are_created_before_the_services_that_use_them(names):
    """The execution API's DNS name is created before workers, which resolve it, in any order of the template."""
    order = ordered({name: BODIES[name] for name in names})
    assert order.index("Name") < min(order.index("Worker"), order.index("Api"))
    assert order.index("Gate") < order.index("Worker")


def test_a_dns_name_that_depends_on_a_service_is_created_after_the_service():
    """A service that a DNS name depends on is created before the name, without a circular dependency."""
    name = NAME | {"DependsOn": ["Worker"]}
    assert ordered({**BODIES, "Name": name})[-2:] == ["Name", "Api"]
