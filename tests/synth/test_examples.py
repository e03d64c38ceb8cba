"""Every example: its template, and the findings of third-party linters."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import Stack

from cdk_airflow_ecs.testing import normalize
from docs.pages import page, table
from synth.readable import ReadableExtension
from synthesis import EXAMPLES, REPOSITORY, Assembly, add_cluster, cdk_program, example, synthesize, tool

pytestmark = pytest.mark.xdist_group("examples")

CFN_LINT = REPOSITORY / ".venvs/cfn-lint/bin/cfn-lint"
CHECKOV = REPOSITORY / ".venvs/checkov/bin/checkov"
# Findings of checkov with their resources; docs/concepts/security.md has the reasons.
UPLOAD = "CustomCDKBucketDeployment"  # CDK's function that uploads DAGs
EMPTYING = "CustomS3AutoDeleteObjectsCustomResourceProviderHandler"  # CDK's function, with removal_policy=DESTROY
CLOSING = "CustomVpcRestrictDefaultSGCustomResourceProviderHandler"  # CDK's function for the default security group
ZERO_ARGUMENTS_FINDINGS = {
    ("CKV_AWS_2", "AirflowWebLoadBalancerHttp"),  # HTTP inside the VPC: without a domain there is no certificate
    ("CKV_AWS_18", "AirflowLogsAccessLogs"),  # the bucket of access logs has no access logs itself
    ("CKV_AWS_103", "AirflowWebLoadBalancerHttp"),  # no TLS without a certificate
    ("CKV_AWS_115", "AirflowGateHandler"),  # reserved concurrency would reduce the account's limit of 1000
    ("CKV_AWS_117", "AirflowGateHandler"),  # the handler calls only AWS APIs, and so needs no VPC
    *((check, CLOSING) for check in ("CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117")),
}
CHECKOV_FINDINGS = ZERO_ARGUMENTS_FINDINGS | {
    ("CKV_AWS_28", "AirflowBrokerResults"),  # Celery results are needed only for seconds, so the table has no backups
    ("CKV_AWS_157", "AirflowDatabaseInstance"),  # one zone is half the price, as the example explains
    *((check, name) for check in ("CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117") for name in (UPLOAD, EMPTYING)),
    ("CKV_AWS_27", "AirflowMonitoringFailedStartsReasons"),  # encrypted with SQS's own keys
    ("CKV_AWS_173", UPLOAD),  # the function's environment variable is a path, not a secret
    # The example's stand-in for existing resources.
    *((check, "Database") for check in ("CKV_AWS_118", "CKV_AWS_161")),
    ("CKV_AWS_149", "NetworkDatabaseSecret"),
    ("CKV_AWS_158", "VpcFlowLogLogGroup"),
}


def zero_arguments(**arguments) -> Assembly:
    """Synthesize a cluster without arguments."""
    return synthesize(lambda app: add_cluster(Stack(app, "Zero"), version=None), **arguments)


@functools.cache
def feature_flags() -> dict[str, object]:
    """Return the feature flags that this CDK release recommends."""
    report = example("quickstart").artifacts["aws-cdk-lib/feature-flag-report"]["properties"]["flags"]
    return {name: flag["recommendedValue"] for name, flag in report.items()}


def lint(*templates: Path) -> list[str]:
    """Return the findings of cfn-lint, without informational ones."""
    run = subprocess.run(
        [CFN_LINT, "--format", "parseable", "--", *templates], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    return run.stdout.splitlines()


def texts(assembly: Assembly) -> dict[str, str]:
    """Return each template as text, with the keys in their original order."""
    return {stack: json.dumps(normalize(template)) for stack, template in assembly.templates.items()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_a_documented_app_that_cdk_can_run(name):
    """Each example has a docstring, a README and a cdk.json."""
    folder = REPOSITORY / "examples" / name
    assert {"app.py", "cdk.json", "README.md"} <= {file.name for file in folder.iterdir()}
    assert json.loads((folder / "cdk.json").read_text())["app"] == "python3 app.py"
    assert ast.get_docstring(ast.parse((folder / "app.py").read_text()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_snapshot(name, snapshot):
    """Reviews show every change of a template."""
    templates = {stack: normalize(template) for stack, template in example(name).templates.items()}
    assert snapshot(extension_class=ReadableExtension) == templates


@pytest.mark.parametrize("name", EXAMPLES)
def test_cdk_nag_findings_are_acknowledged_with_a_reason(name):
    """All findings of cdk-nag are acknowledged with a reason."""
    report = example(name).nag
    assert (report["conclusion"], report["violations"]) == ("success", [])
    assert report["suppressedViolations"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_acknowledgement_of_a_cdk_nag_finding_is_needed(name):
    """An unused acknowledgement would hide a later finding."""
    used = {(found["acknowledgedAt"], found["acknowledgedId"]) for found in example(name).nag["suppressedViolations"]}
    assert example(name).acknowledgements == used


@pytest.mark.parametrize("flags", ["none", "recommended"])
def test_cdk_feature_flags_cause_no_cdk_nag_findings(flags):
    """No feature flags cause findings in a cluster without arguments."""
    context = feature_flags() if flags == "recommended" else {}
    assert len(feature_flags()) > 50
    assert zero_arguments(nag=True, context=context).nag["violations"] == []


@tool("cfn-lint", "cfn-lint")
def test_cfn_lint_has_no_findings():
    """cfn-lint has no findings in the templates of the examples."""
    assemblies = [example(name) for name in EXAMPLES]
    assemblies += [zero_arguments(), zero_arguments(context=feature_flags())]
    assert lint(*(file for assembly in assemblies for file in assembly.folder.glob("*.template.json"))) == []


@tool("checkov", "checkov")
def test_checkov_has_only_documented_findings(tmp_path):
    """Checkov has only the findings that the documentation explains."""
    seen = set()
    # Check equal resources of several examples only once, because checkov is slow.
    for name, assembly in {"zero": zero_arguments(), **{name: example(name) for name in EXAMPLES}}.items():
        for stack, template in assembly.templates.items():
            texts = {key: json.dumps(resource) for key, resource in template["Resources"].items()}
            new = {key: template["Resources"][key] for key, text in texts.items() if (key, text) not in seen}
            seen |= texts.items()
            (tmp_path / f"{name}.{stack}.json").write_text(json.dumps({"Resources": new}))
    run = subprocess.run(
        [
            CHECKOV,
            *["--framework", "cloudformation", "--skip-download", "--quiet", "--output", "json", "--directory"],
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    results = json.loads(run.stdout)
    assert results["summary"]["parsing_errors"] == 0
    assert results["summary"]["passed"] > 1000
    findings = {"zero": set(), "examples": set()}
    for failed in results["results"]["failed_checks"]:
        _, _, logical_id = failed["resource"].rpartition(".")
        name = re.match("(.+?)[0-9A-F]{8}", logical_id)[1]  # without CDK's hash
        findings["zero" if "/zero." in failed["file_path"] else "examples"].add((failed["check_id"], name))
    assert findings["zero"] == ZERO_ARGUMENTS_FINDINGS
    assert findings["zero"] | findings["examples"] == CHECKOV_FINDINGS
    written = {
        check for row in table(page("concepts/security.md"), "What checkov finds")[1:] for check in row[0].split(", ")
    }
    assert written == {check for check, _ in CHECKOV_FINDINGS}


@pytest.mark.slow
def test_the_cdk_validator_has_no_findings():
    """CDK's validator, with CloudFormation's default rules as errors, has no findings."""
    script = """
