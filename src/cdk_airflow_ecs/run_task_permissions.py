"""What it takes to start the tasks of one task definition, and to follow them. Pure."""

from __future__ import annotations

from typing import Final

from cdk_airflow_ecs.plan import CLUSTER, Permission, Ref

# RunTask gives tasks no tags unless it is asked to (Amazon ECS API, RunTask, propagateTags).
PROPAGATE_TAGS: Final = {"propagate_tags": "TASK_DEFINITION"}


def may_read_log(component: str) -> Permission:
    """What shows the container logs of *component*, whose operator prints them."""
    return Permission(actions=("logs:GetLogEvents",), resources=(Ref(component, "log_streams_arn"),))


def may_find(cluster: str = CLUSTER) -> Permission:
    """Return what finds the tasks in *cluster* that it started before: ``reattach=True`` of the operator.

    The resource is that of AWS's service authorization reference, also for tasks on Fargate
    (awsdocs/amazon-ecs-developer-guide#211).
    """
    return Permission(actions=("ecs:ListTasks",), resources=(Ref(cluster, "instances_arn"),))


def may_follow(cluster: str = CLUSTER) -> Permission:
    """Return what waits for tasks of *cluster* to end."""
    return Permission(actions=("ecs:DescribeTasks",), resources=(Ref(cluster, "tasks_arn"),))


def may_run(component: str, cluster: str = CLUSTER) -> tuple[Permission, ...]:
    """Return what starts a task of *component* in *cluster*, any revision of it, follows it and stops it.

    Tasks have random names: nothing narrower than those of one cluster is known beforehand.
    """
    return (
        Permission(
            actions=("ecs:RunTask",),
            resources=(Ref(component, "family_arn"),),
            conditions={"ArnEquals": {"ecs:cluster": Ref(cluster, "arn")}},
        ),
        Permission(actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=(Ref(cluster, "tasks_arn"),)),
        # ECS checks it for tags that RunTask sets or propagates (Amazon ECS developer guide, "Grant permission to tag
        # resources on creation").
        Permission(
            actions=("ecs:TagResource",),
            resources=(Ref(cluster, "tasks_arn"),),
            conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
        ),
        Permission(
            actions=("iam:PassRole",),
            resources=(Ref(component, "task_role_arn"), Ref(component, "execution_role_arn")),
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
    )
