"""One `cdk deploy` deploys all examples that no other module deploys, in one emulated AWS account."""

import json

import pytest

from synthesis import EXAMPLES, Assembly, run_example

from . import builder, readback, test_aurora_deploy, test_container_deploy, test_deploy, test_image_assets
from .server import INTERPRETER, REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

# Examples that other test modules deploy unchanged.
ELSEWHERE = {
    "aurora": test_aurora_deploy.EXAMPLE,
    "celery-redis-container": test_container_deploy.EXAMPLE,
    "custom-image": test_image_assets.EXAMPLE,
    "quickstart": test_deploy.QUICKSTART,
}
HERE = [name for name in EXAMPLES if name not in ELSEWHERE]
# The hosted zone that an example expects in the account.
ZONE = ("Z0123456789EXAMPLE", "data.example.com")


@pytest.fixture(scope="module")
def deployed(emulator, tmp_path_factory):
    """Deploy the examples; return their assemblies, the builder's calls and the migration tasks."""
    folder = tmp_path_factory.mktemp("examples")
    apps = {name: run_example(name, outdir=str(folder / "out" / f"assembly-{name}")) for name in HERE}
    # Combine all assemblies into one, in which each example is a stage.
    stages = {
        app.folder.name: {"type": "cdk:cloud-assembly", "properties": {"directoryName": app.folder.name}}
        for app in apps.values()
    }
    version = json.loads((apps[HERE[0]].folder / "manifest.json").read_text())["version"]
    (folder / "out/manifest.json").write_text(json.dumps({"version": version, "artifacts": stages}))
    log = folder / "builder.log"
    emulator.zone(*ZONE)
    before = len(emulator.ran)
    done = emulator.cdk(
        *("deploy", "**", "--app", "out", "--concurrency", "4", "--require-approval", "never"),
        cwd=folder,
        CDK_DOCKER=builder.__file__,
        BUILDER_LOG=str(log),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    calls = [json.loads(line)["arguments"] for line in log.read_text().splitlines()]
    return apps, calls, emulator.ran[before:]


def test_every_example_is_deployed_by_a_test():
    """Every example is deployed by this test module or another one."""
    folders = sorted(file.parent.name for file in (REPOSITORY / "examples").glob("*/README.md"))
    assert sorted([*HERE, *ELSEWHERE]) == folders
    assert {name: f"examples/{name}" in str(app) for name, app in ELSEWHERE.items()} == dict.fromkeys(ELSEWHERE, True)


@pytest.mark.parametrize("name", HERE)
def test_the_api_describes_each_example_as_declared(emulator, deployed, name):
    """The API describes each declared property of each resource."""
    templates = deployed[0][name].templates
    assert templates
    for stack, template in templates.items():
        found = readback.Stack(emulator.client, stack)
        assert found.bodies.keys() - {"CDKMetadata"} == template["Resources"].keys() - {"CDKMetadata"}
        assert found.ids.keys() == found.bodies.keys()
        assert [line for resource in found.bodies for line in found.differences(resource)] == []
    kinds = [body["Type"] for template in templates.values() for body in template["Resources"].values()]
    assert kinds.count("Custom::AirflowMigration") == 1


def test_the_comparison_with_the_api_finds_an_additional_file(emulator, deployed):
    """The comparison with the API finds an additional file in a bucket."""
    found = readback.Stack(emulator.client, "Platform")
    (upload,) = (name for name, body in found.bodies.items() if body["Type"] == "Custom::CDKBucketDeployment")
    stray = {"Bucket": found.declared(upload)["DestinationBucketName"], "Key": "stray.py"}
    emulator.client("s3").put_object(**stray)
    with pytest.raises(AssertionError, match=r"stray\.py"):
        list(found.differences(upload))
    emulator.client("s3").delete_object(**stray)
    assert list(found.differences(upload)) == []


def test_the_image_of_an_example_is_built_once(emulator, deployed):
    """Only the SQS example builds an image, once, for all of its containers."""
    apps, calls, _ = deployed
    assert [call[0] for call in calls].count("build") == 1
    (pushed,) = (call[1] for call in calls if call[0] == "push")
    assert run_by(emulator, apps["celery-sqs"]) == {pushed}
    for name in HERE:
        assert name == "celery-sqs" or pushed not in run_by(emulator, apps[name])


def test_each_example_runs_one_migration(emulator, deployed):
    """Each example's cluster runs one migration task, with the cluster's image."""
    apps, _, ran = deployed
    assert len(ran) == len(HERE)
    images = [{*run_by(emulator, app)} for app in apps.values()]
    for task in ran:
        assert task["startedBy"].startswith("cdk-airflow-ecs-migration/")
        assert any(task["containers"][0]["image"] in each for each in images)


def run_by(emulator, app: Assembly):
    """Return the images that an example's tasks run."""
    return {image for stack in app.templates for image in readback.Stack(emulator.client, stack).images()}
