"""Tables of the documentation, compared with plans and templates."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from aws_cdk import RemovalPolicy
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from costs import HOURS, cost_rows, cost_table
from pages import ROOT, page, table

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    CloudWatchLogs,
    ContainerDatabase,
    DatabaseCleanup,
    EcsExecutor,
    ExecutorPlan,
    ExistingDatabase,
    ImageDags,
    LocalExecutor,
    LocalLogs,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    SeveralExecutors,
    SqsBroker,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.airflow import NO_DAGS
from cdk_airflow_ecs.commands.airflow_task import AirflowTask
from cdk_airflow_ecs.plan import ClusterPlan, Component
from cdk_airflow_ecs.testing import plan_of
from synthesis import example, resources, strings, template_of

EXECUTORS = {"celery": CeleryExecutor(), "local": LocalExecutor(), "ecs": EcsExecutor()}


def plan(version: str, executor: str) -> ClusterPlan:
    """Return the plan of this release and executor."""
    return plan_of(version=AirflowVersion.of(version), executor=EXECUTORS[executor])


def with_commands(version: str, executor: str) -> ClusterPlan:
    """Return the plan of a cluster with an Airflow task and a database cleanup."""
    task = AirflowTask(name="reserialize", command=["airflow", "dags", "reserialize"])
    return plan_of(
        version=AirflowVersion.of(version),
        executor=EXECUTORS[executor],
        airflow_tasks=(task,),
        maintenance_tasks=[DatabaseCleanup()],
    )


EDGES = {
    "Celery": ("3.3", "celery"),
    "LocalExecutor": ("3.3", "local"),
    "ECS executor": ("3.3", "ecs"),
    "Airflow 2, Celery": ("2.11", "celery"),
}


@pytest.mark.parametrize("column", EDGES)
def test_the_network_page_has_the_edges_of_the_plan(column: str):
    """concepts/network.md lists each permitted connection, by release and executor."""
    head, *rows = table(page("concepts/network.md"), "<!-- edges -->")
    cells = [dict(zip(head, row, strict=True)) for row in rows]
    listed = [(row["From"], row["To"], int(row["Port"]), row["Purpose"]) for row in cells if row[column] == "yes"]
    edges = [
        (e.source.replace("Webserver", "ApiServer"), e.target.replace("Webserver", "ApiServer"), e.port, e.why)
        for e in plan(*EDGES[column]).edges
    ]
    assert sorted(listed) == sorted(edges)
    assert {row[column] for row in cells} <= {"yes", "no"}


SQS_IMAGES = table(page("guides/tasks/celery-on-sqs.md"), "## Use your own image")[1:]


@pytest.mark.parametrize(("releases", "packages", "module"), SQS_IMAGES, ids=[row[0] for row in SQS_IMAGES])
def test_the_sqs_page_has_the_packages_of_each_release(releases: str, packages: str, module: str):
    """celery-on-sqs.md has the packages and modules of each release."""
    for release in releases.split(" to "):
        broker = SqsBroker().plan(AirflowVersion.of(release), ["default"])
        assert ", ".join(f"`{package}`" for package in broker.requirements) == packages
        assert ("yes" if "airflow_ecs_celery.py" in broker.image_files else "no") == module


COLUMNS = {
    "API server": ("celery", "ApiServer", "api-server"),
    "execution API": ("celery", "ApiServer", "execution-api"),
    "webserver": ("celery", "Webserver", "webserver"),
    "scheduler": ("celery", "Scheduler", "scheduler"),
    "scheduler with LocalExecutor": ("local", "Scheduler", "scheduler"),
    "DAG processor": ("celery", "DagProcessor", "dag-processor"),
    "triggerer": ("celery", "Triggerer", "triggerer"),
    "Celery worker": ("celery", "Pools/default", "worker"),
    "task of the ECS executor": ("ecs", "Tasks/executor", "task"),
    "migration": ("celery", "Migration", "migrate"),
    "task of `add_airflow_task`": ("celery", "AirflowTasks/reserialize", "airflow"),
    "`DatabaseCleanup`": ("celery", "AirflowTasks/database-cleanup", "airflow"),
}
VARIABLES = {
    "metadata database": ("METADATA_PASSWORD",),
    "Fernet key": ("FERNET_SEED",),
    "JWT secret": ("AIRFLOW__API_AUTH__JWT_SECRET",),
    "session secret": ("AIRFLOW__API__SECRET_KEY", "AIRFLOW__WEBSERVER__SECRET_KEY"),
    "broker and results": ("BROKER_TOKEN",),
    "admin's first password": ("AIRFLOW_ECS_ADMIN_PASSWORD",),
}


@pytest.mark.parametrize("version", ["3.3", "2.11"])
def test_the_security_page_has_the_secrets_of_each_container(version: str):
    """concepts/security.md has the secrets of each container."""
    head, *rows = table(page("concepts/security.md"), f"<!-- needs: {version} -->")
    assert {row[0] for row in rows} >= set(VARIABLES) - ({"JWT secret"} if version == "2.11" else set())
    for row in rows:
        for column, cell in zip(head[1:], row[1:], strict=True):
            executor, component, container = COLUMNS[column]
            planned = with_commands(version, executor)
            (found,) = (c for c in planned.component(component).containers if c.name == container)
            if row[0] == "DAG files":
                has = found.environment.get("AIRFLOW__CORE__DAGS_FOLDER") != NO_DAGS
            elif row[0] == "access to the execution API":
                has = any(e.source == component and e.port == 8081 for e in planned.edges)
            else:
                has = any(name in found.environment for name in VARIABLES[row[0]])
            assert cell == ("yes" if has else "no"), (row[0], column)


def test_cloudformation_resolves_only_the_two_documented_secrets():
    """Only the two secrets on concepts/security.md are dynamic references, which CloudFormation resolves."""
    found = set()
    for resource in template_of()["Resources"].values():
        for name, value in resource.get("Properties", {}).items():
            if any("{{resolve:" in text for text in strings(value)):
                found.add((resource["Type"], name))
    assert found == {
        ("AWS::ElastiCache::ReplicationGroup", "AuthToken"),
        ("AWS::RDS::DBInstance", "MasterUserPassword"),
    }


def test_the_security_page_has_a_reason_for_each_acknowledged_rule():
    """The page has a reason for each cdk-nag rule that the library acknowledges."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    used = set(re.findall(r"AwsSolutions-[A-Z]+[0-9]+", source))
    assert {row[0] for row in table(page("concepts/security.md"), "## Findings that we accept")[1:]} == used


