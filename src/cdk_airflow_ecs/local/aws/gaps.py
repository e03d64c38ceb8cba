"""Patches for moto: dropped parameters and missing operations."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from moto.awslambda.models import LambdaFunction
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ecs.models import EC2ContainerServiceBackend, Task, TaskDefinition
from moto.efs.models import FileSystem
from moto.efs.responses import EFSResponse
from moto.elasticache.models import ReplicationGroup
from moto.elasticache.responses import ElastiCacheResponse
from moto.iam.access_control import PermissionResult
from moto.logs.exceptions import ResourceNotFoundException
from moto.moto_api import state_manager
from moto.s3.models import FakeBucket

from . import autoscaling, caches, lambdas, machines, metrics, protection, queues
from .account import Account

# Operations some of whose parameters moto drops, and the response member that has the resource.
KEPT = {
    "CreateCapacityProvider": "capacityProvider",
    "CreateService": "service",
    "CreateReplicationGroup": "ReplicationGroup",
    "CreateDBInstance": "DBInstance",
    "ModifyDBInstance": "DBInstance",
    "CreateDBCluster": "DBCluster",
    "ModifyDBCluster": "DBCluster",
    "ModifyReplicationGroup": "ReplicationGroup",
}


def keep_parameters() -> None:
    """Store every request parameter that the description of the resource should contain."""
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


def run_tasks(start: Callable[[Task, Any], None]) -> None:
    """Pass each new ECS task to the agent, which sets its status."""
    run_task = EC2ContainerServiceBackend.run_task
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})

    def run(self: Any, cluster_str: str, task_definition_str: str, *args: Any, **kwargs: Any) -> list[Task]:
        tasks = run_task(self, cluster_str, task_definition_str, *args, **kwargs)
        for task in tasks:
            start(task, self.describe_task_definition(task_definition_str))
        return tasks

    EC2ContainerServiceBackend.run_task = run
    # Reserve nothing on container instances, because Fargate has none.
    nothing = {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}
    EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(lambda _: dict(nothing))


def stop_tasks(stop: Callable[[Task, str], None]) -> None:
    """Make the agent stop tasks, and return ECS's errors for unknown tasks."""
    from moto.ecs.exceptions import InvalidParameterException
    from moto.ecs.responses import EC2ContainerServiceResponse

    def stop_task(self: Any, cluster_str: str, task_str: str, reason: str) -> Task:
        cluster = self._get_cluster(cluster_str)
        for task in self.tasks.get(cluster.name, {}).values():
            if task.id == task_str.rsplit("/", maxsplit=1)[-1]:
                stop(task, reason or "Task stopped by user")
                return task
        raise InvalidParameterException("The referenced task was not found.")

    def describe_tasks(self: Any) -> ActionResult:
        answer = describe(self)
        known = {task.id for task in answer.result["tasks"]}
        wanted = {text.split("/")[-1]: text for text in self._get_param("tasks", [])}
        answer.result["failures"] = [
            {"arn": text, "reason": "MISSING"} for identity, text in wanted.items() if identity not in known
        ]
        return answer

    describe = EC2ContainerServiceResponse.describe_tasks
    EC2ContainerServiceResponse.describe_tasks = describe_tasks
    EC2ContainerServiceBackend.stop_task = stop_task


def tasks_of_services() -> None:
    """Support `ListTasks` by service; as in ECS, list only running tasks by default."""
    original = EC2ContainerServiceBackend.list_tasks

    def list_tasks(  # noqa: PLR0917  # as it is called
        self: Any,
        cluster_str: str | None = None,
        container_instance: str | None = None,
        family: str | None = None,
        started_by: str | None = None,
        service_name: str | None = None,
        desired_status: str | None = None,
    ) -> list[Task]:
        wanted = desired_status or "RUNNING"
        found = original(self, cluster_str, container_instance, family, started_by, None, wanted)
        group = f"service:{(service_name or '').split('/')[-1]}"
        return [task for task in found if not service_name or task.group == group]

    EC2ContainerServiceBackend.list_tasks = list_tasks


