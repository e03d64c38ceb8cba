"""SQS as Celery broker, with results in DynamoDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.brokers.base import Broker, BrokerPlan
from cdk_airflow_ecs.brokers.sqs_queues import VISIBILITY_TIMEOUT_SECONDS, SqsQueues
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Json, Option, Permission, Ref, Value

if TYPE_CHECKING:
    from constructs import Construct

# SQS's maximum. An idle worker then polls each of its queues three times a minute.
_WAIT_SECONDS: Final = 20
# Release lines of Airflow whose first images contain kombu 5.5, which fails with SQS (celery/kombu#2257,
# celery/kombu#2258).
_BROKEN_KOMBU: Final = ("2.11", "3.0", "3.1")
_WORKING_KOMBU: Final = ("celery==5.6.2", "kombu==5.6.2")
# kombu needs pycurl for SQS, and official images lack it. 7.45.7 has wheels for all their Pythons and architectures.
_PYCURL: Final = "pycurl==7.45.7"
# The first Airflow releases whose celery provider reads extra_celery_config (since provider 3.10.0; Airflow 2.10.4 has
# 3.8.5) and mappings in transport options (since 3.24.0; Airflow 3.3.1 has 3.23.1). Source:
# docs/guides/operate/upgrade.md.
_READS_EXTRA_CONFIG: Final = AirflowVersion.of("2.10.5")
_READS_MAPPINGS: Final = AirflowVersion.of("3.3.2")
# In older releases, kombu receives transport options as text, so this module in the image parses them.
_MODULE: Final = "airflow_ecs_celery"
_MODULE_TEXT: Final = '''"""Celery settings in addition to Airflow's own configuration."""

import json

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

_OPTIONS = DEFAULT_CELERY_CONFIG["broker_transport_options"]
_QUEUES = json.loads(_OPTIONS["predefined_queues"])
CELERY_CONFIG = {**DEFAULT_CELERY_CONFIG, "broker_transport_options": {**_OPTIONS, "predefined_queues": _QUEUES}}
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsBroker(Broker):
    """SQS with one queue per Celery queue, and a DynamoDB table for results.

    Tasks must not run longer than 12 hours, SQS's longest visibility timeout, or they start again. Images need pycurl:
    the official image is built with it at deploy time, which requires Docker or another builder; your own image must
    contain it. Queues and table are encrypted with the cluster's key.

    Args:
        message_retention_days: time after which SQS deletes a waiting command, 1 to 14 days. Airflow fails queued tasks
            much earlier.
        max_receive_count: deliveries after which a command moves to the dead-letter queue. After a worker dies, the
            next delivery is 12 hours later.

    Raises:
        ValueError: if a number is out of range, or commands expire before *max_receive_count* deliveries.

    Examples:
        >>> SqsBroker(max_receive_count=2).message_retention_days
        4
    """

    message_retention_days: int = 4
    max_receive_count: int = 5

    def __post_init__(self) -> None:
        # SQS's limits (AWS SQS API Reference, SetQueueAttributes).
        validation.integer("SqsBroker message_retention_days", self.message_retention_days, 1, 14)
        validation.integer("SqsBroker max_receive_count", self.max_receive_count, 1, 1000)
        returns = self.max_receive_count * VISIBILITY_TIMEOUT_SECONDS
        if returns >= self.message_retention_days * 86400:
            raise IncompatibleArgumentsError(
                f"SqsBroker max_receive_count={self.max_receive_count} is too large for"
                f" message_retention_days={self.message_retention_days}: deliveries are up to 12 hours apart, so SQS"
                " deletes a command before it becomes a dead letter. Use max_receive_count="
                f"{self.message_retention_days * 2 - 1} or less"
            )

    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """See :meth:`Broker.plan`."""
        urls = {_queue_name(queue): {"url": Ref("Broker", f"url/{queue}")} for queue in queues}
        if len(urls) < len(queues):
            raise IncompatibleArgumentsError(
                f"SqsBroker: kombu replaces dots in queue names with hyphens, so two of {', '.join(sorted(queues))}"
                " have the same name. Rename one of them"
            )
        forms, files = _transport(version, urls)
        return BrokerPlan(
            port=None,
            config={
                ("celery", "broker_url"): "sqs://",
                ("celery", "result_backend"): Ref("Broker", "results_url"),
                # Remote control would create a queue per worker (apache/airflow#25443).
                ("celery", "worker_enable_remote_control"): "False",
                **forms,
            },
            permissions=(
                Permission(
                    actions=("sqs:SendMessage", "sqs:GetQueueAttributes"),
                    resources=tuple(Ref("Broker", f"arn/{queue}") for queue in queues),
                ),
                _results(),
            ),
            consumers={queue: (_receive(queue), _results("dynamodb:PutItem")) for queue in queues},
            requirements=(*(_WORKING_KOMBU if version.line in _BROKEN_KOMBU else ()), _PYCURL),
            image_files=files,
        )

    def store(self, queues: Sequence[str]) -> SqsQueues:
        """See :meth:`Broker.store`."""
        return SqsQueues(
            names=tuple(queues),
            message_retention_days=self.message_retention_days,
            max_receive_count=self.max_receive_count,
        )

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        return self.store(()).bind(scope, context)


def _queue_name(queue: str) -> str:
    if queue.endswith(".fifo"):
        raise IncompatibleArgumentsError(
            f"SqsBroker: the queue {queue!r} is not supported, because SQS requires names with .fifo to be FIFO queues."
            " Use a name without .fifo"
        )
    return queue.replace(".", "-")


def _transport(
    version: AirflowVersion, urls: Mapping[str, Mapping[str, Ref]]
) -> tuple[dict[Option, Value], dict[str, str]]:
    """Return options with the list of queues, so that kombu creates none, and Python modules that parse the list."""
    plain: dict[str, str | int | Ref] = {
        "region": Ref("Stack", "region"),
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "wait_time_seconds": _WAIT_SECONDS,
    }
    section = "celery_broker_transport_options"
    options: dict[Option, Value] = {
        (section, name): value if isinstance(value, Ref) else str(value) for name, value in plain.items()
    }
    if _READS_EXTRA_CONFIG <= version < _READS_MAPPINGS:
        # extra_celery_config replaces the section, which is set only so that other values of the user raise an error.
        together = {"broker_transport_options": {**plain, "predefined_queues": urls}}
        return {**options, ("celery", "extra_celery_config"): Json(together)}, {}
    options[section, "predefined_queues"] = Json(urls)
    if version >= _READS_MAPPINGS:
        return options, {}
    options["celery", "celery_config_options"] = f"{_MODULE}.CELERY_CONFIG"
    return options, {f"{_MODULE}.py": _MODULE_TEXT}


def _receive(queue: str) -> Permission:
    actions = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
    return Permission(actions=tuple(f"sqs:{action}" for action in actions), resources=(Ref("Broker", f"arn/{queue}"),))


def _results(*more: str) -> Permission:
    """Allow both Describe calls: without them, Celery would try to create the table or to enable its TTL."""
    look = ("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive")
    return Permission(actions=(*look, "dynamodb:GetItem", *more), resources=(Ref("Broker", "results_arn"),))
