"""Security group rules of the template, compared with the table of connections."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs import (
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    ExistingDatabase,
    LocalExecutor,
    RedisBroker,
    SeveralExecutors,
    SqsBroker,
    WorkerPool,
)
from cdk_airflow_ecs.testing import plan_of
from synthesis import add_cluster, references, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

# Security groups of existing stores.
GIVEN = {"sg-0123456789abcdef0": "Database", "sg-0123456789abcdef1": "Broker"}


def given(stack, name):
    """Return credentials and security group of an existing database or Redis."""
    (group,) = (key for key, value in GIVEN.items() if value == name)
    arn = f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:{name}-AbCdEf"
    return (
        secretsmanager.Secret.from_secret_complete_arn(stack, f"{name}Login", arn),
        ec2.SecurityGroup.from_security_group_id(stack, f"{name}Group", group),
    )


def existing_database(stack):
    """Return an existing database."""
    secret, group = given(stack, "Database")
    return ExistingDatabase(endpoint="db.example.com", secret=secret, security_group=group)


def existing_redis(stack):
    """Return a Celery executor with an existing Redis."""
    token, group = given(stack, "Broker")
    broker = RedisBroker.existing("redis.example.com", auth_token=token, security_group=group)
    return CeleryExecutor(broker=broker)


CELERY_3 = {"version": AirflowVersion.V3_3, "executor": CeleryExecutor()}
LOCAL_3 = {"version": AirflowVersion.V3_3, "executor": LocalExecutor()}
CELERY_2 = {"version": AirflowVersion.V2_11, "executor": CeleryExecutor()}
LOCAL_2 = {"version": AirflowVersion.V2_11, "executor": LocalExecutor()}
ECS_3 = {"version": AirflowVersion.V3_3, "executor": EcsExecutor()}
ECS_2 = {"version": AirflowVersion.V2_11, "executor": EcsExecutor()}
BOTH = {"executor": SeveralExecutors([CeleryExecutor(), EcsExecutor()])}
SQS = {"executor": CeleryExecutor(broker=SqsBroker())}
EXISTING = {"version": AirflowVersion.V3_3, "database": existing_database, "executor": existing_redis}
CONTAINERS = {"database": ContainerDatabase(), "executor": CeleryExecutor(broker=RedisBroker.container())}
CLUSTERS = {
    **{
        f"{version.line} {name}": {"version": version, **cluster}
        for version in (AirflowVersion.V3_3, AirflowVersion.V2_11)
        for name, cluster in {"containers": CONTAINERS, "SQS": SQS, "several": BOTH}.items()
    },
    **{"3.3 Celery": CELERY_3, "3.3 Local": LOCAL_3, "2.11 Celery": CELERY_2, "2.11 Local": LOCAL_2},
    **{"3.3 ECS": ECS_3, "2.11 ECS": ECS_2, "3.3 existing": EXISTING},
    "3.3 Aurora": {"version": AirflowVersion.V3_3, "database": AuroraDatabase()},
}

# "Web" is the load balancer, and "Pools/default" the default pool.
WEB, EXECUTION_API, WORKER_LOGS, TRIGGERER_LOGS, POSTGRES, REDIS, NFS = 8080, 8081, 8793, 8794, 5432, 6379, 2049

# Eleven connections of any Airflow cluster, then those of this library: each as a rule, or with the reason why none
# is needed.
COMMUNICATIONS = [
    # 1. The web component reads logs of running tasks.
    ("3.3 Celery", "ApiServer", "Pools/default", WORKER_LOGS),
    ("3.3 Local", "ApiServer", "Scheduler", WORKER_LOGS),
    ("2.11 Celery", "Webserver", "Pools/default", WORKER_LOGS),
    ("2.11 Local", "Webserver", "Scheduler", WORKER_LOGS),
    # 2. The web component and DAG files: none, see FORBIDDEN; it reads DAGs from the database.
    # 3. The web component and the metadata database.
    ("3.3 Celery", "ApiServer", "Database", POSTGRES),
    ("3.3 Local", "ApiServer", "Database", POSTGRES),
    ("2.11 Celery", "Webserver", "Database", POSTGRES),
    ("2.11 Local", "Webserver", "Database", POSTGRES),
    # 4. Workers and DAG files: they read from S3, an AWS API, which needs no rule.
    # 5. Workers and the metadata database: only in Airflow 2; later workers use the execution API instead.
    ("2.11 Celery", "Pools/default", "Database", POSTGRES),
    ("3.3 Celery", "Pools/default", "ApiServer", EXECUTION_API),
    ("3.3 Local", "Scheduler", "ApiServer", EXECUTION_API),
    # 6 and 7. Workers, and the result backend and broker: one Redis serves as both.
    ("3.3 Celery", "Pools/default", "Broker", REDIS),
    ("2.11 Celery", "Pools/default", "Broker", REDIS),
    # 8. The scheduler and DAG files: it reads none, except with LocalExecutor from S3, see 4.
    # 9. The scheduler and the metadata database.
    ("3.3 Celery", "Scheduler", "Database", POSTGRES),
    ("3.3 Local", "Scheduler", "Database", POSTGRES),
    ("2.11 Celery", "Scheduler", "Database", POSTGRES),
    ("2.11 Local", "Scheduler", "Database", POSTGRES),
    # 10 and 11. The scheduler, and the result backend and broker.
    ("3.3 Celery", "Scheduler", "Broker", REDIS),
    ("2.11 Celery", "Scheduler", "Broker", REDIS),
    # Beyond the eleven: clients, load balancer, DAG processor, triggerer, migration.
    *((cluster, "VPC", "Web", 80) for cluster in CLUSTERS),
    ("3.3 Celery", "Web", "ApiServer", WEB),
    ("3.3 Local", "Web", "ApiServer", WEB),
    ("2.11 Celery", "Web", "Webserver", WEB),
    ("2.11 Local", "Web", "Webserver", WEB),
    *((cluster, "DagProcessor", "Database", POSTGRES) for cluster in CLUSTERS),
    *((cluster, "Triggerer", "Database", POSTGRES) for cluster in CLUSTERS),
    *((cluster, "Migration", "Database", POSTGRES) for cluster in CLUSTERS),
    ("3.3 Celery", "ApiServer", "Triggerer", TRIGGERER_LOGS),
    ("3.3 Local", "ApiServer", "Triggerer", TRIGGERER_LOGS),
    ("2.11 Celery", "Webserver", "Triggerer", TRIGGERER_LOGS),
    ("2.11 Local", "Webserver", "Triggerer", TRIGGERER_LOGS),
    # Tasks of the ECS executor use only the execution API in Airflow 3 and the database in Airflow 2. Nothing connects
    # to them, because their logs are in S3.
    *(
        row
        for name, web in (
            *(("3.3 ECS", "ApiServer"), ("3.3 several", "ApiServer")),
            *(("2.11 ECS", "Webserver"), ("2.11 several", "Webserver")),
        )
        for row in (
            (name, "Web", web, WEB),
            (name, web, "Database", POSTGRES),
            (name, web, "Triggerer", TRIGGERER_LOGS),
            (name, "Scheduler", "Database", POSTGRES),
        )
    ),
    ("3.3 ECS", "Tasks/executor", "ApiServer", EXECUTION_API),
    ("2.11 ECS", "Tasks/executor", "Database", POSTGRES),
    ("3.3 several", "Tasks/executor", "ApiServer", EXECUTION_API),
    ("3.3 several", "Pools/default", "ApiServer", EXECUTION_API),
    ("3.3 several", "Pools/default", "Broker", REDIS),
    ("3.3 several", "Scheduler", "Broker", REDIS),
    ("3.3 several", "ApiServer", "Pools/default", WORKER_LOGS),
    *(("2.11 several", source, "Database", POSTGRES) for source in ("Tasks/executor", "Pools/default")),
    *(("2.11 several", source, "Broker", REDIS) for source in ("Scheduler", "Pools/default")),
    ("2.11 several", "Webserver", "Pools/default", WORKER_LOGS),
    # SQS is an AWS API, which needs no rule. Aurora and existing stores have the rules of RDS and Redis.
    *(
        row
        for name, web in (
            *(("3.3 SQS", "ApiServer"), ("2.11 SQS", "Webserver")),
            *(("3.3 Aurora", "ApiServer"), ("3.3 existing", "ApiServer")),
        )
        for row in (
            (name, "Web", web, WEB),
            (name, web, "Database", POSTGRES),
            (name, web, "Triggerer", TRIGGERER_LOGS),
            (name, web, "Pools/default", WORKER_LOGS),
            (name, "Scheduler", "Database", POSTGRES),
        )
    ),
    ("2.11 SQS", "Pools/default", "Database", POSTGRES),
    *((name, "Pools/default", "ApiServer", EXECUTION_API) for name in ("3.3 SQS", "3.3 Aurora", "3.3 existing")),
    *(
        (name, source, "Broker", REDIS)
        for name in ("3.3 Aurora", "3.3 existing")
        for source in ("Scheduler", "Pools/default")
    ),
    # With stores in containers, the database also connects to its file system.
    *(
        row
        for name, web in (("3.3 containers", "ApiServer"), ("2.11 containers", "Webserver"))
        for row in (
            (name, "Web", web, WEB),
            (name, web, "Database", POSTGRES),
            (name, web, "Triggerer", TRIGGERER_LOGS),
            (name, web, "Pools/default", WORKER_LOGS),
            (name, "Scheduler", "Database", POSTGRES),
            (name, "Scheduler", "Broker", REDIS),
            (name, "Pools/default", "Broker", REDIS),
            (name, "Database", "Database/Files", NFS),
        )
    ),
    ("3.3 containers", "Pools/default", "ApiServer", EXECUTION_API),
    ("2.11 containers", "Pools/default", "Database", POSTGRES),
]

# Connections that must not be allowed; None means any port.
FORBIDDEN = {
    "the load balancer does not reach the worker": ("3.3 Celery", "Web", "Pools/default", None),
    "the load balancer does not reach the scheduler": ("3.3 Local", "Web", "Scheduler", None),
    "the load balancer does not reach the DAG processor": ("3.3 Celery", "Web", "DagProcessor", None),
    "the load balancer does not reach the triggerer": ("3.3 Celery", "Web", "Triggerer", None),
    "the load balancer does not reach the migration": ("3.3 Celery", "Web", "Migration", None),
    "the load balancer does not reach the database": ("3.3 Celery", "Web", "Database", None),
    "the load balancer does not reach the broker": ("3.3 Celery", "Web", "Broker", None),
    "the load balancer does not reach the execution API": ("3.3 Celery", "Web", "ApiServer", EXECUTION_API),
    "clients do not reach the API server": ("3.3 Celery", "VPC", "ApiServer", None),
    "clients do not reach the webserver": ("2.11 Celery", "VPC", "Webserver", None),
    "the API server does not use the broker": ("3.3 Celery", "ApiServer", "Broker", None),
    "the webserver does not use the broker": ("2.11 Celery", "Webserver", "Broker", None),
    "the DAG processor does not use the broker": ("2.11 Celery", "DagProcessor", "Broker", None),
    "the triggerer does not use the broker": ("2.11 Celery", "Triggerer", "Broker", None),
    "a worker of Airflow 3 does not reach the metadata database": ("3.3 Celery", "Pools/default", "Database", None),
    "a worker of Airflow 3 does not reach the UI": ("3.3 Celery", "Pools/default", "ApiServer", WEB),
    "a worker does not reach the scheduler": ("2.11 Celery", "Pools/default", "Scheduler", None),
    "a worker does not reach another": ("3.3 Celery", "Pools/default", "Pools/default", None),
    "a worker does not reach the triggerer": ("3.3 Celery", "Pools/default", "Triggerer", None),
    "the scheduler does not call the worker": ("3.3 Celery", "Scheduler", "Pools/default", None),
    "a scheduler without tasks does not call the execution API": ("3.3 Celery", "Scheduler", "ApiServer", None),
    "the triggerer has its execution API in process": ("3.3 Celery", "Triggerer", "ApiServer", None),
    "the DAG processor has its execution API in process": ("3.3 Celery", "DagProcessor", "ApiServer", None),
    "the migration does not use the broker": ("3.3 Celery", "Migration", "Broker", None),
    "the migration opens no connection": ("3.3 Celery", "Migration", "ApiServer", None),
    "the database opens no connection": ("3.3 Celery", "Database", "ApiServer", None),
    "the broker opens no connection": ("3.3 Celery", "Broker", "Pools/default", None),
    "a task of the ECS executor does not reach the metadata database": ("3.3 ECS", "Tasks/executor", "Database", None),
    "a task of the ECS executor does not reach the UI": ("3.3 ECS", "Tasks/executor", "ApiServer", WEB),
    "a task of the ECS executor does not reach the scheduler": ("3.3 ECS", "Tasks/executor", "Scheduler", None),
    "a task of the ECS executor does not reach the triggerer": ("3.3 ECS", "Tasks/executor", "Triggerer", None),
    "a task of the ECS executor does not reach the DAG processor": ("3.3 ECS", "Tasks/executor", "DagProcessor", None),
    "a task of the ECS executor does not reach another": ("3.3 ECS", "Tasks/executor", "Tasks/executor", None),
    "a task of the ECS executor does not reach the broker": ("3.3 several", "Tasks/executor", "Broker", None),
    "a task of the ECS executor does not reach the worker": ("3.3 several", "Tasks/executor", "Pools/default", None),
    "with several executors the tasks do not reach the database": ("3.3 several", "Tasks/executor", "Database", None),
    "a task of Airflow 2 does not reach the webserver": ("2.11 ECS", "Tasks/executor", "Webserver", None),
    "the web component does not call the task of the ECS executor": ("3.3 ECS", "ApiServer", "Tasks/executor", None),
    "the load balancer does not reach the task of the ECS executor": ("3.3 ECS", "Web", "Tasks/executor", None),
    **{
        f"an ECS task of the user does not reach {target}": ("3.3 grown", "Tasks/etl", target, None)
        for target in (
            *("ApiServer", "Scheduler", "DagProcessor", "Triggerer", "Database", "Broker", "Pools/default"),
            *("Pools/heavy", "Web"),
        )
    },
    **{
        f"{source} does not reach an ECS task of the user": ("3.3 grown", source, "Tasks/etl", None)
        for source in (
            *("ApiServer", "Scheduler", "DagProcessor", "Triggerer", "Pools/default", "Pools/heavy", "Web"),
            *("VPC", "Tasks/etl"),
        )
    },
    "an added pool does not reach the metadata database": ("3.3 grown", "Pools/heavy", "Database", None),
    "an added pool does not reach another": ("3.3 grown", "Pools/heavy", "Pools/default", None),
    "the scheduler does not call the task of the ECS executor": ("3.3 ECS", "Scheduler", "Tasks/executor", None),
    **{
        f"{source} does not reach the files of the database": (name, source, "Database/Files", None)
        for name, sources in {
            "3.3 containers": ("Web", "ApiServer", "Scheduler", "Pools/default", "Migration", "Broker"),
            "2.11 containers": ("Web", "Webserver", "Scheduler", "Pools/default", "DagProcessor", "Triggerer"),
        }.items()
        for source in sources
    },
    "the load balancer does not reach the database in a container": ("3.3 containers", "Web", "Database", None),
    "the load balancer does not reach the broker in a container": ("3.3 containers", "Web", "Broker", None),
    "the API server does not reach a broker in a container": ("3.3 containers", "ApiServer", "Broker", None),
    "a worker of Airflow 3 does not reach the database in a container": (
        "3.3 containers",
        "Pools/default",
        "Database",
        None,
    ),
    "the migration does not use a broker in a container": ("3.3 containers", "Migration", "Broker", None),
    "a database in a container opens no connection": ("2.11 containers", "Database", "Webserver", None),
    "a broker in a container does not call the worker": ("2.11 containers", "Broker", "Pools/default", None),
    "the broker and the database are not connected": ("2.11 containers", "Broker", "Database", None),
    "the database and the broker are not connected": ("2.11 containers", "Database", "Broker", None),
    **{
        f"{name}: {source} does not reach {target}": (name, source, target, None)
        for name, sources in {
            "3.3 SQS": {
                "Pools/default": ("Database", "Scheduler", "Triggerer", "DagProcessor", "Pools/default"),
                "Scheduler": ("Pools/default", "ApiServer"),
                "Web": ("Pools/default", "Database"),
            },
            "2.11 SQS": {
                "Pools/default": ("Webserver", "Scheduler", "Triggerer", "DagProcessor", "Pools/default"),
                "Scheduler": ("Pools/default", "Webserver"),
                "Web": ("Pools/default", "Database"),
            },
            "3.3 Aurora": {
                "Pools/default": ("Database",),
                "Web": ("Database", "Broker"),
                "Database": ("ApiServer", "Scheduler", "Broker", "Database"),
                "Broker": ("Database",),
            },
            "3.3 existing": {
                "Pools/default": ("Database",),
                "Web": ("Database", "Broker"),
                **dict.fromkeys(("ApiServer", "DagProcessor", "Triggerer", "Migration", "VPC"), ("Broker",)),
                "Database": ("ApiServer", "Scheduler", "Broker"),
                "Broker": ("Scheduler", "Pools/default", "Database"),
            },
            "2.11 several": {
                "Tasks/executor": ("Broker", "Pools/default", "Webserver", "Scheduler", "Tasks/executor"),
                **dict.fromkeys(("Pools/default", "Webserver", "Scheduler", "Web"), ("Tasks/executor",)),
            },
        }.items()
        for source, targets in sources.items()
        for target in targets
    },
    "the files of the database open no connection": ("2.11 containers", "Database/Files", "Database", None),
}


@dataclass(frozen=True)
class Groups:
    """The security groups of a template, by their names in the plan."""

    template: dict

    @property
    def names(self):
        """Return the plan's name of each security group, by logical id."""
        stores = {
            "Load balancer of Airflow": "Web",
            "Metadata database of Airflow": "Database",
            "Celery broker of Airflow": "Broker",
            "Files of the Airflow database": "Database/Files",
        }
        found = {
            logical_id: group["Properties"]["GroupDescription"]
            for logical_id, group in resources(self.template, "AWS::EC2::SecurityGroup").items()
        }
        return {key: stores.get(text, text.removeprefix("Airflow ")) for key, text in found.items()}

    def name(self, reference):
        """Return the plan's name of a security group, "VPC" for its address range, or an existing store."""
        if reference == {"Fn::GetAtt": ["AirflowVpcE5F1B051", "CidrBlock"]}:
            return "VPC"
        if isinstance(reference, str):
            return GIVEN[reference]
        (logical_id,) = references(reference)
        assert {"Fn::GetAtt": [logical_id, "GroupId"]} == reference
        return self.names[logical_id]

    def inline(self, section):
        """Yield each rule inside a security group, with the group's name in the plan."""
        for logical_id, group in resources(self.template, "AWS::EC2::SecurityGroup").items():
            for rule in group["Properties"].get(section, ()):
                yield self.names[logical_id], rule

    def admitted(self):
        """Yield every inbound rule as (source, target, port)."""
        rules = [
            (self.name(rule["Properties"]["GroupId"]), rule["Properties"])
            for rule in resources(self.template, "AWS::EC2::SecurityGroupIngress").values()
        ]
        rules += self.inline("SecurityGroupIngress")
        for target, rule in rules:
            assert ("tcp", rule["FromPort"]) == (rule["IpProtocol"], rule["ToPort"])
            source = {"CidrIp", "SourceSecurityGroupId"} & rule.keys()
            assert len(source) == 1
            yield self.name(rule[source.pop()]), target, rule["FromPort"]

    def opened(self):
        """Yield every outbound rule as (source, target, port); "everywhere" and "nowhere" are targets too."""
        for source, rule in self.inline("SecurityGroupEgress"):
            targets = {"0.0.0.0/0": "everywhere", "255.255.255.255/32": "nowhere"}
            yield source, targets[rule["CidrIp"]], rule.get("FromPort")
        for rule in resources(self.template, "AWS::EC2::SecurityGroupEgress").values():
            properties = rule["Properties"]
            assert properties["FromPort"] == properties["ToPort"]
            ends = self.name(properties["GroupId"]), self.name(properties["DestinationSecurityGroupId"])
            yield (*ends, properties["FromPort"])


