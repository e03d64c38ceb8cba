"""Alarms that send e-mails, a dashboard, and an own alarm on one of the cluster's metrics."""

from aws_cdk import App, Stack
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    Monitoring,
    RedisBroker,
    Service,
    WorkerPool,
)

app = App()
stack = Stack(app, "Watched")
topic = sns.Topic(
    stack,
    "OnCall",
    master_key=kms.Key(stack, "OnCallKey", enable_key_rotation=True),
    enforce_ssl=True,
)
topic.add_subscription(subscriptions.EmailSubscription("oncall@example.com"))

airflow = AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.V3_3,
    executor=CeleryExecutor(broker=RedisBroker(replicas=1), pools=[WorkerPool("default", count=2)]),
    api_server=Service(count=2),
    monitoring=Monitoring(alarm_topic=topic, dashboard=True),
)
# A pool that is added later gets its alarm, too.
airflow.add_worker_pool(WorkerPool("heavy", cpu=4096, memory_mib=16384))

# An own alarm: an earlier warning than the cluster's.
connections = airflow.metric_database_connections().create_alarm(
    stack, "Connections", threshold=100, evaluation_periods=15
)
connections.add_alarm_action(actions.SnsAction(topic))

app.synth()
