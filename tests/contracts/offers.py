"""The values, known only at deploy time, that each kind of store provides for plans."""

from cdk_airflow_ecs import (
    AuroraDatabase,
    CloudWatchLogs,
    ContainerDatabase,
    ExistingDatabase,
    ImageDags,
    LocalLogs,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    Web,
)
from cdk_airflow_ecs.brokers.existing_redis import ExistingRedisBroker
from cdk_airflow_ecs.brokers.redis_container import ContainerRedisBroker
from cdk_airflow_ecs.brokers.sqs_queues import SqsQueues
from cdk_airflow_ecs.efs import EfsFiles

# For each class of store: its name in plans, the attributes that a Ref and the fields that a SecretRef may have.
OFFERS = {
    RdsDatabase: ("Database", {"host", "port", "name"}, {"username", "password"}),
    AuroraDatabase: ("Database", {"host", "port", "name"}, {"username", "password"}),
    ContainerDatabase: ("Database", {"host", "port", "name"}, {"username", "password"}),
    EfsFiles: ("Database/Files", {"id", "arn", "access_point_id", "access_point_arn"}, set()),
    ExistingDatabase: ("Database", {"host", "port", "name"}, {"username", "password"}),
    RedisBroker: ("Broker", {"host", "port"}, {"token"}),
    ContainerRedisBroker: ("Broker", {"host", "port"}, {"token"}),
    ExistingRedisBroker: ("Broker", {"host", "port"}, {"token"}),
    SqsQueues: (
        "Broker",
        {"url/default", "arn/default", "name/default", "results_arn", "results_url", "dead_letters_name"},
        set(),
    ),
    S3Dags: ("Dags", {"bucket_name", "bucket_arn", "objects_arn", "uri"}, set()),
    ImageDags: ("Dags", set(), set()),
    CloudWatchLogs: ("Logs", {"uri", "streams_arn", "groups_arn"}, set()),
    S3Logs: ("Logs", {"uri", "bucket_arn", "objects_arn"}, set()),
    LocalLogs: ("Logs", set(), set()),
    Web: ("Web", {"url", "proxies"}, set()),
}
ALWAYS = {
    "AccessLogs": (set(), set()),
    "Stack": ({"region"}, set()),
    "Cluster": ({"arn", "name", "services_arn", "tasks_arn", "instances_arn"}, set()),
    "Network": ({"task_subnets", "task_subnet_list", "assign_public_ip", "assign_public_ip_word"}, set()),
    "ContainerLogs": ({"name", "arn"}, set()),
    "Fernet": ({"arn"}, {""}),
    "Session": ({"arn"}, {""}),
    "Admin": ({"arn"}, {""}),
}
SINCE_3 = {"Jwt": ({"arn"}, {""}), "ExecutionApi": ({"url"}, set())}
# The attributes of an executor task or ECS task that a Ref may have.
STARTED = {
    *("task_definition_arn", "family", "family_arn", "task_role_arn", "execution_role_arn", "security_group_id"),
    "log_streams_arn",
}