def test_the_page_of_sizes_has_the_default_size_of_each_component():
    """sizes.md has the default size of each component."""
    rows = table(page("guides/tasks/sizes.md"), "## Defaults")[1:]
    three, two = with_commands("3.3", "celery"), plan("2.11", "celery")
    components: dict[str, Component] = {
        "API server (both containers)": three.component("ApiServer"),
        "Webserver, Airflow 2": two.component("Webserver"),
        "Scheduler": three.component("Scheduler"),
        "Scheduler with LocalExecutor": plan("3.3", "local").component("Scheduler"),
        "DAG processor": three.component("DagProcessor"),
        "Triggerer": three.component("Triggerer"),
        "Celery worker": three.component("Pools/default"),
        "Task of the ECS executor": plan("3.3", "ecs").component("Tasks/executor"),
        "Migration task": three.component("Migration"),
        "Task of `add_airflow_task`": three.component("AirflowTasks/reserialize"),
        "`DatabaseCleanup`": three.component("AirflowTasks/database-cleanup"),
    }
    assert [row[0] for row in rows] == list(components)
    for name, vcpu, memory, tasks, _ in rows:
        found = components[name]
        count = "on demand" if not found.has_service else str(found.count)
        assert (vcpu, memory, tasks) == (f"{found.cpu / 1024:g}", str(found.memory_mib), count), name