@pytest.mark.parametrize("name", CLUSTERS)
def test_inbound_rules_equal_the_table_of_connections(name):
    """Each cluster has exactly the inbound rules in the table of connections."""
    expected = sorted((source, target, port) for cluster, source, target, port in COMMUNICATIONS if cluster == name)
    assert expected == sorted(Groups(template_of(**CLUSTERS[name])).admitted())


@pytest.mark.parametrize("name", CLUSTERS)
def test_inbound_rules_equal_the_edges_of_the_plan(name):
    """An edge of the plan is a permitted connection."""
    stack = Stack()
    arguments = {key: value(stack) if callable(value) else value for key, value in CLUSTERS[name].items()}
    edges = [(edge.source, edge.target, edge.port) for edge in plan_of(**arguments).edges]
    expected = sorted(("VPC" if source == "Clients" else source, *rest) for source, *rest in edges)
    assert expected == sorted(Groups(template_of(**CLUSTERS[name])).admitted())


@functools.cache
def grown():
    """Return template and plan of a cluster to which a worker pool and an ECS task were added."""
    plans = []

    def build(app):
        cluster = add_cluster(Stack(app, "Data"))
        cluster.add_worker_pool(WorkerPool("heavy"))
        cluster.add_ecs_task("etl")
        plans.append(cluster.plan)

    return synthesize(build).templates["Data"], plans[0]


