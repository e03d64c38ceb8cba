"""Secrets, roles, names and removal in templates."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from aws_cdk import RemovalPolicy

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    LocalExecutor,
    RedisBroker,
    S3Dags,
    SeveralExecutors,
)
from synthesis import REPOSITORY, flat, references, resources, strings, template_of, tool

pytestmark = pytest.mark.xdist_group("synth")

CONTAINERS = {"database": ContainerDatabase(), "executor": CeleryExecutor(broker=RedisBroker.container())}
CLUSTERS = {
    "3.3 containers": {"version": AirflowVersion.V3_3, **CONTAINERS},
    "2.11 containers": {"version": AirflowVersion.V2_11, **CONTAINERS},
    "3.3 Celery": {"version": AirflowVersion.V3_3, "executor": CeleryExecutor()},
    "3.3 Local": {"version": AirflowVersion.V3_3, "executor": LocalExecutor()},
    "2.11 Celery": {"version": AirflowVersion.V2_11, "executor": CeleryExecutor()},
    "2.11 Local": {"version": AirflowVersion.V2_11, "executor": LocalExecutor()},
    "3.3 ECS": {"version": AirflowVersion.V3_3, "executor": EcsExecutor()},
    "2.11 ECS": {"version": AirflowVersion.V2_11, "executor": EcsExecutor()},
    "3.3 Celery and ECS": {
        "version": AirflowVersion.V3_3,
        "executor": SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True)]),
    },
}
SECRETS = ("AWS::SecretsManager::Secret", "AWS::SecretsManager::SecretTargetAttachment")
WORKER, TASK, MIGRATION = "Poolsdefault/worker", "Tasksexecutor/task", "Gate/migrate"
POSTGRES, REDIS = "Database/postgres", "Broker/redis"
SCHEDULER, PROCESSOR, TRIGGERER = "Scheduler/scheduler", "DagProcessor/dag-processor", "Triggerer/triggerer"
CORE, EXECUTION, WEBSERVER = "ApiServer/api-server", "ApiServer/execution-api", "Webserver/webserver"

# The containers that receive each secret.
DATABASE_3 = {CORE, EXECUTION, SCHEDULER, PROCESSOR, TRIGGERER, MIGRATION}
DATABASE_2 = {WEBSERVER, SCHEDULER, PROCESSOR, TRIGGERER, MIGRATION}
HOLDERS = {
    "3.3 Celery": {
        "DatabaseCredentials": DATABASE_3,
        "SecretsFernet": DATABASE_3,
        "SecretsJwt": {CORE, EXECUTION, SCHEDULER},
        "SecretsSession": {CORE, TRIGGERER, WORKER},
        "BrokerToken": {SCHEDULER, WORKER},
        "SecretsAdmin": {MIGRATION},
    },
    "3.3 Local": {
        "DatabaseCredentials": DATABASE_3,
        "SecretsFernet": DATABASE_3,
        "SecretsJwt": {CORE, EXECUTION, SCHEDULER},
        "SecretsSession": {CORE, TRIGGERER, SCHEDULER},
        "SecretsAdmin": {MIGRATION},
    },
    "2.11 Celery": {
        "DatabaseCredentials": DATABASE_2 | {WORKER},
        "SecretsFernet": DATABASE_2 | {WORKER},
        "SecretsSession": {WEBSERVER, TRIGGERER, WORKER},
        "BrokerToken": {SCHEDULER, WORKER},
        "SecretsAdmin": {MIGRATION},
    },
    "2.11 Local": {
        "DatabaseCredentials": DATABASE_2,
        "SecretsFernet": DATABASE_2,
        "SecretsSession": {WEBSERVER, TRIGGERER, SCHEDULER},
        "SecretsAdmin": {MIGRATION},
    },
    "3.3 ECS": {
        "DatabaseCredentials": DATABASE_3,
        "SecretsFernet": DATABASE_3,
        "SecretsJwt": {CORE, EXECUTION, SCHEDULER},
        "SecretsSession": {CORE, TRIGGERER},
        "SecretsAdmin": {MIGRATION},
    },
    "2.11 ECS": {
        "DatabaseCredentials": DATABASE_2 | {TASK},
        "SecretsFernet": DATABASE_2 | {TASK},
        "SecretsSession": {WEBSERVER, TRIGGERER},
        "SecretsAdmin": {MIGRATION},
    },
}
HOLDERS["3.3 Celery and ECS"] = HOLDERS["3.3 Celery"]
for line in ("3.3", "2.11"):
    same = HOLDERS[f"{line} Celery"]
    own = {"DatabaseCredentials": {POSTGRES}, "BrokerToken": {REDIS}}
    HOLDERS[f"{line} containers"] = {name: holders | own.get(name, set()) for name, holders in same.items()}
# The containers that may read the bucket of DAGs.
DAG_READERS = {
    "3.3 Celery": {PROCESSOR, WORKER},
    "3.3 Local": {PROCESSOR, SCHEDULER},
    "2.11 Celery": {PROCESSOR, WORKER},
    "3.3 containers": {PROCESSOR, WORKER},
    "2.11 containers": {PROCESSOR, WORKER},
    "2.11 Local": {PROCESSOR, SCHEDULER},
    "3.3 ECS": {PROCESSOR, TASK},
    "2.11 ECS": {PROCESSOR, TASK},
    "3.3 Celery and ECS": {PROCESSOR, WORKER, TASK},
}
# The containers that may read and write the bucket of task logs.
LOG_READERS = {name: {CORE if name.startswith("3") else WEBSERVER} for name in CLUSTERS}
LOG_WRITERS = {name: {TRIGGERER, *(DAG_READERS[name] - {PROCESSOR})} for name in CLUSTERS}

clusters = pytest.mark.parametrize("name", CLUSTERS)


def component(logical_id):
    """Return the component that owns a resource, such as "ApiServer", "Poolsdefault" or "Gate"."""
    return re.match(r"Airflow(?:Components)?(\w+?)(?:TaskDefinition|TaskRole|ExecutionRole)", logical_id)[1]


def secret_name(reference):
    """Return the name of the referenced secret, directly or through its attachment to a database."""
    (logical_id,) = references(reference) - {"AWS::Partition"}
    return re.match(r"Airflow(\w+?)(?:Attachment)?[0-9A-F]{8}$", logical_id)[1]


def containers(template):
    """Return every container by component and name."""
    return {
        f"{component(key)}/{container['Name']}": container
        for key, definition in resources(template, "AWS::ECS::TaskDefinition").items()
        for container in definition["Properties"]["ContainerDefinitions"]
    }


def airflow_containers(template):
    """Return every Airflow container by component and name."""
    return {name: container for name, container in containers(template).items() if name not in (POSTGRES, REDIS)}


def environment(container):
    """Return a container's variables that are not secrets."""
    return {variable["Name"]: variable["Value"] for variable in container.get("Environment", ())}


