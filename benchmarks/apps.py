"""The processes that synthesis.py measures, with minimal imports: ``apps.py KIND NUMBER OUTPUT``."""

from __future__ import annotations

import sys

from aws_cdk import App, Stack


def main(kind: str, number: int, output: str, template: str = "") -> None:
    """Synthesize an app with *number* stacks of the measured kind."""
    app = App(outdir=output)
    for index in range(number):
        stack = Stack(app, f"Quickstart{index}")
        if kind == "ours":
            from cdk_airflow_ecs import AirflowCluster, AirflowVersion

            AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3)
        elif kind == "by-hand":
            from by_hand import build

            build(stack)
        elif kind == "include":
            from aws_cdk.cloudformation_include import CfnInclude

            CfnInclude(stack, "Template", template_file=template)
    app.synth()


if __name__ == "__main__":
    kind, number, *rest = sys.argv[1:]
    main(kind, int(number), *rest)
