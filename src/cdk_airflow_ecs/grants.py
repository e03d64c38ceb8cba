"""The principal that stands for several roles: policies for its roles, and their ARNs for policies of resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import jsii
from aws_cdk import IStableAnyProducer, Lazy, Stack, Token
from aws_cdk import aws_iam as iam

from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from constructs import Construct

# IAM and AWS STS quotas: 10,240 characters for all inline policies of a role together, 6,144 for a managed policy.
# The other half of the first is for the role's own permissions; CDK splits its roles' policies at 6,000 as well.
INLINE_CHARACTERS: Final = 4_500
MANAGED_CHARACTERS: Final = 6_000
# What CDK takes for an ARN that is known only at deploy (aws-cdk-lib, aws-iam/lib/policy-statement.ts).
_ARN_CHARACTERS: Final = 150
# How many roles may be added after the policy of a resource has named the first ones. CDK takes no list of unknown
# length there next to other principals, so there is a place for each, and CDK drops the empty ones.
MOST_ADDED: Final = 20


@jsii.implements(IStableAnyProducer)
class _RoleArn:
    """The ARN of the role with one number, and nothing if there are fewer roles: CDK drops that from lists."""

    def __init__(self, roles: Mapping[str, iam.IRole], number: int) -> None:
        self._roles, self._number = roles, number

    def produce(self) -> str | None:
        """Return the ARN when the template is written, after the last role was added."""
        arns = [self._roles[name].role_arn for name in sorted(self._roles)]
        return arns[self._number] if self._number < len(arns) else None


class RolesPrincipal(iam.PrincipalBase):
    """All of several roles, also those that are added after a grant."""

    def __init__(
        self, scope: Construct, roles: Mapping[str, iam.IRole], attach: Callable[[iam.Policy | iam.ManagedPolicy], None]
    ) -> None:
        """Stand for the roles in *roles*.

        Args:
            scope: the parent of the policies: Grants, which is inline, then Grants2 and so on, which are managed.
            roles: the roles by name; it may grow.
            attach: gives a new policy to each role, now and later.
        """
        super().__init__()
        self._scope, self._roles, self._attach = scope, roles, attach
        self._policies: list[iam.Policy | iam.ManagedPolicy] = []
        self._room = self._places = 0
        self._placed: dict[str, iam.Policy | iam.ManagedPolicy] = {}
        self._fragment: iam.PrincipalPolicyFragment | None = None

    @property
    def policy_fragment(self) -> iam.PrincipalPolicyFragment:
        """The principal in the policy of a resource, such as the key of a secret."""
        if self._fragment is None:
            self._places = len(self._roles) + MOST_ADDED
            arns = [Token.as_string(Lazy.any(_RoleArn(self._roles, number))) for number in range(self._places)]
            self._fragment = iam.PrincipalPolicyFragment({"AWS": arns})
        return self._fragment

    def check_places(self) -> None:
        """Raise ValueError if the policy of a resource names the roles, and some role has no place in it."""
        if self._fragment is not None and len(self._roles) > self._places:
            raise ValueError(
                f"add_worker_pool: more than {MOST_ADDED} pools after a grant that the policy of a resource holds are"
                " not supported. Pass the pools to CeleryExecutor(pools=[…])"
            )

    @property
    def principal_account(self) -> str | None:
        """The account of the roles."""
        return Stack.of(self._scope).account

    def dedupe_string(self) -> str | None:
        """What tells this principal from others, for CDK, which merges statements."""
        return f"Roles:{self._scope.node.addr}"

    def add_to_principal_policy(self, statement: iam.PolicyStatement) -> iam.AddToPrincipalPolicyResult:
        """Add *statement* to the last policy that has room, or to a new one."""
        text = json.dumps(statement.to_statement_json(), default=str, separators=(",", ":"), sort_keys=True)
        policy = self._placed.get(text)
        if policy is None:
            size = _characters(json.loads(text)) + 1
            if not self._policies or size > self._room:
                self._open()
            self._room -= size
            policy = self._placed[text] = self._policies[-1]
            policy.add_statements(statement)
        return iam.AddToPrincipalPolicyResult(statement_added=True, policy_dependable=policy)

    def _open(self) -> None:
        number = len(self._policies) + 1
        if number == 1:
            self._policies.append(iam.Policy(self._scope, "Grants"))
            self._room = INLINE_CHARACTERS
        else:
            self._policies.append(iam.ManagedPolicy(self._scope, f"Grants{number}"))
            self._room = MANAGED_CHARACTERS
        self._attach(self._policies[-1])


def _characters(node: object) -> int:
    """Return how many characters *node* has as JSON; a string with a token has those of an ARN."""
    if isinstance(node, Mapping):
        return 1 + sum(len(str(key)) + 4 + _characters(value) for key, value in node.items())
    if isinstance(node, list):
        return 1 + sum(1 + _characters(value) for value in node)
    text = str(node)
    return 2 + (_ARN_CHARACTERS if is_token(text) else len(text))
