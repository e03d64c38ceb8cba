"""The part of the CloudFormation API that the CDK CLI and boto3 use."""

import threading
import uuid
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import urlparse

import yaml
from moto.cloudformation.utils import yaml_tag_constructor
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from .account import Account, Stack, now
from .engine import Deployment
from .resources import Unsupported, handler

yaml.add_multi_constructor("", yaml_tag_constructor, Loader=yaml.SafeLoader)


class ValidationError(ServiceException):
    """The code of most of CloudFormation's errors."""

    code = "ValidationError"


class ChangeSetNotFound(ServiceException):
    """The change set does not exist."""

    code = "ChangeSetNotFoundException"


class AlreadyExists(ServiceException):
    """The stack exists already."""

    code = "AlreadyExistsException"


def parse(text: str) -> dict:
    """Parse a JSON or YAML template."""
    template = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if text else None
    if not isinstance(template, dict) or "Resources" not in template:
        raise ValidationError("Template format error: no resources")
    return template


class CloudFormationResponse(BaseResponse):
    """One method per API action; moto creates an instance for each request."""

    account: ClassVar[Account]

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    def _stack(self, deleted: bool = False) -> Stack:
        name = self.params["StackName"]
        stack = self.account.find(name, deleted)
        if stack is None:
            raise ValidationError(f"Stack with id {name} does not exist")
        return stack

    def _body(self, stack: Stack | None) -> str:
        if self.params.get("UsePreviousTemplate"):
            return stack.text if stack else ""
        if "TemplateBody" in self.params:
            return self.params["TemplateBody"]
        bucket, key = urlparse(self.params["TemplateURL"]).path.lstrip("/").split("/", 1)
        return self.account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def _parameters(self, stack: Stack | None) -> dict[str, str]:
        previous = stack.parameters if stack else {}
        return {
            item["ParameterKey"]: previous[item["ParameterKey"]]
            if item.get("UsePreviousValue")
            else item["ParameterValue"]
            for item in self.params.get("Parameters", [])
        }

    def _result(self, **members: Any) -> ActionResult:
        return ActionResult(members)

    # Change sets

    def create_change_set(self) -> ActionResult:
        """Create a change set; as in AWS, its status is FAILED if there are no changes."""
        p = self.params
        stack = self.account.find(p["StackName"])
        text = self._body(stack)
        template, parameters = parse(text), self._parameters(stack)
        if stack and stack.status.endswith(("IN_PROGRESS", "FAILED")) and stack.status != "REVIEW_IN_PROGRESS":
            raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        if stack is None:
            stack = Stack(self.account, p["StackName"])
            self.account.stacks.append(stack)
            stack.become("REVIEW_IN_PROGRESS", "User Initiated")
        change_set = {
            "ChangeSetId": self.account.arn("cloudformation", f"changeSet/{p['ChangeSetName']}/{uuid.uuid4()}"),
            "ChangeSetName": p["ChangeSetName"],
            "ChangeSetType": p.get("ChangeSetType", "UPDATE"),
            "Description": p.get("Description", ""),
            "StackId": stack.id,
            "StackName": stack.name,
            "CreationTime": now(),
            "ExecutionStatus": "AVAILABLE",
            "Status": "CREATE_COMPLETE",
            "Parameters": p.get("Parameters", []),
            "Capabilities": p.get("Capabilities", []),
            "Tags": p.get("Tags", []),
            "OnStackFailure": p.get("OnStackFailure"),
            "Changes": self._changes(stack, template),
            "Template": (text, template, parameters),
        }
        same = template == stack.template and parameters == stack.parameters and stack.tags == change_set["Tags"]
        if stack.status != "REVIEW_IN_PROGRESS" and same:
            reason = "The submitted information didn't contain changes. Submit different information."
            change_set |= {"Status": "FAILED", "ExecutionStatus": "UNAVAILABLE", "StatusReason": reason}
        stack.change_sets[p["ChangeSetName"]] = change_set
        return self._result(Id=change_set["ChangeSetId"], StackId=stack.id)

    @staticmethod
    def _changes(stack: Stack, template: dict) -> list[dict]:
        old, new = stack.template["Resources"], template["Resources"]
        actions = {name: "Remove" for name in old if name not in new}
        actions |= {name: "Add" for name in new if name not in old}
        actions |= {name: "Modify" for name in new if name in old and new[name] != old[name]}
        bodies = {**old, **new}
        return [
            {
                "Type": "Resource",
                "ResourceChange": {
                    "Action": action,
                    "LogicalResourceId": name,
                    "ResourceType": bodies[name]["Type"],
                    **({"Replacement": "Conditional", "Scope": ["Properties"]} if action == "Modify" else {}),
                },
            }
            for name, action in actions.items()
        ]

    def _change_set(self) -> tuple[Stack, dict]:
        wanted = self.params["ChangeSetName"]
        for stack in (stack for stack in self.account.stacks if stack.status != "DELETE_COMPLETE"):
            for change_set in stack.change_sets.values():
                names = (stack.name, stack.id)
                named = change_set["ChangeSetName"] == wanted and self.params.get("StackName") in names
                if named or change_set["ChangeSetId"] == wanted:
                    return stack, change_set
        raise ChangeSetNotFound(f"ChangeSet [{wanted}] does not exist")

    def describe_change_set(self) -> ActionResult:
        """Describe a change set."""
        _, change_set = self._change_set()
        return ActionResult({key: value for key, value in change_set.items() if key != "Template"})

    def delete_change_set(self) -> ActionResult:
        """Delete a change set, if it exists."""
        with suppress(ChangeSetNotFound):
            stack, change_set = self._change_set()
            del stack.change_sets[change_set["ChangeSetName"]]
        return self._result()

    def list_change_sets(self) -> ActionResult:
        """List a stack's change sets."""
        return self._result(Summaries=list(self._stack().change_sets.values()))

    def execute_change_set(self) -> ActionResult:
        """Start the deployment of a change set in the background."""
        stack, change_set = self._change_set()
        text, template, parameters = change_set["Template"]
        stack.keep_on_failure = bool(self.params.get("DisableRollback"))
        stack.tags = change_set["Tags"]
        self._start(stack, text, template, parameters)
        return self._result()

    @staticmethod
    def _start(stack: Stack, text: str, template: dict, parameters: dict[str, str]) -> None:
        creating = stack.status in ("REVIEW_IN_PROGRESS", "CREATE_FAILED")
        previous = stack.text
        stack.become("CREATE_IN_PROGRESS" if creating else "UPDATE_IN_PROGRESS", "User Initiated")
        stack.text = text
        deployment = Deployment(stack)

        def run() -> None:
            (deployment.create if creating else deployment.update)(template, parameters)
            if stack.status.startswith("UPDATE_ROLLBACK"):
                stack.text = previous

        threading.Thread(target=run, daemon=True).start()

    # Stacks

    def create_stack(self) -> ActionResult:
        """Create a stack without a change set."""
        if self.account.find(self.params["StackName"]):
            raise AlreadyExists(f"Stack [{self.params['StackName']}] already exists")
        text = self._body(None)
        stack = Stack(self.account, self.params["StackName"])
        template, parameters = parse(text), self._parameters(None)
        self.account.stacks.append(stack)
        self._start(stack, text, template, parameters)
        return self._result(StackId=stack.id)

    def update_stack(self) -> ActionResult:
        """Update a stack without a change set."""
        stack = self._stack()
        text = self._body(stack)
        template, parameters = parse(text), self._parameters(stack)
        if (template, parameters) == (stack.template, stack.parameters):
            raise ValidationError("No updates are to be performed.")
        self._start(stack, text, template, parameters)
        return self._result(StackId=stack.id)

    def delete_stack(self) -> ActionResult:
        """Delete a stack in the background."""
        stack = self.account.find(self.params["StackName"])
        if stack and stack.protected:
            raise ValidationError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack and stack.status != "DELETE_IN_PROGRESS":
            stack.become("DELETE_IN_PROGRESS", "User Initiated")
            threading.Thread(target=Deployment(stack).delete, daemon=True).start()
        return self._result()

    def update_termination_protection(self) -> ActionResult:
        """Set termination protection."""
        stack = self._stack()
        stack.protected = self.params["EnableTerminationProtection"]
        return self._result(StackId=stack.id)

    def describe_stacks(self) -> ActionResult:
        """Describe one stack, or all except deleted ones."""
        if "StackName" in self.params:
            stacks = [self._stack(deleted=self.params["StackName"].startswith("arn:"))]
        else:
            stacks = [stack for stack in self.account.stacks if stack.status != "DELETE_COMPLETE"]
        return self._result(Stacks=[self._description(stack) for stack in stacks])

    def list_stacks(self) -> ActionResult:
        """List stacks, including deleted ones."""
        wanted = self.params.get("StackStatusFilter")
        return self._result(
            StackSummaries=[
                self._description(item) for item in self.account.stacks if not wanted or item.status in wanted
            ]
        )

    @staticmethod
    def _description(stack: Stack) -> dict:
        return {
            "StackId": stack.id,
            "StackName": stack.name,
            "Description": stack.template.get("Description", ""),
            "CreationTime": stack.created,
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason,
            "EnableTerminationProtection": stack.protected,
            "DisableRollback": stack.keep_on_failure,
            "Tags": stack.tags,
            "Outputs": list(stack.outputs.values()),
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in stack.parameters.items()],
        }

    def describe_stack_events(self) -> ActionResult:
        """Return the stack's events, newest first."""
        return self._result(StackEvents=self._stack(deleted=True).events[::-1])

    def describe_events(self) -> ActionResult:
        """Return an empty list of operation events, because the emulator records none."""
        return self._result(OperationEvents=[])

    def _resources(self) -> list[dict]:
        stack = self._stack(deleted=True)
        return [
            {
                "StackId": stack.id,
                "StackName": stack.name,
                "LogicalResourceId": live.logical_id,
                "PhysicalResourceId": live.physical_id,
                "ResourceType": live.type,
                "ResourceStatus": live.status,
                "Timestamp": live.changed,
                "LastUpdatedTimestamp": live.changed,
            }
            for live in stack.resources.values()
        ]

    def list_stack_resources(self) -> ActionResult:
        """List the stack's resources."""
        return self._result(StackResourceSummaries=self._resources())

    def describe_stack_resources(self) -> ActionResult:
        """Describe the stack's resources."""
        return self._result(StackResources=self._resources())

    def describe_stack_resource(self) -> ActionResult:
        """Describe one resource."""
        for resource in self._resources():
            if resource["LogicalResourceId"] == self.params["LogicalResourceId"]:
                return self._result(StackResourceDetail=resource)
        raise ValidationError(f"Resource {self.params['LogicalResourceId']} does not exist")

    # Templates

    def get_template(self) -> ActionResult:
        """Return the original template."""
        return self._result(TemplateBody=self._stack().text, StagesAvailable=["Original", "Processed"])

    def get_template_summary(self) -> ActionResult:
        """Return the parameters and resource types of a template."""
        stack = self.account.find(self.params["StackName"]) if "StackName" in self.params else None
        template = parse(stack.text if stack else self._body(None))
        parameters = [
            {
                "ParameterKey": name,
                "ParameterType": spec.get("Type", "String"),
                **({"DefaultValue": str(spec["Default"])} if "Default" in spec else {}),
            }
            for name, spec in template.get("Parameters", {}).items()
        ]
        types = sorted({body["Type"] for body in template["Resources"].values()})
        return self._result(Parameters=parameters, ResourceTypes=types)

    def validate_template(self) -> ActionResult:
        """Check that all resource types of a template are supported."""
        for body in parse(self._body(None))["Resources"].values():
            try:
                handler(body["Type"], self.account)
            except Unsupported as error:
                raise ValidationError(str(error)) from error
        return self._result(Parameters=[])

    def list_exports(self) -> ActionResult:
        """List the exports of all stacks."""
        exports = [
            {"ExportingStackId": stack.id, "Name": output["ExportName"], "Value": output["OutputValue"]}
            for stack in self.account.stacks
            for output in stack.outputs.values()
            if "ExportName" in output
        ]
        return self._result(Exports=exports)


def responses(account: Account) -> type[CloudFormationResponse]:
    """Return the response class for an account, which moto creates without arguments."""
    return type("AccountResponse", (CloudFormationResponse,), {"account": account})
