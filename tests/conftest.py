"""Pytest puts the folder of a conftest on the path, so every test below it can import ``servers`` and ``synthesis``."""

import os
from pathlib import Path

# jsii starts Node.js when aws_cdk is imported, so all of this must be said before. CDK's validator costs each process
# seconds; one test runs it on purpose.
os.environ["CDK_VALIDATION"] = "false"
os.environ["PATH"] = f"{Path(__file__).parents[1] / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
