"""Deploys, updates and destroys the quickstart in an emulated AWS account."""

import json
import re
import shutil
import time
import uuid

import pytest

from . import readback
from .server import INTERPRETER, REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

STACK = "Quickstart"
QUICKSTART = REPOSITORY / "examples" / "quickstart"
VARIANT = REPOSITORY / "tests/emulator/apps/cluster.py"
NEXT, BROKEN, SLOW = (f"example.com/airflow:{tag}" for tag in ("next", "broken", "slow"))
LAST_WORDS = "sqlalchemy.exc.ProgrammingError: column dag_run.nowhere does not exist"


class Account:
    """An emulated account in which the quickstart is deployed."""

    def __init__(self, emulator, folder):
        self.emulator = emulator
        self.folder = folder
        self.client = emulator.client
        self.before = len(emulator.ran)
        shutil.copytree(QUICKSTART, folder / "app", ignore=shutil.ignore_patterns("cdk.out"))

    def cdk(self, *arguments):
        """Run `cdk` on the unchanged quickstart."""
        done = self.emulator.cdk(*arguments, cwd=self.folder / "app")
        return done.returncode, done.stdout + done.stderr

    def deploy(self):
        """Deploy without asking for approval."""
        return self.cdk("deploy", "--require-approval", "never")

    @property
    def ran(self):
        """Return the migration tasks of this account."""
        return self.emulator.ran[self.before :]

    @property
    def status(self):
        """Return the stack's status."""
        return self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]

    def events(self, since=0):
        """Return the stack's events in order, as (logical id, type, status)."""
        events = self.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"][::-1]
        return [(e["LogicalResourceId"], e["ResourceType"], e["ResourceStatus"]) for e in events][since:]

    def running(self):
        """Return the task definition of each service."""
        ecs = self.client("ecs")
        (cluster,) = [arn for arn in ecs.list_clusters()["clusterArns"] if STACK in arn]
        services = ecs.describe_services(cluster=cluster, services=ecs.list_services(cluster=cluster)["serviceArns"])
        return {item["serviceName"]: item["taskDefinition"] for item in services["services"]}

    def images(self):
        """Return the images of the running services."""
        ecs = self.client("ecs")
        found = [
            ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
            for arn in self.running().values()
        ]
        return {container["image"] for containers in found for container in containers}


@pytest.fixture(scope="module")
def account(emulator, tmp_path_factory):
    """Deploy the quickstart."""
    account = Account(emulator, tmp_path_factory.mktemp("account"))
    code, output = account.deploy()
    assert code == 0, output
    return account


@pytest.fixture(scope="module")
def declared(account):
    """Return the deployed stack."""
    return readback.Stack(account.client, STACK)


def snapshots(account):
    """Return the names of the database's manual snapshots."""
    found = account.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return [each["DBSnapshotIdentifier"] for each in found]


def position(events, kind, status):
    """Return the index of the first event with this type and status."""
    return next(number for number, event in enumerate(events) if event[1:] == (kind, status))


def test_the_api_describes_every_resource_as_declared(account, declared):
    """The API describes each declared property of each resource."""
    assert account.status == "CREATE_COMPLETE"
    assert set(declared.ids) == set(declared.bodies)
    assert [line for name in declared.bodies for line in declared.differences(name)] == []


def test_the_comparison_of_template_and_api_finds_changed_values(declared):
    """The comparison finds a changed value, list entry or order, and changed values of Redis nodes."""

    def found(kind, change):
        name = next(name for name, body in declared.bodies.items() if body["Type"] == kind)
        body = declared.bodies[name]
        changed = json.loads(json.dumps(body))
        change(changed["Properties"])
        declared.bodies[name] = changed
        try:
            return "\n".join(declared.differences(name))
        finally:
            declared.bodies[name] = body

    def task_definition(properties):
        properties["Cpu"] = "1"
        container = properties["ContainerDefinitions"][0]
        container["Command"] = container["Command"][::-1]
        container["Secrets"] = container["Secrets"][1:]

    lines = found("AWS::ECS::TaskDefinition", task_definition)
    assert "Cpu" in lines
    assert "ContainerDefinitions[0]" in lines
    nodes = {"CacheParameterGroupName": "default.valkey8", "EngineVersion": "7.2", "SecurityGroupIds": ["sg-1"]}
    lines = found("AWS::ElastiCache::ReplicationGroup", lambda properties: properties.update(nodes))
    assert [name for name in nodes if name not in lines] == []


