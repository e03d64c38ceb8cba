"""The components that run DAG authors' code, as one party to grant to and to connect."""

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
    """The task roles and security groups of the components that run DAG authors' code.

    A component that is added later gets what was granted and connected before.
    """

    def __init__(self, scope: Construct) -> None:
        """Take *scope*, below which the policies of the grants are made."""
        self._scope = scope
        self._policies: list[iam.Policy | iam.ManagedPolicy] = []
        self._connections: ec2.Connections | None = None
        self._groups: list[ec2.ISecurityGroup] = []
        self.task_roles: dict[str, iam.IRole] = {}
        self._users: dict[str, IConstruct] = {}
        self._principal: RolesPrincipal | None = None

    def admit(self, added: Iterable[RenderedComponent], gate: CustomResource) -> None:
        """Take in those of *added* that run DAG authors' code.

        Args:
            added: the components that are new.
            gate: stops tasks that no service runs when the cluster is deleted; they may do everything until then.
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
        """Attach *policy* to the roles that there are, and remember it for those that are added later."""
        self._policies.append(policy)
        for name in self.task_roles:
            self._attach(policy, name)

    def _attach(self, policy: iam.Policy | iam.ManagedPolicy, name: str) -> None:
        """Let the component *name* do what *policy* allows from its start until its last task has ended."""
        policy.attach_to_role(self.task_roles[name])
        self._users[name].node.add_dependency(policy)

    @property
    def connections(self) -> ec2.Connections:
        """The security groups of the components."""
        if self._connections is None:
            self._connections = ec2.Connections(security_groups=self._groups)
        return self._connections

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """All the roles, as one principal."""
        if self._principal is None:
            self._principal = RolesPrincipal(self._scope, self.task_roles, self._attach_to_all)
        return self._principal