def statements(template):
    """Yield (role, statement), for shared statements once per role."""
    for role, resource in resources(template, "AWS::IAM::Role").items():
        for policy in resource["Properties"].get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield role, statement
    for policy in resources(template, "AWS::IAM::Policy").values():
        for role in policy["Properties"]["Roles"]:
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                yield role["Ref"], statement


def several(value):
    """Return a value or a list as a list."""
    return value if isinstance(value, list) else [value]


def allowed(template, store, action):
    """Return the components that may do *action* on the objects of a bucket."""
    return {
        component(role)
        for role, statement in statements(template)
        if "TaskRole" in role and action in several(statement["Action"])
        if any(resource.startswith(f"<Airflow{store}") for resource in strings(flat(several(statement["Resource"]))))
    }


def walk(node, path=()):
    """Yield every text of *node* with its path of keys."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, (*path, key))
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)
    elif isinstance(node, str):
        yield path, node


@clusters
def test_the_only_dynamic_references_are_the_initial_passwords(name):
    """CloudFormation resolves no secret except the initial passwords of database and Redis."""
    found = {
        (resource["Type"], path[0])
        for resource in template_of(**CLUSTERS[name])["Resources"].values()
        for path, text in walk(resource["Properties"])
        if "{{resolve:" in text
    }
    expected = set() if "containers" in name else {("AWS::RDS::DBInstance", "MasterUserPassword")}
    if "Celery" in name:
        expected.add(("AWS::ElastiCache::ReplicationGroup", "AuthToken"))
    assert found == expected


@clusters
def test_secrets_manager_generates_every_secret(name):
    """Secrets Manager generates every secret."""
    template = template_of(**CLUSTERS[name])
    for secret in resources(template, "AWS::SecretsManager::Secret").values():
        assert {"Description", "GenerateSecretString", "KmsKeyId"} == {*secret["Properties"]}
    assert {*template.get("Parameters", {})} == {"BootstrapVersion"}


@clusters
def test_no_plain_variable_refers_to_a_secret(name):
    """No plain variable refers to a secret."""
    template = template_of(**CLUSTERS[name])
    held = {*resources(template, *SECRETS)}
    assert held
    functions = resources(template, "AWS::Lambda::Function").values()
    plain = [
        *map(environment, containers(template).values()),
        *(function["Properties"].get("Environment", {}).get("Variables", {}) for function in functions),
    ]
    assert [values for values in plain if references(values) & held] == []


@clusters
def test_only_the_output_with_the_admin_command_refers_to_a_secret(name):
    """Only the output with the admin's command refers to a secret."""
    template = template_of(**CLUSTERS[name])
    held = {*resources(template, *SECRETS)}
    by_output = {key: references(output) & held for key, output in template["Outputs"].items()}
    ((output, (secret,)),) = ((key, value) for key, value in by_output.items() if value)
    assert output.startswith("AirflowAdminPasswordCommand")
    assert secret.startswith("AirflowSecretsAdmin")


