"""What moto's API drops, kept; what it has not, added. Each entry is a short patch of its backend."""

import json
import threading
import time
from contextlib import suppress
from typing import Any, ClassVar

from moto.awslambda.models import LambdaFunction
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores, utcnow
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ecs.models import EC2ContainerServiceBackend, Task
from moto.efs.models import FileSystem
from moto.efs.responses import EFSResponse
from moto.elasticache.models import ReplicationGroup
from moto.elasticache.responses import ElastiCacheResponse
from moto.iam.access_control import PermissionResult
from moto.logs.exceptions import ResourceNotFoundException
from moto.moto_api import state_manager
from moto.s3.models import FakeBucket

from . import lambdas
from .resources import client

# Operations whose parameters moto drops in part, and the member of the answer that stands for the resource.
KEPT = {
    "CreateService": "service",
    "CreateReplicationGroup": "ReplicationGroup",
    "CreateDBInstance": "DBInstance",
    "ModifyDBInstance": "DBInstance",
    "CreateDBCluster": "DBCluster",
    "ModifyDBCluster": "DBCluster",
    "ModifyReplicationGroup": "ReplicationGroup",
}


def keep_parameters() -> None:
    """Makes created objects remember each parameter that their description has a member for."""
    execute = ActionResult.execute_result

    def execute_result(self: ActionResult, context: Any) -> Any:
        operation = context.operation_model
        member = KEPT.get(operation.name)
        if member:
            resource = self.result[member]
            for name, value in context.response.params.items():
                if name in operation.output_shape.members[member].members:
                    attribute = camelcase_to_underscores(name)
                    if getattr(resource, attribute, None) in (None, "", [], {}):
                        setattr(resource, attribute, value)
        return execute(self, context)

    ActionResult.execute_result = execute_result


class Agent:
    """The ECS agent: decides what becomes of a task that was run.

    A plan is `{"image", "exit", "logs", "reason", "seconds"}`: a task whose first container runs `image` writes `logs`
    to that container's stream and stops with `exit` after `seconds`. A task without a plan ends well.
    """

    plans: ClassVar[list[dict]] = []
    ran: ClassVar[list[dict]] = []

    @classmethod
    def start(cls, task: Task, definition: Any) -> None:
        """Follows a task to its end, in the background."""
        overrides = {item["name"]: item for item in (task.overrides or {}).get("containerOverrides", [])}
        task.containers = [
            {
                "containerArn": f"{task.task_arn}/{item['name']}",
                "taskArn": task.task_arn,
                "name": item["name"],
                "image": item["image"],
                "lastStatus": "PENDING",
                "networkInterfaces": [],
            }
            for item in definition.container_definitions
        ]
        image = definition.container_definitions[0]["image"]
        plan = next((plan for plan in cls.plans if plan["image"] == image), {})
        record = {
            "taskArn": task.task_arn,
            "taskDefinition": definition.arn,
            "containers": [
                item | {"command": overrides.get(item["name"], {}).get("command", item.get("command"))}
                for item in definition.container_definitions
            ],
            "networkConfiguration": task.network_configuration,
            "startedBy": task.started_by,
        }
        cls.ran.append(record)
        threading.Thread(target=cls._live, args=(task, definition, plan), daemon=True).start()

    @classmethod
    def _live(cls, task: Task, definition: Any, plan: dict) -> None:
        time.sleep(0.1)
        for container in task.containers:
            container["lastStatus"] = "RUNNING"
        cls._write(task, definition.container_definitions[0], plan.get("logs", []))
        time.sleep(plan.get("seconds", 0.3))
        for container in task.containers:
            container["lastStatus"] = "STOPPED"
            code = plan.get("exit", 0)
            if code is not None:  # a container that never started has none
                container["exitCode"] = code
        task.stop_code = "EssentialContainerExited"
        task.stopped_reason = plan.get("reason", "Essential container in task exited")
        task.stopped_at = utcnow()
        task.desired_status = task.status = "STOPPED"

    @staticmethod
    def _write(task: Task, container: dict, lines: list[str]) -> None:
        options = container.get("logConfiguration", {}).get("options", {})
        group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
        if not lines or not group:
            return
        logs, stream = client("logs"), f"{prefix}/{container['name']}/{task.id}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        stamp = int(time.time() * 1000)
        events = [{"timestamp": stamp, "message": line} for line in lines]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def run_tasks() -> None:
    """Gives tasks to the agent, all their containers too, and honours the client token of `RunTask`."""
    run_task = EC2ContainerServiceBackend.run_task
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})

    def run(self: Any, cluster_str: str, task_definition_str: str, *args: Any, **kwargs: Any) -> list[Task]:
        tasks = run_task(self, cluster_str, task_definition_str, *args, **kwargs)
        for task in tasks:
            Agent.start(task, self.describe_task_definition(task_definition_str))
        return tasks

    EC2ContainerServiceBackend.run_task = run
    # On Fargate the task, not its containers, says what it needs.
    nothing = {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}
    EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(lambda _: dict(nothing))