def test_migration_runs_once_before_any_service(account):
    """The migration runs once, after the resources that it uses and before any service."""
    events = account.events()
    (ran,) = account.ran
    assert ran["startedBy"].startswith("cdk-airflow-ecs-migration/")
    done = position(events, "Custom::AirflowMigration", "CREATE_COMPLETE")
    assert done < position(events, "AWS::ECS::Service", "CREATE_IN_PROGRESS")
    begun = position(events, "Custom::AirflowMigration", "CREATE_IN_PROGRESS")
    finished = {name for name, _, status in events[:begun] if status == "CREATE_COMPLETE"}
    kinds = readback.Stack(account.client, STACK).bodies
    for name in kinds:
        needed = (
            kinds[name]["Type"] in ("AWS::RDS::DBInstance", "AWS::SecretsManager::SecretTargetAttachment")
            # The migration does not need the dead-letter queue's policy, which only denies requests without TLS.
            or (re.search(r"Gate.*(Policy|Role|HandOver)", name) and kinds[name]["Type"] != "AWS::SQS::QueuePolicy")
            or re.search(r"DatabaseSecurityGroupfrom.*Gate", name)
            or re.search(r"PrivateSubnet\dDefaultRoute", name)
        )
        assert not needed or name in finished, f"the migration ran before {name}"


def test_migration_runs_in_the_private_subnets(account, declared):
    """The migration task runs in the private subnets, with one security group and no public address."""
    network = account.ran[0]["networkConfiguration"]["awsvpcConfiguration"]
    tags = [declared.described(name, {})["Tags"] for name in declared.ids if declared.ids[name] in network["subnets"]]
    assert all({"Key": "aws-cdk:subnet-type", "Value": "Private"} in item for item in tags)
    assert network["assignPublicIp"] == "DISABLED"
    assert len(network["securityGroups"]) == 1


def test_deploying_the_same_app_again_changes_nothing(account):
    """A second deployment of the same app has no changes."""
    code, output = account.deploy()
    assert code == 0, output
    assert "(no changes)" in output
    assert len(account.ran) == 1


def test_a_new_image_migrates_before_services_are_updated(account):
    """A new image runs its migration before the services are updated."""
    before = len(account.events())
    account.emulator.deploy(VARIANT, TEST_IMAGE=NEXT)
    assert [item["containers"][0]["image"] for item in account.ran[1:]] == [NEXT]
    events = account.events(before)
    done = position(events, "Custom::AirflowMigration", "UPDATE_COMPLETE")
    assert done < position(events, "AWS::ECS::Service", "UPDATE_IN_PROGRESS")
    assert account.images() == {NEXT}


def test_a_failed_migration_rolls_back_and_prints_its_log(account):
    """A failed migration rolls back, prints its log and updates no service."""
    services, before, ran = account.running(), len(account.events()), len(account.ran)
    account.emulator.plan({"image": BROKEN, "exit": 1, "logs": ["Performing upgrade", LAST_WORDS]})
    output = account.emulator.deploy(VARIANT, succeeds=False, TEST_IMAGE=BROKEN)
    assert "exit code 1" in output
    assert LAST_WORDS in output
    assert account.status == "UPDATE_ROLLBACK_COMPLETE"
    assert account.running() == services
    assert not [event for event in account.events(before) if event[1] == "AWS::ECS::Service"]
    assert [item["containers"][0]["image"] for item in account.ran[ran:]] == [BROKEN, NEXT]


