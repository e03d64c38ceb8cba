"""Celery over SQS, with results in DynamoDB: no broker to run, and nothing to pay for while nothing happens."""

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

# As long as SQS waits for a message: an idle worker asks three times a minute for each queue that it serves.
_WAIT_SECONDS: Final = 20
# kombu 5.5 cannot speak to SQS (celery/kombu#2257, celery/kombu#2258). The first images of these lines have it.
_BROKEN_KOMBU: Final = ("2.11", "3.0", "3.1")
_WORKING_KOMBU: Final = ("celery==5.6.2", "kombu==5.6.2")
# The official images lack it, and workers need it. 7.45.7 has wheels for all their Pythons and both processors.
_PYCURL: Final = "pycurl==7.45.7"
# The first official images whose celery provider reads extra_celery_config (3.10.0, 2.10.4 has 3.8.5), and a mapping
# among the transport options (3.24.0, 3.3.1 has 3.23.1). Sources of the numbers:
# docs/guides/operate/upgrade.md.
_READS_EXTRA_CONFIG: Final = AirflowVersion.of("2.10.5")
_READS_MAPPINGS: Final = AirflowVersion.of("3.3.2")
# Before, every option reaches kombu as text; a module of ours reads it.
_MODULE: Final = "airflow_ecs_celery"
_MODULE_TEXT: Final = '''"""What Celery is told beyond Airflow's own configuration."""

import json

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

_OPTIONS = DEFAULT_CELERY_CONFIG["broker_transport_options"]
_QUEUES = json.loads(_OPTIONS["predefined_queues"])
CELERY_CONFIG = {**DEFAULT_CELERY_CONFIG, "broker_transport_options": {**_OPTIONS, "predefined_queues": _QUEUES}}
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsBroker(Broker):
    """SQS queues, one for each Celery queue, and a DynamoDB table for results.

    No task may run longer than 12 hours, the longest that SQS hides a message: it would be started again. Images need
    pycurl: the official one is built with it when CDK deploys, which takes Docker there or another builder; an image of
    yours must hold it. Queues are encrypted with the cluster's key, and so is the table.

    Args:
        message_retention_days: how long a command may wait for a worker before SQS deletes it, 1 to 14 days; 4 is SQS's
            own default. Airflow gives up on a queued task much earlier.
        max_receive_count: how often a command is given to a worker before it goes to the queue of dead letters. After
            a worker that died SQS waits 12 hours, so 5 are two days and a half.

    Raises:
        ValueError: if a number is out of range, or a command would be deleted before it was given out so often.

    Examples:
        >>> SqsBroker(max_receive_count=2).message_retention_days
        4
    """

    message_retention_days: int = 4
    max_receive_count: int = 5

    def __post_init__(self) -> None:
        # AWS SQS API Reference, SetQueueAttributes.
        validation.integer("SqsBroker message_retention_days", self.message_retention_days, 1, 14)
        validation.integer("SqsBroker max_receive_count", self.max_receive_count, 1, 1000)
        returns = self.max_receive_count * VISIBILITY_TIMEOUT_SECONDS
        if returns >= self.message_retention_days * 86400:
            raise IncompatibleArgumentsError(
                f"SqsBroker max_receive_count={self.max_receive_count}: a command that comes back every 12 hours is"
                f" deleted after message_retention_days={self.message_retention_days} and never becomes a dead letter;"
                f" take at most {self.message_retention_days * 2 - 1}"
            )

    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """See :meth:`Broker.plan`."""
        urls = {_queue_name(queue): {"url": Ref("Broker", f"url/{queue}")} for queue in queues}
        if len(urls) < len(queues):
            raise IncompatibleArgumentsError(
                f"SqsBroker: kombu takes the dots of queue names for hyphens, so two of {', '.join(sorted(queues))} are"
                " one; rename one of them"
            )
        forms, files = _transport(version, urls)
        return BrokerPlan(
            port=None,
            config={
                ("celery", "broker_url"): "sqs://",
                ("celery", "result_backend"): Ref("Broker", "results_url"),
                # It would make a queue of its own for each worker (apache/airflow#25443).
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
    """What kombu looks a queue up by."""
    if queue.endswith(".fifo"):
        raise IncompatibleArgumentsError(
            f"SqsBroker: the queue {queue!r} would have to be a FIFO queue by its name, which only slows Celery down;"
            " let the name end otherwise"
        )
    return queue.replace(".", "-")


def _transport(
    version: AirflowVersion, urls: Mapping[str, Mapping[str, Ref]]
) -> tuple[dict[Option, Value], dict[str, str]]:
    """Tell kombu the queues, so that it lists and makes none: options, and modules for the image."""
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
        # It takes the place of the whole section, which then only keeps others from saying otherwise there.
        together = {"broker_transport_options": {**plain, "predefined_queues": urls}}
        return {**options, ("celery", "extra_celery_config"): Json(together)}, {}
    options[section, "predefined_queues"] = Json(urls)
    if version >= _READS_MAPPINGS:
        return options, {}
    options["celery", "celery_config_options"] = f"{_MODULE}.CELERY_CONFIG"
    return options, {f"{_MODULE}.py": _MODULE_TEXT}


def _receive(queue: str) -> Permission:
    """Take commands from *queue*, and give back those whose connection was lost before they were acknowledged."""
    actions = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
    return Permission(actions=tuple(f"sqs:{action}" for action in actions), resources=(Ref("Broker", f"arn/{queue}"),))


def _results(*more: str) -> Permission:
    """Read results. Celery makes the table, or turns on its expiry, only if these two do not find them."""
    look = ("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive")
    return Permission(actions=(*look, "dynamodb:GetItem", *more), resources=(Ref("Broker", "results_arn"),))
