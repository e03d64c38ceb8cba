"""The target of grants and connections for components that run DAG authors' code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2

from cdk_airflow_ecs.grants import RolesPrincipal

if TYPE_CHECKING:
    from aws_cdk import CustomResource
    from aws_cdk import aws_iam as iam
    from constructs import Construct, IConstruct

    from cdk_airflow_ecs.render_context import RenderedComponent


class DagAuthors:
    """Task roles and security groups of components that run DAG authors' code.

    Grants and connections also apply to components that are added later.
    """

    def __init__(self, scope: Construct) -> None:
        self._scope = scope
        self._policies: list[iam.Policy | iam.ManagedPolicy] = []
        self._connections: ec2.Connections | None = None
        self._groups: list[ec2.ISecurityGroup] = []
        self.task_roles: dict[str, iam.IRole] = {}
        self._users: dict[str, IConstruct] = {}
        self._principal: RolesPrincipal | None = None

    def admit(self, added: Iterable[RenderedComponent], gate: CustomResource) -> None:
        """Add the components among *added* that run DAG authors' code.

        *gate* is the custom resource that, when the stack is deleted, stops tasks that belong to no service.
        """
        for part in added:
            if not part.component.runs_user_code:
                continue
            self.task_roles[part.component.name] = part.task_role
            if self._principal is not None:
                self._principal.check_places()
            self._groups.append(part.peer)
            if self._connections is not None:
                self._connections.add_security_group(part.peer)
            self._users[part.component.name] = part.service or gate
            for policy in self._policies:
                self._attach(policy, part.component.name)

    def _attach_to_all(self, policy: iam.Policy | iam.ManagedPolicy) -> None:
        self._policies.append(policy)
        for name in self.task_roles:
            self._attach(policy, name)

    def _attach(self, policy: iam.Policy | iam.ManagedPolicy, name: str) -> None:
        """Attach *policy* so that it exists from the component's first task to its last."""
        policy.attach_to_role(self.task_roles[name])
        self._users[name].node.add_dependency(policy)

    @property
    def connections(self) -> ec2.Connections:
        """The security groups as one connectable object."""
        if self._connections is None:
            self._connections = ec2.Connections(security_groups=self._groups)
        return self._connections

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The task roles as one principal."""
        if self._principal is None:
            self._principal = RolesPrincipal(self._scope, self.task_roles, self._attach_to_all)
        return self._principal
