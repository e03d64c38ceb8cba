"""A principal for several roles."""

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

# IAM quotas: 10,240 characters for a role's inline policies, half of them for its own permissions; 6,144 for a managed
# policy, where CDK also stops at 6,000.
INLINE_CHARACTERS: Final = 4_500
MANAGED_CHARACTERS: Final = 6_000
# CDK's estimate for an ARN with tokens (aws-cdk-lib, aws-iam/lib/policy-statement.ts).
_ARN_CHARACTERS: Final = 150
# The number of roles that can be added after a grant through a resource policy. CDK requires a principal list of known
# length, so each later role needs a placeholder; CDK removes empty placeholders.
MOST_ADDED: Final = 20


@jsii.implements(IStableAnyProducer)
class _RoleArn:
    """A placeholder for the ARN of a role, by index. Without such a role it is None, which CDK removes from lists."""

    def __init__(self, roles: Mapping[str, iam.IRole], number: int) -> None:
        self._roles, self._number = roles, number

    def produce(self) -> str | None:
        """Return the role's ARN. CDK calls this method during synthesis."""
        arns = [self._roles[name].role_arn for name in sorted(self._roles)]
        return arns[self._number] if self._number < len(arns) else None


class RolesPrincipal(iam.PrincipalBase):
    """Several roles, including those added after a grant."""

    def __init__(
        self, scope: Construct, roles: Mapping[str, iam.IRole], attach: Callable[[iam.Policy | iam.ManagedPolicy], None]
    ) -> None:
        """Create the principal.

        Args:
            scope: the parent of the policies: Grants (inline), then Grants2, Grants3… (managed).
            roles: roles by name; more may be added.
            attach: attaches a policy to present and later roles.
        """
        super().__init__()
        self._scope, self._roles, self._attach = scope, roles, attach
        self._policies: list[iam.Policy | iam.ManagedPolicy] = []
        self._room = self._places = 0
        self._placed: dict[str, iam.Policy | iam.ManagedPolicy] = {}
        self._fragment: iam.PrincipalPolicyFragment | None = None

    @property
    def policy_fragment(self) -> iam.PrincipalPolicyFragment:
        """The roles' ARNs as principals for resource policies."""
        if self._fragment is None:
            self._places = len(self._roles) + MOST_ADDED
            arns = [Token.as_string(Lazy.any(_RoleArn(self._roles, number))) for number in range(self._places)]
            self._fragment = iam.PrincipalPolicyFragment({"AWS": arns})
        return self._fragment

    def check_places(self) -> None:
        """Raise ValueError if there are more roles than placeholders in resource policies."""
        if self._fragment is not None and len(self._roles) > self._places:
            raise ValueError(
                f"add_worker_pool supports at most {MOST_ADDED} pools after a grant that uses a resource policy. Pass"
                " the pools to CeleryExecutor(pools=[…])"
            )

    @property
    def principal_account(self) -> str | None:
        """The account of the stack."""
        return Stack.of(self._scope).account

    def dedupe_string(self) -> str | None:
        """Return the key by which CDK merges equal statements."""
        return f"Roles:{self._scope.node.addr}"

    def add_to_principal_policy(self, statement: iam.PolicyStatement) -> iam.AddToPrincipalPolicyResult:
        """Add *statement* to the last policy, or to a new one if that is full."""
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
    """Return the length of *node* as JSON, counting a string with a token as an ARN."""
    if isinstance(node, Mapping):
        return 1 + sum(len(str(key)) + 4 + _characters(value) for key, value in node.items())
    if isinstance(node, list):
        return 1 + sum(1 + _characters(value) for value in node)
    text = str(node)
    return 2 + (_ARN_CHARACTERS if is_token(text) else len(text))
