"""SQS in the template: queues, the table of results, and the permissions on keys.

``PYTHONPATH=tests python tests/synth/test_sqs_template.py`` writes ``ids/queues.json`` again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, RedisBroker, SqsBroker, WorkerPool
from synthesis import add_cluster, flat, make_app, resources, strings, template_of

pytestmark = pytest.mark.xdist_group("synth")

FILE = Path(__file__).parent / "ids" / "queues.json"
QUEUE, POLICY, TABLE = "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::DynamoDB::Table"
# Per resource type, as in test_ids.py: properties whose change replaces the resource or its content.
KINDS = {
    QUEUE: ["QueueName", "FifoQueue"],
    TABLE: ["TableName", "KeySchema", "ImportSourceSpecification"],
}
IMAGE = AirflowImage.registry("ghcr.io/acme/airflow:1")
DEFAULT = WorkerPool("default")
HEAVY = WorkerPool("heavy", queues=["heavy.gpu", "default"])
ONE = {"executor": CeleryExecutor(broker=SqsBroker()), "image": IMAGE}
TWO = {"executor": CeleryExecutor(broker=SqsBroker(), pools=[DEFAULT, HEAVY]), "image": IMAGE}


def kept(template, *types):
    """Return the broker's resources of these types."""
    found = resources(template, *types).items()
    return {logical_id: resource for logical_id, resource in found if logical_id.startswith("AirflowBroker")}


def stateful(**arguments):
    """Return type and create-only properties of queues and results table, by logical id."""
    return {
        logical_id: {
            "Type": resource["Type"],
            **{
                name: resource["Properties"][name] for name in KINDS[resource["Type"]] if name in resource["Properties"]
            },
        }
        for logical_id, resource in kept(template_of(**arguments), *KINDS).items()
    }


def statements(template, role):
    """Return the statements of a component's task role."""
    (policy,) = (
        p
        for name, p in resources(template, "AWS::IAM::Policy").items()
        if name.startswith(f"Airflow{role}TaskRoleDefaultPolicy")
    )
    return flat(policy["Properties"]["PolicyDocument"]["Statement"])


def listed(actions):
    """Return the actions of a statement as a list, even if there is only one."""
    return [actions] if isinstance(actions, str) else actions


def test_queues_and_results_table_have_the_committed_logical_ids():
    """No argument of broker or worker pools changes these logical ids."""
    committed = json.loads(FILE.read_text())
    assert stateful(**ONE) == committed
    for executor in (
        CeleryExecutor(broker=SqsBroker(message_retention_days=14, max_receive_count=2), pools=[DEFAULT]),
        CeleryExecutor(broker=SqsBroker(), pools=[HEAVY, DEFAULT]),
    ):
        for version in (AirflowVersion.V2_8, AirflowVersion.V3_3):
            found = stateful(executor=executor, version=version, image=IMAGE)
            assert committed.items() <= found.items()


def test_sqs_queues_are_encrypted_and_retained():
    """Each queue has a dead letter queue."""
    template = template_of(**TWO)
    queues = kept(template, QUEUE)
    dead = queues.pop("AirflowBrokerDeadLetters7FBE79CC")
    assert len(queues) == 2
    key = "<AirflowSecretsKeyE3011957.Arn>"
    for queue in queues.values():
        assert flat(queue["Properties"]) == {
            "KmsMasterKeyId": key,
            "MessageRetentionPeriod": 345600,
            "RedrivePolicy": {
                "deadLetterTargetArn": "<AirflowBrokerDeadLetters7FBE79CC.Arn>",
                "maxReceiveCount": 5,
            },
            "VisibilityTimeout": 43200,
        }
    assert flat(dead["Properties"]) == {
        "KmsMasterKeyId": key,
        "MessageRetentionPeriod": 1209600,
        "VisibilityTimeout": 43200,
    }
    for resource in (*queues.values(), dead, *resources(template, TABLE).values()):
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert not [s for s in strings([list(queues.values()), dead]) if s == "QueueName"]


def test_sqs_queues_require_tls():
    """Each queue denies calls without TLS."""
    template = template_of(**TWO)
    refusals = {}
    for policy in kept(template, POLICY).values():
        (statement,) = flat(policy["Properties"]["PolicyDocument"]["Statement"])
        (queue,) = flat(policy["Properties"]["Queues"])
        refusals[queue.strip("<>")] = statement
    assert set(refusals) == set(kept(template, QUEUE))
    for queue, statement in refusals.items():
        assert statement == {
            "Action": "sqs:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Resource": f"<{queue}.Arn>",
        }