@clusters
def test_only_the_containers_in_the_table_have_each_secret(name):
    """For each secret, a table lists the containers that have the secret."""
    found = {}
    for container, definition in containers(template_of(**CLUSTERS[name])).items():
        for secret in definition.get("Secrets", ()):
            found.setdefault(secret_name(secret["ValueFrom"]), set()).add(container)
    assert found == HOLDERS[name]


@clusters
def test_only_the_execution_roles_in_the_table_may_read_each_secret(name):
    """For each secret, a table lists the containers whose execution role may read the secret."""
    found = {}
    for role, statement in statements(template_of(**CLUSTERS[name])):
        if any(action.startswith("secretsmanager:") for action in several(statement["Action"])):
            assert "ExecutionRole" in role
            for resource in several(statement["Resource"]):
                found.setdefault(secret_name(resource), set()).add(component(role))
    assert found == {
        secret: {holder.partition("/")[0] for holder in holders} for secret, holders in HOLDERS[name].items()
    }


@clusters
def test_only_the_containers_in_the_table_have_dag_files(name):
    """Only the containers in DAG_READERS have DAG files."""
    template = template_of(**CLUSTERS[name])
    readers = DAG_READERS[name]
    assert allowed(template, "DagsBucket", "s3:GetObject") == {reader.partition("/")[0] for reader in readers}
    folders = {
        container: environment(definition).get("AIRFLOW__CORE__DAGS_FOLDER")
        for container, definition in airflow_containers(template).items()
    }
    assert {container for container, folder in folders.items() if folder != "/nonexistent"} == readers
    with_bucket = {
        container
        for container, definition in containers(template).items()
        if any("<AirflowDagsBucket" in text for text in strings(flat(definition)))
    }
    assert with_bucket == readers


@clusters
def test_task_runners_write_logs_and_the_web_component_reads_them(name):
    """Task runners write logs; the web component reads them."""
    template = template_of(**CLUSTERS[name])
    written = {writer.partition("/")[0] for writer in LOG_WRITERS[name]}
    assert allowed(template, "LogsTasks", "s3:PutObject") == written
    read = {reader.partition("/")[0] for reader in LOG_READERS[name]}
    assert allowed(template, "LogsTasks", "s3:GetObject") == read | written


@clusters
def test_the_entry_point_does_not_wait_for_database_or_broker(name):
    """By default, the entry point of the official image waits for database and broker."""
    for container, definition in airflow_containers(template_of(**CLUSTERS[name])).items():
        variables = environment(definition)
        names = [*variables, *(secret["Name"] for secret in definition.get("Secrets", ()))]
        assert variables["CONNECTION_CHECK_MAX_COUNT"] == "0", container
        assert [each for each in names if re.match(r"DB_|BACKEND$|_AIRFLOW_|_PIP_", each)] == [], container
        start, more = definition["EntryPoint"][:3], definition["EntryPoint"][3:]
        assert start == ["/usr/bin/dumb-init", "--", "/entrypoint"], container
        # The program that loads DAG files precedes the command, which the ECS executor replaces.
        assert more[:2] == (["python", "-c"] if container in DAG_READERS[name] else []), container
        assert definition["Command"], container


