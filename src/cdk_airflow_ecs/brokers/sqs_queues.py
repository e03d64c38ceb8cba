"""Queues and table of :class:`SqsBroker`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding, MetricSource
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.nag import acknowledge

# SQS's maximum (AWS SQS API Reference, SetQueueAttributes). kombu uses the queue's value.
# CDK's default of 30 s would start longer tasks twice.
VISIBILITY_TIMEOUT_SECONDS: Final = 43200
# SQS's maximum. The age of a dead letter counts from when its command was first sent.
_DEAD_LETTER_DAYS: Final = 14
# Celery's default for result_expires; no task runs longer.
_RESULT_SECONDS: Final = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsQueues(ClusterResource):
    """The SQS queues, the dead-letter queue and the table of a :class:`SqsBroker` with the queues *names*."""

    names: tuple[str, ...]
    message_retention_days: int
    max_receive_count: int

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        dead_letters = _queue(scope, "DeadLetters", context, retention_days=_DEAD_LETTER_DAYS)
        redrive = sqs.DeadLetterQueue(max_receive_count=self.max_receive_count, queue=dead_letters)
        folder = cast("Construct", scope.node.try_find_child("Queues") or Construct(scope, "Queues"))
        queues = {
            name: _queue(folder, name, context, retention_days=self.message_retention_days, redrive=redrive)
            for name in self.names
        }
        table = _table(scope, context)
        table_name = table.table_name
        attributes = {
            "results_arn": table.table_arn,
            "results_url": f"dynamodb://@{Stack.of(scope).region}/{table_name}?ttl_seconds={_RESULT_SECONDS}",
            "dead_letters_name": dead_letters.queue_name,
        }
        for name, queue in queues.items():
            attributes[f"url/{name}"] = queue.queue_url
            attributes[f"arn/{name}"] = queue.queue_arn
            attributes[f"name/{name}"] = queue.queue_name
        metrics = [
            *(
                MetricSource(
                    "AWS/SQS",
                    {"QueueName": attributes[f"name/{name}"]},
                    limits={"ApproximateAgeOfOldestMessage": VISIBILITY_TIMEOUT_SECONDS},
                    label=name,
                )
                for name in queues
            ),
            MetricSource(
                "AWS/SQS",
                {"QueueName": attributes["dead_letters_name"]},
                limits={"ApproximateNumberOfMessagesVisible": 0},
                label="dead letters",
            ),
            MetricSource("AWS/DynamoDB", {"TableName": table_name}),
        ]
        return Binding(attributes=attributes, key=context.key, metrics=metrics)


def _queue(
    scope: Construct,
    construct_id: str,
    context: BindContext,
    *,
    retention_days: int,
    redrive: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    found = scope.node.try_find_child(construct_id)
    if found is not None:
        return cast("sqs.Queue", found)
    return sqs.Queue(
        scope,
        construct_id,
        visibility_timeout=Duration.seconds(VISIBILITY_TIMEOUT_SECONDS),
        retention_period=Duration.days(retention_days),
        dead_letter_queue=redrive,
        # Celery commands of Airflow 3 contain a secret, the task's API token.
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=context.key,
        enforce_ssl=True,
        removal_policy=context.removal_policy or RemovalPolicy.RETAIN,
    )


def _table(scope: Construct, context: BindContext) -> dynamodb.Table:
    found = scope.node.try_find_child("Results")
    if found is not None:
        return cast("dynamodb.Table", found)
    table = dynamodb.Table(
        scope,
        "Results",
        # The attribute that Celery uses (celery/backends/dynamodb.py).
        partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
        time_to_live_attribute="ttl",
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=context.key,
        removal_policy=context.removal_policy or RemovalPolicy.RETAIN,
    )
    acknowledge(table, "AwsSolutions-DDB3", "Results are needed only for seconds")
    return table
