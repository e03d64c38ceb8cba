"""The components that run DAG authors' code, as one party to grant to and to connect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from aws_cdk import CustomResource
    from constructs import Construct, IConstruct

    from cdk_airflow_ecs.render_context import RenderedComponent


class DagAuthors:
    """The task roles and security groups of the components that run DAG authors' code.

    A component that is added later gets what was granted and connected before.
    """

    def __init__(self, scope: Construct) -> None:
        """Remember *scope*, below which the policy of the grants is made."""
        self._scope = scope
        self._policy: iam.Policy | None = None
        self._connections: ec2.Connections | None = None
        self._groups: list[ec2.ISecurityGroup] = []
        self.task_roles: dict[str, iam.IRole] = {}
        self._users: dict[str, IConstruct] = {}

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
            self._groups.append(part.peer)
            if self._connections is not None:
                self._connections.add_security_group(part.peer)
            self._users[part.component.name] = part.service or gate
            if self._policy is not None:
                self._attach(self._policy, part.component.name)

    def _attach(self, policy: iam.Policy, name: str) -> None:
        """Let the component *name* do what *policy* allows from its start until its last task has ended."""
        self.task_roles[name].attach_inline_policy(policy)
        self._users[name].node.add_dependency(policy)

    @property
    def connections(self) -> ec2.Connections:
        """The security groups of the components."""
        if self._connections is None:
            self._connections = ec2.Connections(security_groups=self._groups)
        return self._connections

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The principal of a policy that all the roles have; CDK refuses one without statements, so it is made here."""
        if self._policy is None:
            self._policy = iam.Policy(self._scope, "Grants")
            for name in self.task_roles:
                self._attach(self._policy, name)
        return self._policy.grant_principal