@clusters
def test_each_component_has_its_own_roles(name):
    """No two components share a task role or an execution role."""
    definitions = [
        flat(definition["Properties"])
        for definition in resources(template_of(**CLUSTERS[name]), "AWS::ECS::TaskDefinition").values()
    ]
    roles = [definition[key] for definition in definitions for key in ("TaskRoleArn", "ExecutionRoleArn")]
    assert len({*roles}) == len(roles) == 2 * len(definitions)


@clusters
def test_only_a_function_of_cdk_has_a_managed_policy(name):
    """CDK's function that closes the default security group writes its log with a managed policy."""
    template = template_of(**CLUSTERS[name])
    assert resources(template, "AWS::IAM::ManagedPolicy") == {}
    (role,) = (each for each in resources(template, "AWS::IAM::Role").items() if "Managed" in str(each))
    assert role[0].startswith("CustomVpcRestrictDefaultSG")
    assert "AWSLambdaBasicExecutionRole" in str(role[1]["Properties"]["ManagedPolicyArns"])


@pytest.mark.parametrize("enabled", [None, True, False])
def test_only_ecs_exec_has_permissions_on_all_resources(enabled):
    """Only ECS Exec has permissions on all resources."""
    found = {}
    for role, statement in statements(template_of(enable_exec=enabled)):
        if "*" in several(statement["Resource"]):
            found.setdefault(component(role), set()).update(several(statement["Action"]))
    shell = {f"ssmmessages:{verb}{which}Channel" for verb in ("Create", "Open") for which in ("Control", "Data")}
    components = {"ApiServer", "Scheduler", "DagProcessor", "Triggerer", "Poolsdefault"}
    expected = {None: {"ApiServer"}, True: components, False: set()}[enabled]
    assert found == {each: {*shell, "logs:DescribeLogGroups"} for each in expected}


@clusters
def test_no_action_in_a_policy_has_a_wildcard(name):
    """iam:PassRole allows only the roles of tasks that the migration gate or the ECS executor starts."""
    found = [
        (action, resource)
        for _, statement in statements(template_of(**CLUSTERS[name]))
        for action in several(statement["Action"])
        for resource in several(statement["Resource"])
    ]
    assert [action for action, _ in found if "*" in action] == []
    passed = [resource for action, resource in found if action == "iam:PassRole"]
    started = {"Gate", "Tasksexecutor"} if "ECS" in name else {"Gate"}
    assert {component(key) for resource in passed for key in references(resource)} == started


@pytest.mark.parametrize("name", ["3.3 ECS", "2.11 ECS", "3.3 Celery and ECS"])
def test_the_scheduler_may_start_only_executor_tasks(name):
    """The scheduler may pass only the two roles of executor tasks."""
    template = template_of(**CLUSTERS[name])
    found = [
        (several(statement["Action"]), several(flat(statement["Resource"])), statement.get("Condition"))
        for role, statement in statements(template)
        if role.startswith("AirflowComponentsSchedulerTaskRole")
    ]
    (cluster,) = resources(template, "AWS::ECS::Cluster")
    roles = [key for key in resources(template, "AWS::IAM::Role") if key.startswith("AirflowTasksexecutor")]
    ((key, definition),) = (
        (key, each["Properties"])
        for key, each in resources(template, "AWS::ECS::TaskDefinition").items()
        if key.startswith("AirflowTasksexecutor")
    )
    here = "arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>"
    only_here = {"ArnEquals": {"ecs:cluster": {"Fn::GetAtt": [cluster, "Arn"]}}}
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert found == [
        (["ecs:RunTask"], [f"{here}:task-definition/{definition['Family']}:*"], only_here),
        (["ecs:DescribeTasks", "ecs:StopTask"], [f"{here}:task/<{cluster}>/*"], None),
        (["ecs:TagResource"], [f"{here}:task/<{cluster}>/*"], {"StringEquals": {"ecs:CreateAction": "RunTask"}}),
        (["iam:PassRole"], [f"<{role}.Arn>" for role in sorted(roles, reverse=True)], to_tasks),
    ]
    (scheduler,) = (c for c in containers(template).values() if c["Name"] == "scheduler")
    assert environment(scheduler)["AIRFLOW__AWS_ECS_EXECUTOR__TASK_DEFINITION"] == {"Ref": key}
    (service,) = (
        service
        for key, service in resources(template, "AWS::ECS::Service").items()
        if key.startswith("AirflowComponentsScheduler")
    )
    assert {*roles, key} <= {*service["DependsOn"]}