def test_the_results_table_has_the_schema_of_celery():
    """Celery's DynamoDB table is encrypted, and its items expire."""
    template = template_of(**TWO)
    ((name, table),) = resources(template, TABLE).items()
    assert flat(table["Properties"]) == {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "SSESpecification": {
            "KMSMasterKeyId": "<AirflowSecretsKeyE3011957.Arn>",
            "SSEEnabled": True,
            "SSEType": "KMS",
        },
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    }
    values = [
        flat(variable["Value"], {"AWS::Region": "eu-central-1"})
        for task in resources(template, "AWS::ECS::TaskDefinition").values()
        for container in task["Properties"]["ContainerDefinitions"]
        for variable in container["Environment"]
        if variable["Name"] == "AIRFLOW__CELERY__RESULT_BACKEND"
    ]
    assert values == [f"dynamodb://@eu-central-1/<{name}>?ttl_seconds=86400"] * 3


def test_roles_may_use_the_kms_key_only_through_sqs_and_dynamodb():
    """The condition names both services in the stack's region."""
    template = template_of(**TWO)
    expected = {
        "ComponentsScheduler": {
            "sqs": {"kms:GenerateDataKey", "kms:Decrypt"},
            "dynamodb": {"kms:Decrypt", "kms:DescribeKey"},
        },
        "Poolsheavy": {
            "sqs": {"kms:Decrypt"},
            "dynamodb": {
                *("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
                *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
            },
        },
    }
    for role, services in expected.items():
        found = [s for s in statements(template, role) if "kms:" in str(s["Action"])]
        assert {s["Resource"] for s in found} == {"<AirflowSecretsKeyE3011957.Arn>"}
        allowed = {s["Condition"]["StringLike"]["kms:ViaService"]: {*listed(s["Action"])} for s in found}
        assert allowed == {f"{name}.<AWS::Region>.amazonaws.com*": actions for name, actions in services.items()}


def test_encryption_key_encrypts_queues_and_results_table():
    """encryption_key= encrypts queues and results table."""
    arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
    template = template_of(**ONE, encryption_key=lambda stack: kms.Key.from_key_arn(stack, "Given", arn))
    assert {queue["Properties"]["KmsMasterKeyId"] for queue in kept(template, QUEUE).values()} == {arn}
    assert resources(template, "AWS::KMS::Key") == {}


def test_a_worker_pool_added_after_construction_adds_its_queues():
    """add_worker_pool also adds the permissions on these queues."""
    app = App()
    stack = Stack(app, "Data")
    cluster = add_cluster(stack, **ONE)
    cluster.add_worker_pool(HEAVY)
    assert app.synth().get_stack_by_name("Data").template == template_of(**TWO)


def test_removal_policy_destroy_deletes_queues_and_results_table():
    """With `RemovalPolicy.DESTROY` queues and table are deleted."""
    template = template_of(**ONE, removal_policy=RemovalPolicy.DESTROY)
    assert {r["DeletionPolicy"] for r in kept(template, *KINDS).values()} == {"Delete"}


def test_sqs_needs_no_cache_and_no_security_group():
    """SQS needs no cache and no security group."""
    template = template_of(**ONE)
    assert resources(template, "AWS::ElastiCache::ReplicationGroup") == {}
    redis = template_of(executor=CeleryExecutor(broker=RedisBroker()), image=IMAGE)
    more = len(resources(redis, "AWS::EC2::SecurityGroup")) - len(resources(template, "AWS::EC2::SecurityGroup"))
    assert more == 1


def test_a_registry_image_gives_a_warning_with_the_required_packages():
    """The warning also has the Python module that the image needs."""
    module = "print(executor.plan(ExecutorContext(version=…)).image_files['airflow_ecs_celery.py'])"
    for version, words in ((AirflowVersion.V3_3, "pycurl==7.45.7"), (AirflowVersion.V2_8, module)):
        app = make_app()
        stack = Stack(app, "Data")
        add_cluster(stack, version=version, **ONE)
        metadata = app.synth().get_stack_by_name("Data").messages
        assert [m for m in metadata if words in str(m.entry.data)], version


if __name__ == "__main__":
    FILE.write_text(json.dumps(stateful(**ONE), indent=2, sort_keys=True) + "\n")