def test_a_second_worker_changes_one_property_of_the_template():
    """The tutorial shows this change of the template."""
    before, after = template_of(), template_of(executor=CeleryExecutor(pools=[WorkerPool("default", count=2)]))
    assert before["Resources"].keys() == after["Resources"].keys()
    changed = {
        (resource["Type"], key): after["Resources"][name]["Properties"].get(key)
        for name, resource in before["Resources"].items()
        for key, value in resource.get("Properties", {}).items()
        if value != after["Resources"][name]["Properties"].get(key)
    }
    assert changed == {("AWS::ECS::Service", "DesiredCount"): 2}


@pytest.mark.parametrize(
    ("version", "provider_bundle", "how"),
    [
        ("3.3.2", False, "airflow_ecs_bundle.S3DagBundle"),
        ("3.0.6", False, "airflow_ecs_bundle.S3DagBundle"),
        ("3.3.2", True, "airflow.providers.amazon.aws.bundles.s3.S3DagBundle"),
        ("3.2.0", True, "airflow.providers.amazon.aws.bundles.s3.S3DagBundle"),
        ("2.8.1", False, "/opt/airflow/dags-live"),
    ],
)
def test_the_dags_page_has_the_dag_loader_of_each_release(version: str, provider_bundle: bool, how: str):
    """dags.md has the DAG loader of each release."""
    dags = S3Dags(provider_bundle=provider_bundle)
    planned = plan_of(version=AirflowVersion.of(version), dags=dags).component("Pools/default")
    environment = planned.containers[0].environment
    bundles = environment.get("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST")
    assert (bundles.tree[0]["classpath"] if bundles else environment["AIRFLOW__CORE__DAGS_FOLDER"]) == how


def test_the_page_of_airflow_options_has_the_default_values():
    """airflow-options.md has the values that the library sets by default."""
    environment = plan("3.3", "celery").component("Pools/default").containers[0].environment
    for option, value, _ in table(page("guides/configure/airflow-options.md"), "## Defaults that you may change")[1:]:
        section, name = re.match(r"`\[(\w+)\] (\w+)`", option).groups()
        assert environment[f"AIRFLOW__{section}__{name}".upper()] == value