def test_an_executor_task_of_airflow_3_has_no_secret():
    """User code in an executor task cannot read a secret of the cluster."""
    assert "Secrets" not in containers(template_of(**CLUSTERS["3.3 ECS"]))[TASK]


def test_only_clusters_that_use_spot_have_capacity_providers():
    """Only clusters that use Spot have capacity providers."""
    offers = {
        name: [
            given["Properties"]["CapacityProviders"]
            for given in resources(
                template_of(**CLUSTERS[name]), "AWS::ECS::ClusterCapacityProviderAssociations"
            ).values()
        ]
        for name in ("3.3 ECS", "3.3 Celery and ECS")
    }
    assert offers == {"3.3 ECS": [], "3.3 Celery and ECS": [["FARGATE", "FARGATE_SPOT"]]}


@clusters
def test_permissions_on_log_streams_do_not_extend_an_arn_with_a_wildcard(name):
    """A log group's ARN ends with ":*"."""
    template = template_of(**CLUSTERS[name])
    groups = {f"<{key}.Arn>" for key in resources(template, "AWS::Logs::LogGroup")}
    used = [text for _, statement in statements(template) for text in strings(flat(statement["Resource"]))]
    assert {text for text in used if any(group in text for group in groups)} - groups == set()
    assert any(text.endswith(":log-stream:Gate/migrate/*") for text in used)


@clusters
def test_services_may_assume_roles_only_for_this_account(name):
    """Services may assume roles only for this account, except Lambda."""
    trusts = {}
    for role in resources(template_of(**CLUSTERS[name]), "AWS::IAM::Role").values():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        equal = statement.get("Condition", {}).get("StringEquals", {})
        trusts.setdefault(statement["Principal"]["Service"], set()).add(equal.get("aws:SourceAccount", {}).get("Ref"))
    if "containers" in name:
        trusts["monitoring.rds.amazonaws.com"] = {"AWS::AccountId"}
    assert trusts == {
        "ecs-tasks.amazonaws.com": {"AWS::AccountId"},
        "vpc-flow-logs.amazonaws.com": {"AWS::AccountId"},
        "monitoring.rds.amazonaws.com": {"AWS::AccountId"},
        "lambda.amazonaws.com": {None},
    }