def idempotent() -> None:
    """Make `RunTask` return the same tasks for the same client token."""
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


def cache_parameter_groups() -> None:
    """Add parameter groups to ElastiCache."""
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


def functions(account: Account) -> None:
    """Run functions in local processes instead of containers; `Event` invocations run in the background."""

    def invoke(self: LambdaFunction, body: Any, request_headers: Any, response_headers: Any) -> bytes:
        event = json.loads(body or "{}")
        account.answers.running += 1
        if request_headers.get("x-amz-invocation-type") == "Event":
            threading.Thread(target=execute, args=(self, event), daemon=True).start()
            return b""
        answer, failed, _ = execute(self, event)
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return answer.encode()

    def execute(function: LambdaFunction, event: dict) -> tuple[str, bool, str]:
        try:
            answer, failed, printed = lambdas.run(account, function, event, account.function_seconds)
        except Exception as error:  # printed to the function's log, as in AWS
            answer, failed, printed = str(error), True, str(error)
        finally:
            account.answers.running -= 1
        if "/aws/lambda/" in function.logs_group_name:  # other log groups are not created automatically
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


def final_cache_snapshots(account: Account) -> None:
    """Create the final snapshot of a deleted replication group."""
    delete = ElastiCacheResponse.delete_replication_group

    def delete_replication_group(self: Any) -> Any:
        name = self.params.get("FinalSnapshotIdentifier")
        if name:
            group = self.params["ReplicationGroupId"]
            account.client("elasticache").create_snapshot(ReplicationGroupId=group, SnapshotName=name)
        return delete(self)

    ElastiCacheResponse.delete_replication_group = delete_replication_group


def cache_replicas() -> None:
    """Create as many cache nodes as `NumCacheClusters`; moto supports only `ReplicasPerNodeGroup`."""
    place = ReplicationGroup._set_node_members_clusters_disabled

    def nodes(self: ReplicationGroup, **p: Any) -> None:
        place(self, **p | {"replicas_per_node_group": p["replicas_per_node_group"] or p["num_cache_clusters"] - 1})

    ReplicationGroup._set_node_members_clusters_disabled = nodes


def no_trail() -> None:
    """Return an empty list of CloudTrail events, which the CDK CLI requests after a failed deployment."""
    CloudTrailResponse.lookup_events = lambda _: json.dumps({"Events": []})


def rule_descriptions() -> None:
    """Return descriptions of rules between two security groups, which moto drops."""
    SecurityGroupRule.description = property(
        lambda self: self.ip_range.get("Description") or self.source_group.get("Description")
    )


def unguarded_buckets() -> None:
    """Do not enforce bucket policies: moto ignores conditions, so a TLS-only policy would deny all requests."""
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
    FakeBucket._log_permissions_enabled_policy = lambda *_, **__: True


def backups_of_file_systems() -> None:
    """Support changes of an EFS file system's backup policy."""

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


def what_may_be_missing() -> None:
    """Set attributes that moto lacks in VPCs without DNS host names and in task definitions without roles."""
    NetworkInterface.private_dns_name = ""
    TaskDefinition.task_role_arn = TaskDefinition.execution_role_arn = None


def fill(account: Account, start: Callable[[Task, Any], None], stop: Callable[[Task, str], None] | None = None) -> None:
    """Apply all patches; *start* receives each task to run, *stop* each task to stop with the reason."""
    machines.without_instances()
    run_tasks(start)
    functions(account)
    final_cache_snapshots(account)
    queues.where_tasks_are(account)
    if stop:
        stop_tasks(stop)
        tasks_of_services()
    for patch in (
        keep_parameters,
        idempotent,
        cache_parameter_groups,
        cache_replicas,
        no_trail,
        rule_descriptions,
        unguarded_buckets,
        backups_of_file_systems,
        what_may_be_missing,
        machines.without_groups,
        protection.protect_tasks,
        queues.one_at_a_time,
        caches.show_nodes,
        metrics.extract_metrics,
        metrics.answer_queries,
        autoscaling.describe_activities,
        autoscaling.track_targets,
    ):
        patch()