def test_worker_pools_and_ecs_tasks_added_after_construction_get_rules():
    """The security group rules equal the edges of the plan after the additions."""
    template, plan = grown()
    edges = [("VPC" if edge.source == "Clients" else edge.source, edge.target, edge.port) for edge in plan.edges]
    admitted = sorted(Groups(template).admitted())
    assert admitted == sorted(edges)
    before = [*Groups(template_of(**CELERY_3)).admitted()]
    assert sorted({*admitted} - {*before}) == [
        ("ApiServer", "Pools/heavy", WORKER_LOGS),
        ("Pools/heavy", "ApiServer", EXECUTION_API),
        ("Pools/heavy", "Broker", REDIS),
    ]


@pytest.mark.parametrize("case", FORBIDDEN)
def test_forbidden_connections_have_no_rule(case):
    """The table FORBIDDEN lists these connections."""
    name, source, target, port = FORBIDDEN[case]
    groups = Groups(grown()[0] if name == "3.3 grown" else template_of(**CLUSTERS[name]))
    assert {source, target} <= {"VPC", *groups.names.values(), *(GIVEN.values() if "existing" in name else ())}
    assert [
        rule for rule in groups.admitted() if rule[:2] == (source, target) and (port is None or port == rule[2])
    ] == []


@pytest.mark.parametrize("name", CLUSTERS)
def test_only_the_load_balancer_has_rules_for_ip_addresses(name):
    """All other inbound rules refer to security groups."""
    groups = Groups(template_of(**CLUSTERS[name]))
    assert {"Web"} == {target for source, target, _ in groups.admitted() if source == "VPC"}


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_security_group_has_a_rule_for_itself(name):
    """No security group has an inbound rule for itself."""
    assert [rule for rule in Groups(template_of(**CLUSTERS[name])).admitted() if rule[0] == rule[1]] == []