def test_a_migration_may_take_longer_than_a_lambda_invocation(account):
    """After a Lambda timeout, the next invocation waits for the same migration task.

    The gate takes a snapshot of the database first, because the release is newer.
    """
    ran = len(account.ran)
    account.emulator.plan({"image": SLOW, "seconds": 15})
    account.emulator.hurry(91)
    try:
        account.emulator.deploy(VARIANT, TEST_IMAGE=SLOW, TEST_VERSION="3.4.0")
    finally:
        account.emulator.hurry(None)
    assert [item["containers"][0]["image"] for item in account.ran[ran:]] == [SLOW]
    stack = readback.Stack(account.client, STACK)
    (group,) = [stack.ids[name] for name in stack.ids if "GateHandlerLogs" in name]
    streams = account.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert len(streams) > len(account.ran) + 1
    assert len([name for name in snapshots(account) if "-before-3-4-" in name]) == 1


def test_destroy_keeps_retained_resources(account):
    """Deletion protection prevents `cdk destroy`; without it, only retained resources and final snapshots remain."""
    stack, ran = readback.Stack(account.client, STACK), len(account.ran)
    policies = {name: body.get("DeletionPolicy", "Delete") for name, body in stack.bodies.items()}
    (database,) = [name for name, body in stack.bodies.items() if body["Type"] == "AWS::RDS::DBInstance"]
    code, output = account.cdk("destroy", "--force")
    assert code != 0
    assert "deletion protection" in output
    assert stack.exists(database)

    rds = account.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier=stack.ids[database], DeletionProtection=False)
    code, output = account.cdk("destroy", "--force")
    assert code == 0, output
    retained = {name for name, policy in policies.items() if policy == "Retain"}
    assert {name for name in retained if not stack.exists(name)} == set()
    left = {name for name in set(stack.bodies) - retained if stack.exists(name)}
    assert left == {name for name in left if stack.bodies[name]["Type"].startswith("Custom::")}
    assert rds.describe_db_snapshots()["DBSnapshots"][-1]["DBInstanceIdentifier"] == stack.ids[database]
    assert account.client("elasticache").describe_snapshots()["Snapshots"]
    assert len(account.ran) == ran


def test_a_failed_first_migration_removes_everything(account):
    """A failed first deployment creates no service; with `RemovalPolicy.DESTROY`, only non-empty buckets remain."""
    account.emulator.plan({"image": BROKEN, "exit": 1, "logs": [LAST_WORDS]})
    output = account.emulator.deploy(VARIANT, succeeds=False, TEST_IMAGE=BROKEN, TEST_DESTROY="1")
    assert LAST_WORDS in output
    assert account.status.startswith("ROLLBACK_")
    left = account.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    assert {item["ResourceType"] for item in left} <= {"AWS::S3::Bucket"}
    assert not [event for event in account.events() if event[1] == "AWS::ECS::Service"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"Type": "AWS::Chatbot::SlackChannelConfiguration"}, "AWS::Chatbot::SlackChannelConfiguration"),
        ({"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16", "Colour": "red"}}, "Colour"),
        ({"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::GetAtt": ["Other", "Smell"]}}}, "Smell"),
        ({"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Cidr": ["10.0.0.0/16"]}}}, "Fn::Cidr"),
        ({"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "{{resolve:ssm-secure:x}}"}}, "ssm-secure"),
    ],
    ids=["type", "property", "attribute", "function", "dynamic reference"],
)
def test_the_emulator_names_an_unsupported_template_part(emulator, body, named):
    """The emulator fails a deployment with an unknown type, property or function, and names it."""
    cloudformation = emulator.client("cloudformation")
    resources = {"Other": {"Type": "AWS::Logs::LogGroup"}, "One": {**body, "DependsOn": "Other"}}
    template = json.dumps({"Resources": resources})
    stack = cloudformation.create_stack(StackName=f"Unknown{uuid.uuid4().hex}", TemplateBody=template)["StackId"]
    while cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] != "ROLLBACK_COMPLETE":
        time.sleep(0.1)
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    assert [event for event in events if named in event.get("ResourceStatusReason", "")]
