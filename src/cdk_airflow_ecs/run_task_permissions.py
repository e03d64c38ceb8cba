"""What it takes to start the tasks of one task definition, and to follow them. Pure."""

from __future__ import annotations

from typing import Final

from cdk_airflow_ecs.plan import Permission, Ref

# Tasks have random names: nothing narrower than those of one cluster is known beforehand.
_TASKS: Final = (Ref("Cluster", "tasks_arn"),)


def may_read_log(component: str) -> Permission:
    """What shows the container logs of *component*, whose operator prints them."""
    return Permission(actions=("logs:GetLogEvents",), resources=(Ref(component, "log_streams_arn"),))


def may_find() -> Permission:
    """What finds the tasks that it started before: ``reattach=True`` of the operator.

    The resource is that of AWS's service authorization reference, also for tasks on Fargate
    (awsdocs/amazon-ecs-developer-guide#211).
    """
    return Permission(actions=("ecs:ListTasks",), resources=(Ref("Cluster", "instances_arn"),))


def may_follow() -> Permission:
    """What waits for tasks to end."""
    return Permission(actions=("ecs:DescribeTasks",), resources=_TASKS)


def may_run(component: str) -> tuple[Permission, ...]:
    """What starts a task of *component*, any revision of it, follows it and stops it."""
    return (
        Permission(
            actions=("ecs:RunTask",),
            resources=(Ref(component, "family_arn"),),
            conditions={"ArnEquals": {"ecs:cluster": Ref("Cluster", "arn")}},
        ),
        Permission(actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=_TASKS),
        Permission(
            actions=("iam:PassRole",),
            resources=(Ref(component, "task_role_arn"), Ref(component, "execution_role_arn")),
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
    )
