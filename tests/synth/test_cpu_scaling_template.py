"""CpuScaling in the template: scalable target, policies, schedules, and changes of a deployed stack."""

from __future__ import annotations

import json

import pytest
from aws_cdk import CfnParameter, Stack

from cdk_airflow_ecs import AirflowVersion, CpuScaling, ScalingSchedule, Service
from judges.updates import SCHEMAS, contested, refused, replaced
from synthesis import add_cluster, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

TARGET, POLICY = (f"AWS::ApplicationAutoScaling::{kind}" for kind in ("ScalableTarget", "ScalingPolicy"))
OFFICE = [ScalingSchedule("morning", when="cron(0 7 ? * MON-FRI *)", min_count=2, time_zone="Europe/Berlin")]
ALL = CpuScaling(min_count=1, max_count=6, target_percent=50, requests_per_target=600, schedules=OFFICE)


def with_web(scaling=None, **arguments):
    """Return the template of a cluster whose web component has this scaling, or two tasks without scaling."""
    service = Service(scaling=scaling) if scaling else Service(count=2)
    return template_of(api_server=service, **arguments)


def only(template, kind):
    """Return the properties of the only resource of a type."""
    (found,) = resources(template, kind).values()
    return found["Properties"]


def web_service(template):
    """Return logical id and properties of the service behind the load balancer."""
    ((key, service),) = (
        item for item in resources(template, "AWS::ECS::Service").items() if "LoadBalancers" in item[1]["Properties"]
    )
    return key, service["Properties"]


def policies(template):
    """Return the target tracking configuration of each scaling policy, by metric."""
    found = [each["Properties"] for each in resources(template, POLICY).values()]
    assert {each["PolicyType"] for each in found} <= {"TargetTrackingScaling"}
    configurations = [each["TargetTrackingScalingPolicyConfiguration"] for each in found]
    return {each["PredefinedMetricSpecification"]["PredefinedMetricType"]: each for each in configurations}


@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_a_scaling_policy_keeps_cpu_utilization_at_the_target(line):
    """The only policy tracks the average CPU utilization, and the template has no desired count."""
    template = with_web(CpuScaling(), version=AirflowVersion.of(line))
    key, service = web_service(template)
    assert "DesiredCount" not in service
    target = only(template, TARGET)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert key in json.dumps(target["ResourceId"])
    assert policies(template) == {
        "ECSServiceAverageCPUUtilization": {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
            "ScaleInCooldown": 300,
            "ScaleOutCooldown": 60,
            "TargetValue": 60,
        }
    }


def test_requests_per_target_adds_a_scaling_policy_for_requests():
    """The additional policy tracks the requests of the service's target group."""
    template = with_web(ALL)
    found = policies(template)
    assert {metric: each["TargetValue"] for metric, each in found.items()} == {
        "ECSServiceAverageCPUUtilization": 50,
        "ALBRequestCountPerTarget": 600,
    }
    requests = found["ALBRequestCountPerTarget"]
    assert (requests["ScaleInCooldown"], requests["ScaleOutCooldown"]) == (300, 60)
    label = requests["PredefinedMetricSpecification"]["ResourceLabel"]["Fn::Join"][1]
    group = web_service(template)[1]["LoadBalancers"][0]["TargetGroupArn"]["Ref"]
    assert label[-1] == {"Fn::GetAtt": [group, "TargetGroupFullName"]}
    # The ARN of the listener contains the full name of the load balancer.
    (listener,) = resources(template, "AWS::ElasticLoadBalancingV2::Listener")
    parts = [{"Fn::Select": [number, {"Fn::Split": ["/", {"Ref": listener}]}]} for number in (1, 2, 3)]
    assert label[:-1] == [parts[0], "/", parts[1], "/", parts[2], "/"]


