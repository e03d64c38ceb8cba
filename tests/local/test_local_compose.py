"""`airflow-ecs local compose` translates a template to a Compose project."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, EcsExecutor, LocalExecutor, SqsBroker
from cdk_airflow_ecs.local import assembly
from cdk_airflow_ecs.local.compose.project import SUBSTITUTIONS, Project, single_quoted, write
from cdk_airflow_ecs.local.compose.render import _build, compose
from cdk_airflow_ecs.local.images.image import ImageBuild
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.values import Values

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venvs/local/bin/python"
VERSIONS = (AirflowVersion.of("3.3.2"), AirflowVersion.of("2.11.2"))


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that synthesizes a cluster once."""
    done: dict[str, assembly.StackFile] = {}

    def synthesize(name: str, **arguments: Any) -> assembly.StackFile:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            app = App(outdir=str(folder))
            AirflowCluster(Stack(app, name), "Airflow", **arguments)
            app.synth()
            (done[name],) = assembly.read(folder)
        return done[name]

    return synthesize


@pytest.fixture(params=[f"{broker}-{version}" for broker in ("redis", "sqs", "local") for version in VERSIONS])
def project(request, synthesized) -> Project:
    """Translate a cluster with one combination of broker and release."""
    broker, version = request.param.split("-")
    executors = {"redis": CeleryExecutor(), "sqs": CeleryExecutor(broker=SqsBroker()), "local": LocalExecutor()}
    name = f"{broker}{version.replace('.', '')}"
    stack = synthesized(name, version=AirflowVersion.of(version), executor=executors[broker])
    return compose(stack, port=8090, remember=lambda key, make: f"{key.rpartition('/')[2]}Text")


@pytest.mark.slow
def test_compose_yaml_matches_the_compose_schema(project: Project, tmp_path: Path):
    """The file compose.yaml matches the schema of the Compose Specification."""
    write(project, tmp_path)
    code = (
        "import json,sys;from ruamel.yaml import YAML;import jsonschema\n"
        "found=YAML(typ='safe').load(open(sys.argv[1]));jsonschema.validate(found,json.load(open(sys.argv[2])))\n"
        "print(json.dumps(found))"
    )
    schema = HERE / "schema/compose-spec.json"
    command = [PYTHON, "-c", code, tmp_path / "compose.yaml", schema]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout) == project.document
    assert 'restart: "no"' in (tmp_path / "compose.yaml").read_text().replace("'", '"')


@pytest.mark.slow
def test_every_host_volume_and_dependency_in_compose_yaml_exists(project: Project):
    """Every host name is a service or alias of the project, and every volume and dependency is declared."""
    services = project.document["services"]
    known = set(services)
    for service in services.values():
        known |= set(service.get("networks", {}).get("default", {}).get("aliases", ()))
    for name, service in services.items():
        values = service.get("environment", {})
        hosts = {value for key, value in values.items() if key.endswith("_HOST")}
        hosts |= set(re.findall(r"https?://([\w.-]+)(?::|/)", json.dumps(values)))
        assert hosts - {"localhost"} <= known, name
        assert set(service.get("depends_on", {})) <= set(services)
        volumes = {each.split(":")[0] for each in service.get("volumes", ()) if not each.startswith(".")}
        assert volumes <= set(project.document["volumes"])
    assert services["migration"]["depends_on"]["database"] == {"condition": "service_healthy"}
    scheduler = services["scheduler"]["depends_on"]
    assert scheduler == {"migration": {"condition": "service_completed_successfully"}}


@pytest.mark.slow
def test_compose_yaml_contains_no_secret(project: Project, tmp_path: Path):
    """Secrets are only in files that only the owner can read; client and server have the same password."""
    written = write(project, tmp_path)
    text = (tmp_path / "compose.yaml").read_text()
    secrets = {value for variables in project.environments.values() for value in variables.values()} - {"airflow"}
    assert len(secrets) >= 4
    assert not [secret for secret in secrets if secret in text]
    for file in written:
        if file.suffix == ".env":
            assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    database, scheduler = project.environments["database"], project.environments["scheduler"]
    assert database["POSTGRES_PASSWORD"] == scheduler["METADATA_PASSWORD"]
    if "broker" in project.environments:
        assert project.environments["broker"]["REDISCLI_AUTH"] == scheduler["BROKER_TOKEN"]


