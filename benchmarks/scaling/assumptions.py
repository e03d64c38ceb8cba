"""Times of AWS and Kubernetes that the simulation uses, in seconds, with their sources.

Every policy gets the same times, also where its own platform is documented to be slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# "Amazon ECS metric data is automatically sent to CloudWatch in 1-minute periods":
# docs.aws.amazon.com/AmazonECS/latest/developerguide/cloudwatch-metrics.html. SQS does the same:
# docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
METRIC_PERIOD: Final = 60
# Alarms with a period of a minute or more are evaluated every minute:
# docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
ALARM_PACE: Final = 60
# A target tracking policy scales out on 3 of 3 minutes above the target and in on 15 of 15 below 90 % of it
# (github.com/aws/containers-roadmap/issues/1208, a reader's description of the two alarms that AWS creates).
TRACKING_OUT: Final = 3
TRACKING_IN: Final = 15
TRACKING_LOW: Final = 0.9
# Fargate: "stopTimeout" is at most 120 s, and 30 s by default:
# docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
ECS_GRACE: Final = 120
# Fargate bills at least a minute: aws.amazon.com/fargate/pricing
LEAST_BILLED: Final = 60
# Kubernetes: the autoscaler's interval, and how long it waits before it removes pods; it adds at most 4 pods or 100 %
# in 15 s: kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale
HPA_PACE: Final = 15
HPA_STABILIZATION: Final = 300
# Airflow's Helm chart, values.yaml: workers.keda.pollingInterval and cooldownPeriod, and
# workers.terminationGracePeriodSeconds.
KEDA_POLL: Final = 5
KEDA_COOLDOWN: Final = 30
KEDA_GRACE: Final = 600
# MWAA removes workers 2 to 5 minutes after the tasks have decreased (an earlier edition of
# docs.aws.amazon.com/mwaa/latest/userguide/mwaa-autoscaling.html); the least is used.
MWAA_DELAY: Final = 120


@dataclass(frozen=True, slots=True)
class Platform:
    """Times that AWS does not document; the page shows how much they matter.

    Args:
        start: from the request for a worker until it runs tasks. AWS lists the phases without times
            (docs.aws.amazon.com/AmazonECS/latest/bestpracticesguide/task.html).
        metric_delay: from the end of a metric's period until an alarm can read it.
        stop_delay: from the time at which the desired count and the protection allow it until a worker stops.
    """

    start: float = 60
    metric_delay: float = 60
    stop_delay: float = 5
