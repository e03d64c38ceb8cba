"""Permissions to start, follow and protect ECS tasks. Pure."""

from __future__ import annotations

from typing import Final

from cdk_airflow_ecs.plan import CLUSTER, Permission, Ref

# The RunTask argument that copies tags of the task definition to the task; by default, the task has none (Amazon ECS
# API, RunTask, propagateTags).
PROPAGATE_TAGS: Final = {"propagate_tags": "TASK_DEFINITION"}
# The tag of ECS tasks that may protect each other from scale-in: the path of their component.
COMPONENT_TAG: Final = "airflow-component"


def may_read_log(component: str) -> Permission:
    """Return the permission to read the container logs of *component*."""
    return Permission(actions=("logs:GetLogEvents",), resources=(Ref(component, "log_streams_arn"),))


def may_find(cluster: str = CLUSTER) -> Permission:
    """Return the permission to list tasks in *cluster*, for the operator's ``reattach=True``.

    The resource is a container instance, also on Fargate (awsdocs/amazon-ecs-developer-guide#211).
    """
    return Permission(actions=("ecs:ListTasks",), resources=(Ref(cluster, "instances_arn"),))


def may_follow(cluster: str = CLUSTER) -> Permission:
    """Return the permission to wait for tasks in *cluster*."""
    return Permission(actions=("ecs:DescribeTasks",), resources=(Ref(cluster, "tasks_arn"),))


def may_protect(path: str) -> tuple[Permission, ...]:
    """Return the permissions to protect tasks of the component at *path* from scale-in, and to read all services.

    A role cannot be limited to its own task, and ListServices has no resource (Service Authorization Reference, "Amazon
    Elastic Container Service").
    """
    return (
        Permission(
            actions=("ecs:GetTaskProtection", "ecs:UpdateTaskProtection"),
            resources=(Ref(CLUSTER, "tasks_arn"),),
            conditions={"StringEquals": {f"aws:ResourceTag/{COMPONENT_TAG}": path}},
        ),
        Permission(actions=("ecs:DescribeServices",), resources=(Ref(CLUSTER, "services_arn"),)),
        Permission(
            actions=("ecs:ListServices",),
            resources=("*",),
            conditions={"ArnEquals": {"ecs:cluster": Ref(CLUSTER, "arn")}},
        ),
    )


def may_run(component: str, cluster: str = CLUSTER) -> tuple[Permission, ...]:
    """Return the permissions to start *component* in *cluster*, and to wait for and stop all tasks of that cluster."""
    run, *rest = may_start(component, cluster)
    follow = Permission(actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=(Ref(cluster, "tasks_arn"),))
    return (run, follow, *rest)


def may_start(component: str, cluster: str = CLUSTER) -> tuple[Permission, ...]:
    """Return the permissions to start *component* in *cluster*."""
    return (
        Permission(
            actions=("ecs:RunTask",),
            resources=(Ref(component, "family_arn"),),
            conditions={"ArnEquals": {"ecs:cluster": Ref(cluster, "arn")}},
        ),
        # ECS checks this permission for tags that RunTask sets or propagates (Amazon ECS developer guide, "Grant
        # permission to tag resources on creation").
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