def idempotent() -> None:
    """Honours the client token of `RunTask`: the same token finds the same tasks."""
    from moto.ecs.responses import EC2ContainerServiceResponse

    original, answers = EC2ContainerServiceResponse.run_task, {}

    def run_task(self: Any) -> Any:
        token = self._get_param("clientToken")
        if token is None or token not in answers:
            answer = original(self)
            answers[token] = answer
            return answer
        return answers[token]

    EC2ContainerServiceResponse.run_task = run_task


def steady_services() -> None:
    """A service runs as many tasks as it wants at once, as one that reached its steady state."""
    for name in ("create_service", "update_service"):
        original = getattr(EC2ContainerServiceBackend, name)

        def change(self: Any, *args: Any, original: Any = original, **kwargs: Any) -> Any:
            service = original(self, *args, **kwargs)
            service.running_count, service.pending_count = service.desired_count, 0
            for deployment in service.deployments:
                deployment |= {
                    "taskDefinition": service.task_definition,
                    "desiredCount": service.desired_count,
                    "runningCount": service.desired_count,
                    "pendingCount": 0,
                    "rolloutState": "COMPLETED",
                }
            return service

        setattr(EC2ContainerServiceBackend, name, change)


def cache_parameter_groups() -> None:
    """Adds ElastiCache's parameter groups."""
    groups: dict[str, dict] = {}
    values: dict[str, dict[str, str]] = {}

    def create(self: Any) -> ActionResult:
        p = self.params
        arn = f"arn:aws:elasticache:{self.region}:{self.current_account}:parametergroup:{p['CacheParameterGroupName']}"
        group = {key: p[key] for key in ("CacheParameterGroupName", "CacheParameterGroupFamily", "Description")}
        groups[p["CacheParameterGroupName"]] = group | {"ARN": arn, "IsGlobal": False}
        values[p["CacheParameterGroupName"]] = {}
        return ActionResult({"CacheParameterGroup": groups[p["CacheParameterGroupName"]]})

    def modify(self: Any) -> ActionResult:
        name = self.params["CacheParameterGroupName"]
        given = self.params.get("ParameterNameValues", [])
        values[name] |= {item["ParameterName"]: item["ParameterValue"] for item in given}
        return ActionResult({"CacheParameterGroupName": name})

    def describe(self: Any) -> ActionResult:
        wanted = self.params.get("CacheParameterGroupName")
        found = [group for name, group in groups.items() if wanted in (None, name)]
        return ActionResult({"CacheParameterGroups": found})

    def describe_values(self: Any) -> ActionResult:
        given = values[self.params["CacheParameterGroupName"]]
        return ActionResult(
            {"Parameters": [{"ParameterName": key, "ParameterValue": value} for key, value in given.items()]}
        )

    def delete(self: Any) -> ActionResult:
        del groups[self.params["CacheParameterGroupName"]]
        return ActionResult({})

    def delete_subnet_group(self: Any) -> ActionResult:
        backend = self.elasticache_backend
        del backend.cache_subnet_groups[self.params["CacheSubnetGroupName"]]
        return ActionResult({})

    ElastiCacheResponse.create_cache_parameter_group = create
    ElastiCacheResponse.modify_cache_parameter_group = modify
    ElastiCacheResponse.describe_cache_parameter_groups = describe
    ElastiCacheResponse.describe_cache_parameters = describe_values
    ElastiCacheResponse.delete_cache_parameter_group = delete
    ElastiCacheResponse.delete_cache_subnet_group = delete_subnet_group


class Clock:
    """How many seconds a function has, if a test wants it to be in a hurry."""

    seconds: ClassVar[float | None] = None