@pytest.mark.parametrize("name", CLUSTERS)
def test_stores_open_no_connections_and_tasks_may_connect_anywhere(name):
    """Stores open no connections, the load balancer only to the web component, tasks everywhere.

    A store in a container opens HTTPS for its image, secrets and log.
    """
    groups = Groups(template_of(**CLUSTERS[name]))
    opened = {}
    for source, target, port in groups.opened():
        opened.setdefault(source, []).append((target, port))
    web = next(target for source, target, _ in groups.admitted() if source == "Web")
    stores = {"Database", "Broker", "Database/Files"} & {*groups.names.values()}
    expected = {group: [("everywhere", None)] for group in groups.names.values()}
    expected |= {store: [("nowhere", 252)] for store in stores} | {"Web": [(web, WEB)]}
    if "containers" in name:
        expected |= {"Database": [("everywhere", 443), ("Database/Files", NFS)], "Broker": [("everywhere", 443)]}
    assert expected == opened


@pytest.mark.parametrize("name", CLUSTERS)
def test_each_component_and_store_has_its_own_security_group(name):
    """No two components or stores share a security group."""
    template = template_of(**CLUSTERS[name])
    used = [
        *(
            service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
            for service in resources(template, "AWS::ECS::Service").values()
        ),
        *(
            balancer["Properties"]["SecurityGroups"]
            for balancer in resources(template, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
        ),
        *(
            database["Properties"]["VPCSecurityGroups"]
            for database in resources(template, "AWS::RDS::DBInstance").values()
            if "VPCSecurityGroups" in database["Properties"]
        ),
        *(
            database["Properties"]["VpcSecurityGroupIds"]
            for database in resources(template, "AWS::RDS::DBCluster").values()
        ),
        *(
            cache["Properties"]["SecurityGroupIds"]
            for cache in resources(template, "AWS::ElastiCache::ReplicationGroup").values()
        ),
        *(
            target["Properties"]["SecurityGroups"]
            for target in [*resources(template, "AWS::EFS::MountTarget").values()][
                :1
            ]  # all mount targets have the same security groups
        ),
        *(
            [variable["Value"]]
            for task in resources(template, "AWS::ECS::TaskDefinition").values()
            for container in task["Properties"]["ContainerDefinitions"]
            if container["Name"] == "scheduler"
            for variable in container["Environment"]
            if variable["Name"] == "AIRFLOW__AWS_ECS_EXECUTOR__SECURITY_GROUPS"
        ),
        *(
            [function["Properties"]["Environment"]["Variables"]["SECURITY_GROUP"]]
            for name, function in resources(template, "AWS::Lambda::Function").items()
            if "GateHandler" in name
        ),
    ]
    groups = Groups(template)
    assert [1] * len(used) == [len(given) for given in used]
    assert sorted(groups.names.values()) == sorted(groups.name(reference) for (reference,) in used)
    used_by_default = [name for name, each in template["Resources"].items() if "DefaultSecurityGroup" in str(each)]
    assert all("RestrictDefaultS" in name for name in used_by_default)


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_load_balancer_does_not_serve_the_execution_api(name):
    """The load balancer's listener returns 404."""
    template = template_of(**CLUSTERS[name])
    (rule,) = resources(template, "AWS::ElasticLoadBalancingV2::ListenerRule").values()
    rule = rule["Properties"]
    assert rule["Priority"] == 1
    assert [{key: value for key, value in condition.items() if value} for condition in rule["Conditions"]] == [
        {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/execution", "/execution/*"]}}
    ]
    assert [(action["Type"], action["FixedResponseConfig"]["StatusCode"]) for action in rule["Actions"]] == [
        ("fixed-response", "404")
    ]
    (target_group,) = resources(template, "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert target_group["Properties"]["Port"] == WEB
    balanced = [
        (end["ContainerName"], end["ContainerPort"])
        for service in resources(template, "AWS::ECS::Service").values()
        for end in service["Properties"].get("LoadBalancers", ())
    ]
    assert [("api-server" if name.startswith("3") else "webserver", WEB)] == balanced


def test_the_execution_api_has_a_private_dns_name():
    """Workers use a private DNS name for the execution API."""
    template = template_of(**CELERY_3)
    (namespace,) = resources(template, "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    ((name_id, name),) = resources(template, "AWS::ServiceDiscovery::Service").items()
    registered = {
        service["Properties"]["TaskDefinition"]["Ref"]: references(service["Properties"]["ServiceRegistries"])
        for service in resources(template, "AWS::ECS::Service").values()
        if "ServiceRegistries" in service["Properties"]
    }
    ((definition, registries),) = registered.items()
    assert definition.startswith("AirflowComponentsApiServer")
    assert {name_id} == registries
    urls = {
        variable["Value"]
        for task in resources(template, "AWS::ECS::TaskDefinition").values()
        for container in task["Properties"]["ContainerDefinitions"]
        for variable in container["Environment"]
        if variable["Name"] == "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
    }
    host = f"{name['Properties']['Name']}.{namespace['Properties']['Name']}"
    assert {f"http://{host}:{EXECUTION_API}/execution/"} == urls
    assert resources(template_of(**CELERY_2), "AWS::ServiceDiscovery::Service") == {}
