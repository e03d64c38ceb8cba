"""ECS tasks that run one Airflow command, in the template."""

from __future__ import annotations

import functools

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_airflow_ecs import AirflowVersion, DatabaseCleanup, EcsExecutor
from judges.limits import exceeded
from judges.order import faults
from judges.updates import replaced
from synthesis import add_cluster, flat, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

SCHEDULE = "AWS::Scheduler::Schedule"
CLEANUP = "AirflowAirflowTasksdatabasecleanup"
RESERIALIZE = "AirflowAirflowTasksreserialize"


@functools.cache
def grown():
    """Return the template of a cluster with a database cleanup, an added Airflow task with a schedule, and grants."""

    def build(app):
        stack = Stack(app, "Data")
        cluster = add_cluster(stack, maintenance_tasks=[DatabaseCleanup(time_zone="Europe/Berlin")])
        task = cluster.add_airflow_task(
            "reserialize", command=["airflow", "dags", "reserialize"], schedule="rate(1 day)", environment={"A": "b"}
        )
        check = cluster.add_airflow_task("check", command=["airflow", "db", "check"], load_dags=False)
        pipeline = iam.Role(stack, "Pipeline", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        task.grant_run(pipeline)
        s3.Bucket(stack, "Models").grant_read(cluster)
        s3.Bucket(stack, "Reports").grant_write(check)
        group = ec2.SecurityGroup.from_security_group_id(stack, "Warehouse", "sg-1")
        task.connections.allow_to(group, ec2.Port.tcp(5439))
        assert task.task_definition.family.endswith("-AirflowTasks-reserialize")
        assert task.task_role.role_arn == task.grant_principal.role_arn

    return synthesize(build).templates["Data"]


def only(template, kind, prefix):
    """Return the properties of the only resource of *kind* whose logical id starts with *prefix*."""
    (found,) = (each for name, each in resources(template, kind).items() if name.startswith(prefix))
    return found["Properties"]


def allowed(template, prefix):
    """Return the statements of a role's inline policies, with actions as lists."""
    policies = only(template, "AWS::IAM::Role", prefix).get("Policies", [])
    return flat([each for policy in policies for each in policy["PolicyDocument"]["Statement"]])


def test_schedules_of_airflow_tasks_depend_on_the_migration_gate():
    """Schedules are created after the migration, and deleted before the gate stops the tasks that they started."""
    assert (faults(grown()), exceeded(grown())) == ([], [])
    (gate,) = resources(grown(), "Custom::AirflowMigration")
    schedules = resources(grown(), SCHEDULE)
    assert len(schedules) == 2
    assert all(gate in each["DependsOn"] for each in schedules.values())


def test_a_schedule_starts_one_airflow_task_in_the_private_subnets():
    """EventBridge retries a failed start for an hour, then sends the event to a dead-letter queue."""
    schedule = flat(only(grown(), SCHEDULE, CLEANUP))
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == (
        "cron(0 3 * * ? *)",
        "Europe/Berlin",
    )
    assert (schedule["FlexibleTimeWindow"], schedule["State"]) == ({"Mode": "OFF"}, "ENABLED")
    target = schedule["Target"]
    assert target["Arn"].startswith("<AirflowCluster")
    assert target["DeadLetterConfig"]["Arn"].startswith(f"<{CLEANUP}Lost")
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 3600
    task = target["EcsParameters"]
    assert task["TaskDefinitionArn"].startswith(f"<{CLEANUP}TaskDefinition")
    assert (task["LaunchType"], task["TaskCount"], task["PropagateTags"]) == ("FARGATE", 1, "TASK_DEFINITION")
    network = task["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    assert network["SecurityGroups"][0].startswith(f"<{CLEANUP}SecurityGroup")
    assert len(network["Subnets"]) == 2


@pytest.mark.parametrize("prefix", [CLEANUP, RESERIALIZE])
def test_the_role_of_a_schedule_may_start_only_the_task_of_the_schedule(prefix):
    """The role may start one task family in one ECS cluster, and pass the two roles of the task."""
    run, tag, give, send, key = allowed(grown(), f"{prefix}ScheduleRole")
    family = "-AirflowTasks-database-cleanup:*" if prefix == CLEANUP else "-AirflowTasks-reserialize:*"
    assert run["Action"] == "ecs:RunTask"
    assert run["Resource"].endswith(family)
    assert run["Condition"]["ArnEquals"]["ecs:cluster"].startswith("<AirflowCluster")
    assert (tag["Action"], tag["Condition"]) == ("ecs:TagResource", {"StringEquals": {"ecs:CreateAction": "RunTask"}})
    assert give["Action"] == "iam:PassRole"
    assert [arn.removeprefix(f"<{prefix}").rpartition("Role")[0] for arn in give["Resource"]] == ["Task", "Execution"]
    assert give["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert (send["Action"], key["Action"]) == ("sqs:SendMessage", ["kms:Decrypt", "kms:GenerateDataKey"])


def test_only_schedules_of_this_account_may_assume_the_role_of_a_schedule():
    """The trust policy prevents the confused deputy problem."""
    (statement,) = flat(
        only(grown(), "AWS::IAM::Role", f"{CLEANUP}ScheduleRole")["AssumeRolePolicyDocument"]["Statement"]
    )
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    condition = statement["Condition"]["StringEquals"]
    assert condition["aws:SourceAccount"] == "<AWS::AccountId>"
    assert condition["aws:SourceArn"].endswith(":<AWS::AccountId>:schedule-group/default")


def test_grant_run_permits_a_pipeline_to_run_an_airflow_task():
    """grant_run gives the permissions of the schedule's role, except those on the dead-letter queue."""
    policy = only(grown(), "AWS::IAM::Policy", "PipelineDefaultPolicy")["PolicyDocument"]["Statement"]
    assert flat(policy) == allowed(grown(), f"{RESERIALIZE}ScheduleRole")[:3]


def test_each_airflow_task_has_a_stack_output_with_the_command_to_run_it():
    """The command of the AWS CLI contains ECS cluster, task definition and network."""
    outputs = {name: flat(each["Value"]) for name, each in grown()["Outputs"].items() if "RunCommand" in name}
    assert len(outputs) == 3
    (command,) = (value for name, value in outputs.items() if name.startswith(CLEANUP))
    assert command.startswith("aws ecs run-task --region <AWS::Region> --cluster <AirflowCluster")
    assert "-AirflowTasks-database-cleanup --propagate-tags TASK_DEFINITION" in command
    assert f"securityGroups=[<{CLEANUP}SecurityGroup" in command
    assert "assignPublicIp=DISABLED}'" in command


def test_grants_to_the_cluster_apply_to_airflow_tasks_that_load_dags():
    """An Airflow task that loads no DAGs has only the grants to the task itself."""
    (grants,) = (
        each for name, each in resources(grown(), "AWS::IAM::Policy").items() if name.startswith("AirflowGran")
    )
    roles = [role["Ref"] for role in grants["Properties"]["Roles"]]
    assert any(role.startswith(RESERIALIZE) for role in roles)
    assert not any(role.startswith((CLEANUP, "AirflowAirflowTaskscheck")) for role in roles)
    own = only(grown(), "AWS::IAM::Policy", "AirflowAirflowTaskscheckTaskRole")["PolicyDocument"]["Statement"]
    assert "s3:PutObject" in str(own)


def test_maintenance_disables_the_schedules_of_airflow_tasks():
    """With maintenance=True, no scheduled command runs while an upgrade from Airflow 2 to 3 is in progress."""
    template = template_of(maintenance=True, maintenance_tasks=[DatabaseCleanup()])
    assert only(template, SCHEDULE, CLEANUP)["State"] == "DISABLED"


@pytest.mark.parametrize(
    "arguments", [{}, {"version": AirflowVersion.V2_11}, {"executor": EcsExecutor()}], ids=["3.3", "2.11", "ecs"]
)
def test_adding_a_database_cleanup_replaces_no_resource(arguments):
    """Adding or removing the cleanup replaces no resource; of the others, only security groups change."""
    before, after = template_of(**arguments), template_of(**arguments, maintenance_tasks=[DatabaseCleanup()])
    assert before["Resources"].keys() < after["Resources"].keys()
    assert replaced(before, after) == replaced(after, before) == set()
    changed = {
        resource["Type"]
        for name, resource in before["Resources"].items()
        if resource.get("Properties") != after["Resources"][name].get("Properties")
    }
    assert changed <= {"AWS::EC2::SecurityGroup"}
    assert faults(after) == []