import json, synthesis
from aws_cdk import CfnResource, Stack
strict = {"@aws-cdk/core:validateAgainstDefaultRules": True}
print(json.dumps({name: synthesis.run_example(name, context=strict).reports for name in synthesis.EXAMPLES}))
# It works at all: Fargate has no such machine.
impossible = {"RequiresCompatibilities": ["FARGATE"], "NetworkMode": "awsvpc", "Cpu": "256", "Memory": "30720"}
container = {"ContainerDefinitions": [{"Name": "one", "Image": "one"}]}
synthesis.synthesize(
    lambda app: CfnResource(
        Stack(app, "Control"), "Bad", type="AWS::ECS::TaskDefinition", properties={**impossible, **container}
    ),
    context=strict,
)
"""
    environment = {name: value for name, value in os.environ.items() if name != "CDK_VALIDATION"}
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "PYTHONPATH": str(REPOSITORY / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {name: [] for name in EXAMPLES} == json.loads(run.stdout), run.stderr
    assert "E3047" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_cdk_synth_and_cdk_ls_work_on_each_example(name, tmp_path):
    """`cdk synth --strict` and `cdk ls` work on each example.

    The templates are identical, although each process orders hashes differently.
    """
    # Without these options, the CDK command adds usage statistics and paths to templates.
    plain = ["--no-version-reporting", "--no-path-metadata", "--no-asset-metadata"]
    # A hash seed that differs from that of this process.
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true", "PYTHONHASHSEED": seed}

    def run(*arguments):
        return subprocess.run(
            [cdk_program(), "--no-notices", *arguments],
            cwd=REPOSITORY / "examples" / name,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    run("synth", "--strict", "--quiet", "--output", str(tmp_path), *plain)
    assert sorted(example(name).templates) == sorted(run("ls", "--app", str(tmp_path)).split())
    assert texts(Assembly(tmp_path)) == texts(example(name))