def stores(template: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return deletion policy and logical id of each retained resource, by its construct path without slashes."""
    words = {"Retain": "kept", "Snapshot": "last snapshot"}
    return {
        re.sub(r"^Airflow|[0-9A-F]{8}$", "", name): (words[resource["DeletionPolicy"]], name)
        for name, resource in template["Resources"].items()
        if resource.get("DeletionPolicy") in words
    }


def test_the_removal_page_lists_each_retained_resource():
    """The page lists each retained resource; with RemovalPolicy.DESTROY, there is none."""
    rows = table(page("concepts/removal.md"), "# Removal")[1:]
    listed = {row[0].strip("`").replace("/", ""): row[2] for row in rows}
    assert listed == {place: policy for place, (policy, _) in stores(template_of()).items()}
    assert stores(template_of(removal_policy=RemovalPolicy.DESTROY)) == {}


# Create-only properties of CloudFormation's resource schemas.
CREATE_ONLY = {
    "AWS::RDS::DBInstance": (
        *("DBClusterIdentifier", "DBInstanceIdentifier", "DBName", "DBSubnetGroupName", "Engine", "KmsKeyId"),
        *("MasterUsername", "StorageEncrypted"),
    ),
    "AWS::RDS::DBCluster": (
        *("DBClusterIdentifier", "DatabaseName", "DBSubnetGroupName", "Engine", "KmsKeyId", "MasterUsername"),
        *("StorageEncrypted",),
    ),
    "AWS::ElastiCache::ReplicationGroup": (
        *("AtRestEncryptionEnabled", "AuthToken", "CacheSubnetGroupName", "KmsKeyId", "Port", "ReplicationGroupId"),
    ),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::DynamoDB::Table": ("TableName", "KeySchema"),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::EFS::FileSystem": ("Encrypted", "KmsKeyId", "PerformanceMode"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("Name", "Scheme", "Type"),
}


# Properties that are create-only under a condition that no template meets: read replicas, restored
# snapshots, SQL Server (CloudFormation guide, "AWS::RDS::DBInstance").
IN_PLACE = {
    "AWS::RDS::DBInstance": (
        *("AutoMinorVersionUpgrade", "BackupRetentionPeriod", "DBParameterGroupName", "MultiAZ"),
        *("PreferredMaintenanceWindow",),
    )
}
_SCHEMAS = ROOT / ".venvs/cfn-lint/lib"


@pytest.mark.skipif(not _SCHEMAS.exists(), reason="needs the environment of cfn-lint: make environments")
def test_create_only_properties_equal_the_cloudformation_schemas():
    """CREATE_ONLY has each create-only property of the stores in the examples."""
    (schemas,) = _SCHEMAS.glob("python3*/site-packages/cfnlint/data/schemas")
    files = json.loads((schemas / "providers/us-east-1.json").read_text())
    used: dict[str, set[str]] = {kind: set() for kind in CREATE_ONLY}
    for name, stack in COSTED.items():
        for resource in resources(example(name).templates[stack], *CREATE_ONLY).values():
            used[resource["Type"]] |= set(resource["Properties"])
    for kind, watched in CREATE_ONLY.items():
        schema = json.loads((schemas / f"resources/{files[kind]}.json").read_text())
        listed = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
        create_only = {pointer.removeprefix("/properties/") for pointer in listed}
        assert create_only & used[kind] - {*IN_PLACE.get(kind, ())} <= {*watched}, kind
        assert {*watched} - create_only <= {"MasterUsername", "KeySchema"}, kind


def fate(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """Return "dropped" or "replaced" for each store that a change of arguments affects."""
    found = {}
    for name, resource in resources(before, *CREATE_ONLY).items():
        place = re.sub(r"^Airflow|[0-9A-F]{8}$", "", name)
        new = after["Resources"].get(name)
        if new is None:
            found[place] = "dropped"
        elif any(
            resource["Properties"].get(key) != new["Properties"].get(key) for key in CREATE_ONLY[resource["Type"]]
        ):
            found[place] = "replaced"
    return found


def _key(stack: Any) -> Any:
    return kms.Key.from_key_arn(stack, "Given", "arn:aws:kms:eu-west-1:123456789012:key/1-2-3")


def _database(stack: Any) -> Any:
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "Login", "login")
    return ExistingDatabase(endpoint="db.example.com", secret=secret)


def _redis(stack: Any) -> Any:
    token = secretsmanager.Secret.from_secret_name_v2(stack, "Token", "token")
    return CeleryExecutor(broker=RedisBroker.existing("redis.example.com", auth_token=token))


def _dags(stack: Any) -> Any:
    return S3Dags(bucket=s3.Bucket.from_bucket_name(stack, "Theirs", "theirs"))


def _logs(stack: Any) -> Any:
    return S3Logs(bucket=s3.Bucket.from_bucket_name(stack, "Theirs", "theirs"))


def _log_group(stack: Any) -> Any:
    return CloudWatchLogs(log_group=logs.LogGroup.from_log_group_name(stack, "Theirs", "theirs"))


IMAGE = AirflowImage.registry("ghcr.io/acme/airflow:3.3.2-1")
POOL = CeleryExecutor(pools=[WorkerPool("other", queues=["default"])])
SQS = CeleryExecutor(broker=SqsBroker())
REDIS = CeleryExecutor(broker=RedisBroker.container())
PUBLIC = Web(internet_facing=True, allow_insecure_http=True, allow_from=["203.0.113.0/24"])
OLD = AirflowVersion.V2_11
# By row of concepts/replacement.md: pairs of arguments before and after the change, and the affected stores.
CHANGES: dict[str, tuple[list[tuple[dict[str, Any], dict[str, Any]]], dict[str, str]]] = {
    "the cluster's id, its parents' ids": ([({}, {"construct_id": "Renamed"})], {"*": "dropped"}),
    "`encryption_key=`": (
        [({}, {"encryption_key": _key})],
        {"DatabaseInstance": "replaced", "BrokerCache": "replaced"},
    ),
    "`database=RdsDatabase()` to `ExistingDatabase(…)`": (
        [({}, {"database": _database})],
        {"DatabaseInstance": "dropped", "DatabaseCredentials": "dropped"},
    ),
    "`database=RdsDatabase()` to `AuroraDatabase()`": (
        [({}, {"database": AuroraDatabase()})],
        {"DatabaseInstance": "dropped"},
    ),
    "`database=AuroraDatabase()` to `RdsDatabase()`": (
        [({"database": AuroraDatabase()}, {})],
        dict.fromkeys(("DatabaseCluster", "DatabaseClusterWriter", "DatabaseClusterReader1"), "dropped"),
    ),
    "`database=RdsDatabase()` to `ContainerDatabase()`": (
        [({}, {"database": ContainerDatabase()})],
        {"DatabaseInstance": "dropped"},
    ),
    "`database=ContainerDatabase()` to `RdsDatabase()`": (
        [({"database": ContainerDatabase()}, {})],
        {"DatabaseFilesFileSystem": "dropped"},
    ),
    "`executor=CeleryExecutor()` to `LocalExecutor()` or `EcsExecutor()`": (
        [({}, {"executor": LocalExecutor()}), ({}, {"executor": EcsExecutor()})],
        {"BrokerCache": "dropped", "BrokerToken": "dropped"},
    ),
    "`broker=RedisBroker()` to `RedisBroker.existing(…)`": (
        [({}, {"executor": _redis})],
        {"BrokerCache": "dropped", "BrokerToken": "dropped"},
    ),
    "`broker=RedisBroker()` to `RedisBroker.container()`": (
        [({}, {"executor": REDIS})],
        {"BrokerCache": "dropped"},
    ),
    "`broker=RedisBroker.container()` to `RedisBroker()`": ([({"executor": REDIS}, {})], {}),
    "`broker=RedisBroker()` to `SqsBroker()`": (
        [({}, {"executor": SQS})],
        {"BrokerCache": "dropped", "BrokerToken": "dropped"},
    ),
    "`broker=SqsBroker()` to `RedisBroker()`": (
        [({"executor": SQS}, {})],
        dict.fromkeys(("BrokerQueuesdefault", "BrokerDeadLetters", "BrokerResults"), "dropped"),
    ),
    "`dags=S3Dags()` to your own bucket, or to `ImageDags()`": (
        [({}, {"dags": _dags}), ({"image": IMAGE}, {"image": IMAGE, "dags": ImageDags()})],
        {"DagsBucket": "dropped"},
    ),
    "`logs=S3Logs()` to your own bucket, to `CloudWatchLogs()` or `LocalLogs()`": (
        [({}, {"logs": store}) for store in (_logs, CloudWatchLogs(), LocalLogs())],
        {"LogsTasks": "dropped"},
    ),
    "`logs=CloudWatchLogs()` to your own log group, to `S3Logs()` or `LocalLogs()`": (
        [({"logs": CloudWatchLogs()}, {"logs": store}) for store in (_log_group, S3Logs(), LocalLogs())],
        {"LogsTaskGroup": "dropped"},
    ),
    "`web=Web(internet_facing=…)`": ([({}, {"web": PUBLIC})], {"WebLoadBalancer": "replaced"}),
    "the name of a worker pool": ([({}, {"executor": POOL})], {}),
    "`spot=` of a worker pool": ([({}, {"executor": CeleryExecutor(pools=[WorkerPool("default", spot=True)])})], {}),
    "`version=` from 2.x to 3.x": ([({"version": OLD}, {})], {}),
    "`vpc=`": ([], {}),
}


def test_every_row_about_replacements_is_tested():
    """The page and CHANGES have the same rows."""
    rows = table(page("concepts/replacement.md"), "# Resource replacement")[1:]
    assert [row[0] for row in rows] == list(CHANGES)
    for change, cell in rows:
        expected = CHANGES[change][1]
        for place in expected:
            assert place == "*" or any(word in place for word in re.findall(r"[A-Z]\w+", cell)) or "balancer" in cell
        if not expected:
            assert cell.startswith("nothing")


@pytest.mark.parametrize("change", [change for change, (pairs, _) in CHANGES.items() if pairs])
def test_each_change_replaces_or_drops_exactly_the_documented_stores(change: str):
    """Each change affects exactly the stores of its row."""
    pairs, expected = CHANGES[change]
    for before, after in pairs:
        found = fate(template_of(**before), template_of(**after))
        if "*" in expected:
            assert set(found.values()) == {"dropped"}
            assert len(found) == len(resources(template_of(**before), *CREATE_ONLY))
        else:
            assert found == expected


CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1-2-3"


@pytest.mark.parametrize(
    "after",
    [
        {"version": AirflowVersion.V3_1},
        {"database": RdsDatabase(multi_az=False, instance_class="db.m7g.large", max_allocated_storage_gib=900)},
        {"executor": CeleryExecutor(broker=RedisBroker(node_type="cache.t4g.small", replicas=2))},
        {"executor": SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True)])},
        {"dags": S3Dags(refresh_seconds=60, provider_bundle=True)},
        {"logs": S3Logs(expire_days=7, prefix="other")},
        {"web": lambda stack: Web(certificate=acm.Certificate.from_certificate_arn(stack, "Cert", CERTIFICATE))},
        {"removal_policy": RemovalPolicy.DESTROY},
        {"maintenance": True, "enable_exec": False, "config": {"core": {"parallelism": 5}}},
    ],
    ids="+".join,
)
def test_undocumented_changes_of_arguments_replace_and_drop_no_store(after: dict[str, Any]):
    """Changes of arguments that are not on the page neither replace nor drop a store."""
    assert fate(template_of(), template_of(**after)) == {}


@pytest.mark.parametrize(("wanted", "value"), [(True, "enabled"), (False, "disabled")])
def test_costs_include_container_insights_only_if_it_is_enabled(wanted: bool, value: str):
    """The costs of Container Insights are included only if the cluster enables it."""
    template = template_of(container_insights=wanted)
    (cluster,) = resources(template, "AWS::ECS::Cluster").values()
    assert {"Name": "containerInsights", "Value": value} in cluster["Properties"]["ClusterSettings"]
    assert any(what.startswith("Container Insights") for what, _ in cost_rows(template)) is wanted


def test_an_internet_facing_load_balancer_has_a_separate_target_group():
    """CloudFormation creates the new load balancer first, and a target group cannot belong to two load balancers."""
    groups = [
        set(resources(template_of(web=web), "AWS::ElasticLoadBalancingV2::TargetGroup")) for web in (Web(), PUBLIC)
    ]
    assert groups[0] & groups[1] == set()


def test_the_first_redis_replica_needs_two_deploys():
    """CloudFormation enables failover before it adds the replica, so one deploy fails."""
    steps = [{}, {"replicas": 1, "failover": False}, {"replicas": 1}]
    found = []
    for given in steps:
        template = template_of(executor=CeleryExecutor(broker=RedisBroker(**given)))
        (cache,) = resources(template, "AWS::ElastiCache::ReplicationGroup").values()
        names = ("NumCacheClusters", "AutomaticFailoverEnabled", "MultiAZEnabled")
        found.append(tuple(cache["Properties"][name] for name in names))
    assert found == [(1, False, False), (2, False, False), (2, True, True)]
    text = page("concepts/replacement.md")
    assert "`RedisBroker(replicas=1, failover=False)`" in text


@pytest.mark.parametrize("release", ["7.2", "8.0", "9.0"])
def test_redis_parameters_are_those_of_the_redis_release(release: str):
    """ElastiCache rejects parameters of another major release."""
    broker = RedisBroker(engine_version=release)
    template = template_of(executor=CeleryExecutor(broker=broker))
    (cache,) = resources(template, "AWS::ElastiCache::ReplicationGroup").values()
    (parameters,) = resources(template, "AWS::ElastiCache::ParameterGroup").values()
    assert cache["Properties"]["EngineVersion"] == broker.engine_version
    assert cache["Properties"]["AutoMinorVersionUpgrade"] is True
    family = f"valkey{broker.engine_version.partition('.')[0]}"
    assert parameters["Properties"]["CacheParameterGroupFamily"] == family


@pytest.mark.parametrize("database", [RdsDatabase(), AuroraDatabase()])
def test_aws_selects_the_minor_release_of_postgresql(database: RdsDatabase | AuroraDatabase):
    """With only a major release in the template, a deploy never downgrades the minor one."""
    template = template_of(database=database)
    engines = resources(template, "AWS::RDS::DBInstance", "AWS::RDS::DBCluster").values()
    versions = {each["Properties"]["EngineVersion"] for each in engines if "EngineVersion" in each["Properties"]}
    assert versions == {"17"}
    instances = resources(template, "AWS::RDS::DBInstance").values()
    assert all(each["Properties"]["AutoMinorVersionUpgrade"] is True for each in instances)
    groups = resources(template, "AWS::RDS::DBParameterGroup", "AWS::RDS::DBClusterParameterGroup").values()
    assert {re.sub("[a-z-]", "", each["Properties"]["Family"]) for each in groups} == {"17"}


def test_the_costs_on_the_sqs_page_are_calculated_correctly():
    """The page is celery-on-sqs.md."""
    text = page("guides/tasks/celery-on-sqs.md")
    request, read, write = (float(each) / 1e6 for each in re.findall(r"\$(0\.\d+)\s+for\s+a\s+million", text))
    polls, reads, tasks = HOURS * 3600 / 20, HOURS * 3600, 1e6
    assert [row[1:] for row in table(text, "## What it costs")[1:]] == [
        [f"{polls:,.0f} requests for each queue it serves", f"{polls * request:.2f}"],
        [f"{reads / 1e6:.1f} million reads for each, of half a unit", f"{reads * read / 2:.2f}"],
        ["for a million tasks", f"{tasks * (3 * request + 2 * write):.2f}"],
    ]


COSTED = {
    "quickstart": "Quickstart",
    "production": "Platform",
    "airflow-2": "Airflow2",
    "existing-vpc-and-database": "Data",
    "ecs-executor": "Nightly",
    "mixed-executors": "Mixed",
    "aurora": "Aurora",
    "custom-image": "Reports",
    "celery-sqs": "Queues",
    "celery-redis-container": "AirflowDev",
    "ecs-operator": "Operator",
    "worker-pools": "Pools",
    "dashboards-and-alarms": "Watched",
    "scale-to-zero": "Scaled",
    "gpu-pool": "Gpu",
}


@pytest.mark.parametrize("name", COSTED)
def test_the_costs_of_each_example_are_those_of_its_template(name: str):
    """Each example's costs are those of its template."""
    text = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    assert cost_table(example(name).templates[COSTED[name]]) in text


def test_an_imported_aurora_cluster_works_as_documented():
    """The example with an imported Aurora cluster is on bring-your-own.md."""

    def cluster(stack: Any) -> ExistingDatabase:
        aurora = rds.DatabaseCluster.from_database_cluster_attributes(
            stack, "Aurora", cluster_identifier="aurora", cluster_endpoint_address="aurora.example.com", port=5433
        )
        return ExistingDatabase(aurora, secret=secretsmanager.Secret.from_secret_name_v2(stack, "Login", "login"))

    texts = strings(template_of(database=cluster))
    assert {"aurora.example.com", "5433"} <= {*texts}


def test_the_executors_page_lists_exactly_the_fields_of_executor_plan():
    """guides/extend/executors.md lists exactly the fields of ExecutorPlan."""
    rows = table(page("guides/extend/executors.md"), "## Fields of a plan")[1:]
    described = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(described) == sorted(field.name for field in dataclasses.fields(ExecutorPlan))
