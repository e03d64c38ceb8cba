"""The CDK modules that a cluster loads: each costs every synthesis its time."""

from __future__ import annotations

import ast
import subprocess
import sys

from synthesis import REPOSITORY

PROGRAM = """
import sys
{imports}
modules = [name.removeprefix("aws_cdk.") for name in sys.modules if name.startswith("aws_cdk.aws_")]
print(*(name for name in modules if "." not in name))
"""
# Under 2 ms each.
CHEAP = {"aws_ecr_assets", "aws_s3_assets", "aws_s3_deployment"}


def loaded(imports: str) -> set[str]:
    """Return the CDK modules that a new process has loaded after these imports."""
    run = [sys.executable, "-c", PROGRAM.format(imports=imports)]
    return {*subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()}


def test_a_cluster_loads_only_the_cdk_modules_of_its_resources():
    """The template written by hand needs the same modules; others are loaded by the arguments that need them."""
    tree = ast.parse((REPOSITORY / "benchmarks/by_hand.py").read_text())
    of_cdk = [each for each in tree.body if isinstance(each, ast.ImportFrom) and each.module == "aws_cdk"]
    by_hand = loaded("\n".join(map(ast.unparse, of_cdk)))
    assert "aws_ecs" in by_hand
    assert loaded("import cdk_airflow_ecs.cluster") - by_hand <= CHEAP