def test_a_web_task_finishes_open_requests_before_it_is_removed():
    """The load balancer waits 60 s for open requests of a task, and closes idle connections no later than that."""
    template = with_web(CpuScaling())
    (group,) = resources(template, "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    (balancer,) = resources(template, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    delay = {each["Key"]: each["Value"] for each in group["Properties"]["TargetGroupAttributes"]}
    idle = {each["Key"]: each["Value"] for each in balancer["Properties"]["LoadBalancerAttributes"]}
    assert delay["deregistration_delay.timeout_seconds"] == "60"
    assert int(idle["idle_timeout.timeout_seconds"]) <= 60


def test_scaling_schedules_become_scheduled_actions():
    """Each scheduled action has the minimum, maximum and time zone of its ScalingSchedule."""
    assert only(with_web(ALL), TARGET)["ScheduledActions"] == [
        {
            "ScalableTargetAction": {"MinCapacity": 2},
            "Schedule": "cron(0 7 ? * MON-FRI *)",
            "ScheduledActionName": "morning",
            "Timezone": "Europe/Berlin",
        }
    ]


def test_during_maintenance_no_scaling_policy_starts_a_task():
    """During maintenance, the scalable target has the limits zero and no scheduled actions, and sets the count."""
    before, after = with_web(ALL), with_web(ALL, maintenance=True)
    assert "DesiredCount" not in web_service(after)[1]
    target = only(after, TARGET)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 0)
    assert "ScheduledActions" not in target
    assert resources(before, TARGET).keys() == resources(after, TARGET).keys()
    assert resources(before, POLICY) == resources(after, POLICY)


def test_numbers_of_cpu_scaling_may_be_parameters():
    """Numbers known only at deploy time reach the scalable target and the scaling policies."""

    def build(app):
        stack = Stack(app, "Data")
        names = ("Least", "Most", "Percent", "Requests")
        least, most, percent, requests = (
            CfnParameter(stack, name, type="Number", default=1).value_as_number for name in names
        )
        scaling = CpuScaling(min_count=least, max_count=most, target_percent=percent, requests_per_target=requests)
        add_cluster(stack, api_server=Service(scaling=scaling))

    template = synthesize(build).templates["Data"]
    target = only(template, TARGET)
    assert (target["MinCapacity"], target["MaxCapacity"]) == ({"Ref": "Least"}, {"Ref": "Most"})
    assert [each["TargetValue"] for each in policies(template).values()] == [{"Ref": "Percent"}, {"Ref": "Requests"}]


CHANGES = {
    "on": (with_web, lambda: with_web(ALL)),
    "off": (lambda: with_web(ALL), with_web),
    "off, after the limits": (lambda: with_web(CpuScaling(min_count=2, max_count=2)), with_web),
    "other limits": (lambda: with_web(CpuScaling()), lambda: with_web(ALL)),
    "maintenance": (lambda: with_web(ALL), lambda: with_web(ALL, maintenance=True)),
}


@pytest.mark.skipif(SCHEMAS is None, reason="needs the environment of cfn-lint: make environments")
@pytest.mark.parametrize("change", CHANGES)
def test_switching_cpu_scaling_on_or_off_replaces_no_resource(change):
    """Only the scaling resources and the desired count of the service change."""
    before, after = (make()["Resources"] for make in CHANGES[change])
    assert replaced({"Resources": before}, {"Resources": after}) == set()
    assert refused({"Resources": before}, {"Resources": after}) == []
    assert bool(contested({"Resources": before}, {"Resources": after})) == (change == "off")
    scaler = {TARGET, POLICY}
    assert {(before | after)[name]["Type"] for name in before.keys() ^ after.keys()} <= scaler
    if change == "maintenance":
        return
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            assert before[name]["Type"] in {*scaler, "AWS::ECS::Service"}
            differing = {
                key
                for key in before[name]["Properties"].keys() | after[name]["Properties"].keys()
                if before[name]["Properties"].get(key) != after[name]["Properties"].get(key)
            }
            if before[name]["Type"] == "AWS::ECS::Service":
                assert differing == {"DesiredCount"}