def policies(template):
    """Return the deletion policies of all stores, by logical id."""
    keep = ("AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup", "AWS::S3::Bucket", "AWS::KMS::Key")
    stores = resources(template, *keep, "AWS::EFS::FileSystem", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup")
    return {key: resource.get("DeletionPolicy") for key, resource in stores.items()}


def test_databases_leave_a_snapshot_and_other_stores_are_retained():
    """Databases leave a snapshot; other stores are retained."""
    template = template_of()
    for key, policy in policies(template).items():
        kind = template["Resources"][key]["Type"]
        snapshot = kind in {"AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}
        passing = key.startswith(("AirflowVpcFlowLogGroup", "AirflowGateHandlerLogs"))
        assert policy == ("Snapshot" if snapshot else "Delete" if passing else "Retain"), key
        assert template["Resources"][key]["UpdateReplacePolicy"] == policy, key
    (database,) = resources(template, "AWS::RDS::DBInstance").values()
    assert database["Properties"]["DeletionProtection"] is True


def test_removal_policy_destroy_deletes_all_stores():
    """With `RemovalPolicy.DESTROY`, all stores are deleted with the stack."""
    dags = S3Dags(REPOSITORY / "examples/production/dags")
    template = template_of(removal_policy=RemovalPolicy.DESTROY, dags=dags)
    assert {key for key, policy in policies(template).items() if policy != "Delete"} == set()
    (database,) = resources(template, "AWS::RDS::DBInstance").values()
    assert database["Properties"]["DeletionProtection"] is False


@clusters
def test_only_private_dns_zones_and_task_families_have_fixed_names(name):
    """Resources without fixed names can be copied and replaced."""
    given = {
        (resource["Type"], key, value)
        for resource in template_of(**CLUSTERS[name])["Resources"].values()
        for key, value in resource.get("Properties", {}).items()
        if isinstance(value, str) and re.search(r"(Name|Identifier|^Family|^Alias|^ReplicationGroupId)$", key)
    }
    kinds = {(kind, key) for kind, key, _ in given}
    expected = {
        ("AWS::ECS::TaskDefinition", "Family"),  # the family, unique for each deployed stack
        ("AWS::RDS::DBParameterGroup", "Family"),  # the PostgreSQL release, such as postgres17
        ("AWS::IAM::Policy", "PolicyName"),  # must be unique only inside a role
        ("AWS::RDS::DBInstance", "DBName"),  # must be unique only inside the database server
    }
    if "containers" in name:
        expected = {kind for kind in expected if not kind[0].startswith("AWS::RDS")}
    if name.startswith("3") or "containers" in name:
        expected |= {
            ("AWS::ServiceDiscovery::PrivateDnsNamespace", "Name"),
            ("AWS::ServiceDiscovery::Service", "Name"),  # inside the zone
        }
    assert kinds == expected


def test_equal_arguments_give_equal_templates():
    """Templates contain no random value, such as a generated secret."""
    again = template_of(environment={})
    assert json.dumps(again) == json.dumps(template_of())


# Example values of Ref and Fn::GetAtt by resource type; a log group's ARN ends with ":*".
HERE = "eu-central-1:123456789012"
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{HERE}:table/table",
    "AWS::ECS::Cluster": f"arn:aws:ecs:{HERE}:cluster/cluster",
    "AWS::EFS::AccessPoint": f"arn:aws:elasticfilesystem:{HERE}:access-point/fsap-0123456789abcdef0",
    "AWS::EFS::FileSystem": f"arn:aws:elasticfilesystem:{HERE}:file-system/fs-0123456789abcdef0",
    "AWS::EC2::VPC": "sg-0123456789abcdef0",  # templates refer only to the default security group of a VPC
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/role",
    "AWS::KMS::Key": f"arn:aws:kms:{HERE}:key/key",
    "AWS::Lambda::Function": f"arn:aws:lambda:{HERE}:function:function",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:group:*",
    "AWS::S3::Bucket": "arn:aws:s3:::bucket",
    "AWS::Events::Rule": f"arn:aws:events:{HERE}:rule/rule",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:topic",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:queue",
    "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{HERE}:secret:name-AbCdEf",
    "AWS::SecretsManager::SecretTargetAttachment": f"arn:aws:secretsmanager:{HERE}:secret:name-AbCdEf",
}
REFS = {
    **{"AWS::ECS::Cluster": "cluster", "AWS::Logs::LogGroup": "group"},
    **{"AWS::RDS::DBInstance": "database", "AWS::RDS::DBCluster": "database"},
}
PSEUDO = {
    **{"AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012"},
    **{"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"},
}
PARLIAMENT = """
import json, sys
from parliament import analyze_policy_string
policies = json.load(sys.stdin)
found = {name: analyze_policy_string(json.dumps(policy)).findings for name, policy in policies.items()}
print(json.dumps({name: [str(finding) for finding in findings] for name, findings in found.items()}))
"""


def deployed(template, node):
    """Resolve references in a part of a template to example values."""

    def value(match):
        logical_id, _, attribute = match[1].partition(".")
        kind = template["Resources"][logical_id]["Type"]
        return REFS[kind] if kind in REFS and not attribute else ARNS[kind]

    return json.loads(re.sub(r"<([\w.]+)>", value, json.dumps(flat(node, PSEUDO))))


def analyze(named_policies):
    """Return the findings of parliament, by policy."""
    run = subprocess.run(
        [REPOSITORY / ".venvs/parliament/bin/python", "-W", "ignore", "-c", PARLIAMENT],
        input=json.dumps(named_policies),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


@tool("parliament", "parliament")
def test_parliament_accepts_every_statement():
    """Parliament accepts every statement."""
    clusters = {name: template_of(**cluster) for name, cluster in CLUSTERS.items()}
    clusters["with a shell"] = template_of(enable_exec=True, **CLUSTERS["3.3 containers"])
    policies = {
        f"{name} {role} {number}": {"Version": "2012-10-17", "Statement": [deployed(template, statement)]}
        for name, template in clusters.items()
        for number, (role, statement) in enumerate(statements(template))
    }
    impossible = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}
    policies["control"] = {"Version": "2012-10-17", "Statement": [impossible]}
    found = analyze(policies)
    assert found.pop("control")
    assert {policy: findings for policy, findings in found.items() if findings} == {}
