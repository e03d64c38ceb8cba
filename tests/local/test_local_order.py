"""The order in which resources are made here."""

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
def test_names_are_there_before_any_task(names):
    """A worker that is created before the name of the execution API would be given a name that nothing resolves.

    It depended on the order in which the template lists them whether a run with --shared worked.
    """
    order = ordered({name: BODIES[name] for name in names})
    assert order.index("Name") < min(order.index("Worker"), order.index("Api"))
    assert order.index("Gate") < order.index("Worker")


def test_a_name_that_waits_for_a_service_is_no_circle():
    """A service that such a name depends on comes first."""
    name = NAME | {"DependsOn": ["Worker"]}
    assert ordered({**BODIES, "Name": name})[-2:] == ["Name", "Api"]
