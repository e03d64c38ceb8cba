"""Nested stacks."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from .account import Stack
from .cloudformation import parse
from .engine import Deployment
from .resources import Failed, Resource


class NestedStack(Resource):
    type = "AWS::CloudFormation::Stack"
    service = "cloudformation"

    def _text(self, p):
        bucket, key = p["TemplateURL"].split("://", 1)[1].split("/", 2)[1:]
        return self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def _apply(self, stack, verb, p):
        text = self._text(p)
        stack.become(f"{verb}_IN_PROGRESS")
        getattr(Deployment(stack), verb.lower())(parse(text), p.get("Parameters", {}))
        if stack.status != f"{verb}_COMPLETE":
            raise Failed(f"Embedded stack {stack.id} was not successfully {verb.lower()}d: {stack.reason}", stack.id)
        stack.text = text
        return stack.id

    def _stack(self, physical_id):
        return next(stack for stack in self.account.stacks if stack.id == physical_id)

    def create(self, unique, p):
        stack = Stack(self.account, unique)
        self.account.stacks.append(stack)
        return self._apply(stack, "CREATE", p)

    def update(self, physical_id, p, old):
        return self._apply(self._stack(physical_id), "UPDATE", p)

    def delete(self, physical_id, p):
        stack = self._stack(physical_id)
        stack.become("DELETE_IN_PROGRESS")
        Deployment(stack).delete()
        if stack.status != "DELETE_COMPLETE":
            raise Failed(stack.reason, physical_id)

    def attribute(self, physical_id, name):
        return self._stack(physical_id).outputs[name.removeprefix("Outputs.")]["OutputValue"]


class Metadata(Resource):
    """The CDK's metadata resource; it has no effect."""

    type = "AWS::CDK::Metadata"

    def create(self, unique, p):
        return unique

    def update(self, physical_id, p, old):
        return physical_id

    def delete(self, physical_id, p):
        """Do nothing."""