@pytest.mark.slow
def test_compose_services_have_commands_and_environment_of_the_template(project: Project, synthesized, request):
    """Commands and environments are those of the template, except for the documented substitutions."""
    name = request.node.callspec.params["project"].replace(".", "").replace("-", "")
    resources = synthesized(name).template["Resources"]
    checked = 0
    for resource in resources.values():
        if resource["Type"] != "AWS::ECS::TaskDefinition":
            continue
        for container in resource["Properties"]["ContainerDefinitions"]:
            service = project.document["services"].get(container["Name"])
            if service is None:
                continue
            checked += 1
            assert [word.replace("$$", "$") for word in service["command"]] == container["Command"]
            for each in container.get("Environment", ()):
                key, value = each["Name"], each["Value"]
                if key.startswith("AIRFLOW__LOGGING__REMOTE") or key.endswith(
                    ("_CMD", "BUNDLE_CONFIG_LIST", "SSLMODE")
                ):
                    continue
                if isinstance(value, str):
                    assert service["environment"][key].replace("$$", "$") == value
                else:
                    assert key in service["environment"]
            values = {each["Name"] for each in container.get("Secrets", ())}
            assert values == set(project.environments.get(container["Name"], ()))
    assert checked >= 4


@pytest.mark.slow
def test_only_the_web_component_publishes_a_port_on_the_loopback(project: Project):
    """Only the load balancer's target publishes a port, and only on 127.0.0.1."""
    published = {name: each["ports"] for name, each in project.document["services"].items() if "ports" in each}
    assert list(published.values()) == [["127.0.0.1:8090:8080"]]
    assert set(published) <= {"api-server", "webserver"}


@pytest.mark.slow
def test_containers_of_a_task_share_its_network(synthesized):
    """The API server's second container shares the network of the first, by whose name workers reach both."""
    services = compose(synthesized("redis332", version=VERSIONS[0])).document["services"]
    assert services["execution-api"]["network_mode"] == "service:api-server"
    (alias,) = services["api-server"]["networks"]["default"]["aliases"]
    values = services["worker"]["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert values == f"http://{alias}:8081/execution/"


@pytest.mark.slow
def test_components_that_read_dags_mount_the_dag_folder(project: Project):
    """Exactly the components that read the DAG bucket mount the local folder, read-only."""
    have = {
        name
        for name, each in project.document["services"].items()
        if any(volume.startswith("./dags:") and volume.endswith(":ro") for volume in each.get("volumes", ()))
    }
    assert {"dag-processor"} <= have
    assert not have & {"api-server", "execution-api", "webserver", "database", "migration"}
    for each in project.document["services"].values():
        assert not re.search("s3://|airflow_ecs", json.dumps(each.get("entrypoint", ())))


@pytest.mark.slow
def test_elasticmq_has_the_queues_of_the_template(project: Project):
    """ElasticMQ has exactly the template's Celery queues, and is in the project only if the broker is SQS."""
    if "sqs" not in json.dumps(project.document["services"].get("worker", {})):
        assert "queues" not in project.document["services"]
        return
    options = project.document["services"]["worker"]["environment"]
    values = json.dumps(options).replace("\\", "")
    names = set(re.findall(r"http://queues:9324/000000000000/(\w+)", values))
    assert names
    assert set(re.findall(r'^  "(\w+)"', project.files["elasticmq.conf"], re.M)) == names


@pytest.mark.slow
def test_a_second_compose_command_keeps_the_secrets(synthesized, tmp_path: Path):
    """The command writes the project and prints the next steps; a second run keeps the secrets."""
    synthesized("redis332", version=VERSIONS[0])
    manifest = next(tmp_path.parent.glob("redis332*/manifest.json"))
    outputs, saved = [], []
    for _ in range(2):
        command = [PYTHON, "-m", "cdk_airflow_ecs.cli", "local", "compose", manifest.parent, "--out", tmp_path / "out"]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.append(ran.stdout)
        saved.append({file.name: file.read_text() for file in (tmp_path / "out/secrets").iterdir()})
    assert "docker compose --file" in outputs[0]
    assert saved[0] == saved[1]
    assert (tmp_path / "out/compose.yaml").is_file()


@pytest.mark.slow
def test_executors_that_start_ecs_tasks_are_refused_in_compose(synthesized):
    """Compose refuses executors that start ECS tasks, with their name and a remedy."""
    stack = synthesized("ecs", version=VERSIONS[0], executor=EcsExecutor())
    with pytest.raises(Refusal, match=r"AwsEcsExecutor.*airflow-ecs local up"):
        compose(stack)


@pytest.mark.slow
def test_generated_secrets_follow_the_rules_of_the_template(synthesized):
    """Generated secrets have the template's length and alphabet; the function passed as `remember` can keep them."""
    secrets_: dict[str, str] = {}

    def remember(name: str, make) -> str:
        return secrets_.setdefault(name, make())

    stack = synthesized("redis332", version=VERSIONS[0])
    first, second = compose(stack, remember=remember), compose(stack, remember=remember)
    assert first.environments == second.environments
    assert len(base64.urlsafe_b64decode(first.environments["scheduler"]["FERNET_SEED"] + "=")) == 32
    assert re.fullmatch(r"[A-Za-z0-9]{40}", first.environments["database"]["POSTGRES_PASSWORD"])
    assert compose(stack).environments != first.environments


def test_compose_requires_a_secret_that_the_template_does_not_create():
    """Compose does not start until the user has set a secret that the template does not create."""
    definition = {
        "ContainerDefinitions": [
            {
                "Name": "scheduler",
                "Image": "apache/airflow:3.3.2",
                "Secrets": [{"Name": "MY_TOKEN", "ValueFrom": "arn:aws:secretsmanager:us-east-1:1:secret:x"}],
            }
        ]
    }
    project = compose(stack_of(definition))
    scheduler = project.document["services"]["scheduler"]
    assert project.missing == ("MY_TOKEN",)
    assert scheduler["environment"]["MY_TOKEN"].startswith("${MY_TOKEN:?")


def test_compose_refuses_an_unsupported_resource_type():
    """A resource type that is not supported is refused by name."""
    container = {
        "Name": "scheduler",
        "Image": "apache/airflow:3.3.2",
        "Environment": [{"Name": "TOPIC", "Value": {"Ref": "Topic"}}],
    }
    stack = stack_of({"ContainerDefinitions": [container]}, Topic={"Type": "AWS::SNS::Topic", "Properties": {}})
    with pytest.raises(Refusal, match=r"Ref of Topic \(AWS::SNS::Topic\)"):
        compose(stack)


def test_a_database_password_of_another_stack_is_refused():
    """A database whose password is a secret of another stack is refused."""
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:login"
    properties = {
        "Engine": "postgres",
        "DBName": "airflow",
        "MasterUsername": "airflow",
        "MasterUserPassword": f"{{{{resolve:secretsmanager:{secret}:SecretString:password::}}}}",
    }
    database = {"Type": "AWS::RDS::DBInstance", "Properties": properties}
    with pytest.raises(Refusal, match=f"secret {secret}, which is not in the template"):
        compose(stack_of({"ContainerDefinitions": []}, Database=database))


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Fn::Sub": "${AWS::Region}-${Thing}-${Thing.Arn}-${!literal}"}, "us-east-1-Thing.Ref-Thing.Arn-${literal}"),
        ({"Fn::Sub": ["${a}", {"a": {"Ref": "Thing"}}]}, "Thing.Ref"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Ref": "Size"}, "7"),
        (True, "true"),
    ],
)
def test_intrinsic_functions_resolve_as_in_cloudformation(value: Any, resolved: str):
    """Intrinsic functions return what CloudFormation returns."""
    values = Values(
        template={"Resources": {}, "Parameters": {"Size": {"Default": 7}}},
        answer=lambda logical_id, attribute: f"{logical_id}.{attribute}",
    )
    assert values.text(value) == resolved