def functions() -> None:
    """Runs functions in processes of ours instead of containers; `Event` invocations in the background."""

    def invoke(self: LambdaFunction, body: Any, request_headers: Any, response_headers: Any) -> bytes:
        event = json.loads(body or "{}")
        lambdas.Answers.running += 1
        if request_headers.get("x-amz-invocation-type") == "Event":
            threading.Thread(target=execute, args=(self, event), daemon=True).start()
            return b""
        answer, failed, _ = execute(self, event)
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return answer.encode()

    def execute(function: LambdaFunction, event: dict) -> tuple[str, bool, str]:
        try:
            answer, failed, printed = lambdas.run(function, event, Clock.seconds)
        except Exception as error:  # said in the function's log, as AWS does
            answer, failed, printed = str(error), True, str(error)
        finally:
            lambdas.Answers.running -= 1
        if "/aws/lambda/" in function.logs_group_name:  # a group of its own is never made again
            function.logs_backend.ensure_log_group(function.logs_group_name)
        with suppress(ResourceNotFoundException):
            function.save_logs(printed)
        return answer, failed, printed

    original, configuration = LambdaFunction.__init__, LambdaFunction.get_configuration
    reconfigure, kept = LambdaFunction.update_configuration, ("LoggingConfig", "DeadLetterConfig")

    def init(self: LambdaFunction, *, spec: dict, **kwargs: Any) -> None:
        original(self, spec=spec, **kwargs)
        self.kept = {"LoggingConfig": {"LogFormat": "Text", "LogGroup": self.logs_group_name}}
        keep(self, spec)

    def keep(self: LambdaFunction, spec: dict) -> None:
        self.kept |= {name: spec[name] for name in kept if name in spec}
        self.logs_group_name = self.kept["LoggingConfig"]["LogGroup"]

    def update_configuration(self: LambdaFunction, config_updates: dict) -> dict:
        keep(self, config_updates)
        return reconfigure(self, config_updates)

    LambdaFunction.get_configuration = lambda self, on_create=False: {**configuration(self, on_create), **self.kept}
    LambdaFunction.update_configuration = update_configuration
    LambdaFunction.__init__ = init
    LambdaFunction.invoke = invoke


def final_cache_snapshots() -> None:
    """Takes the last snapshot of a replication group that goes."""
    delete = ElastiCacheResponse.delete_replication_group

    def delete_replication_group(self: Any) -> Any:
        name = self.params.get("FinalSnapshotIdentifier")
        if name:
            group = self.params["ReplicationGroupId"]
            client("elasticache").create_snapshot(ReplicationGroupId=group, SnapshotName=name)
        return delete(self)

    ElastiCacheResponse.delete_replication_group = delete_replication_group


def cache_replicas() -> None:
    """Makes as many nodes as `NumCacheClusters` says: moto counts replicas by their other name only."""
    place = ReplicationGroup._set_node_members_clusters_disabled

    def nodes(self: ReplicationGroup, **p: Any) -> None:
        place(self, **p | {"replicas_per_node_group": p["replicas_per_node_group"] or p["num_cache_clusters"] - 1})

    ReplicationGroup._set_node_members_clusters_disabled = nodes


def no_trail() -> None:
    """CloudTrail knows no events: the command line asks it when a deployment failed."""
    CloudTrailResponse.lookup_events = lambda _: json.dumps({"Events": []})


def rule_descriptions() -> None:
    """Shows the description of a rule between two groups too."""
    SecurityGroupRule.description = property(
        lambda self: self.ip_range.get("Description") or self.source_group.get("Description")
    )


def unguarded_buckets() -> None:
    """Keeps bucket policies without enforcing them: moto ignores their conditions, so `SecureTransport` denies all.

    Logging to a bucket without ACLs is accepted before its policy allows it, as S3 does.
    """
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
    FakeBucket._log_permissions_enabled_policy = lambda *_, **__: True


def backups_of_file_systems() -> None:
    """Lets a file system's backups be turned on and off after it was made."""

    def put_backup_policy(self: EFSResponse) -> tuple[str, dict]:
        policy = self._get_param("BackupPolicy")
        system = self.efs_backend.file_systems_by_id[self._get_param("FileSystemId")]
        system.kept_backup_policy = policy
        return json.dumps({"BackupPolicy": policy}), {"Content-Type": "application/json"}

    own = FileSystem.backup_policy
    FileSystem.backup_policy = property(lambda self: self.__dict__.get("kept_backup_policy") or own.fget(self))
    shown = FileSystem.info_json
    hidden = ("KeptBackupPolicy",)
    FileSystem.info_json = lambda self: {key: value for key, value in shown(self).items() if key not in hidden}
    EFSResponse.put_backup_policy = put_backup_policy


def fill() -> None:
    """Applies every patch."""
    for patch in (
        keep_parameters,
        run_tasks,
        idempotent,
        steady_services,
        cache_parameter_groups,
        final_cache_snapshots,
        cache_replicas,
        functions,
        no_trail,
        rule_descriptions,
        unguarded_buckets,
        backups_of_file_systems,
    ):
        patch()