def test_unknown_intrinsic_functions_are_refused():
    """An unknown intrinsic function is refused by name."""
    values = Values(template={"Resources": {}}, answer=lambda *_: None)
    with pytest.raises(Refusal, match="Fn::ImportValue"):
        values.text({"Fn::Join": ["", [{"Fn::ImportValue": "x"}]]})


def test_values_in_env_files_are_quoted_as_compose_reads_them():
    """Values in env files are in single quotes, in which Compose interprets only the quote itself."""
    assert single_quoted("a$b\"c'd") == "'a$b\"c\\'d'"


def test_every_documented_difference_of_compose_is_complete():
    """Every documented difference of Compose has a unique name and all fields."""
    assert len({each.name for each in SUBSTITUTIONS}) == len(SUBSTITUTIONS)
    assert all(each.says and each.here and each.why for each in SUBSTITUTIONS)


def stack_of(definition: dict[str, Any], **resources: Any) -> assembly.StackFile:
    """Return a stack with one service."""
    template = {
        "Resources": {
            "Definition": {"Type": "AWS::ECS::TaskDefinition", "Properties": definition},
            "Service": {"Type": "AWS::ECS::Service", "Properties": {"TaskDefinition": {"Ref": "Definition"}}},
            **resources,
        }
    }
    return assembly.StackFile(name="Mine", template=template, region=None, files=(), images=())


def test_compose_builds_an_image_like_cdk_deploy(tmp_path):
    """Compose builds an image asset with its build arguments, stage and Dockerfile."""
    given = ImageBuild(folder=tmp_path, file="docker/Dockerfile", arguments={"V": "a$b"}, target="final")
    assert _build(given) == {
        "context": str(tmp_path), "dockerfile": "docker/Dockerfile", "args": {"V": "a$$b"}, "target": "final"
    }  # fmt: skip
    assert _build(ImageBuild(folder=tmp_path)) == {"context": str(tmp_path)}
