"""Outputs of the stack: URL and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack

from cdk_airflow_ecs.ports import WEB_PORT

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.monitoring.observed import ObservedCluster


def add_outputs(scope: Construct, observed: ObservedCluster) -> None:
    """Add the cluster's outputs."""
    region = Stack.of(scope).region
    resources = observed.resources
    url = resources["Web"].text("url")
    CfnOutput(scope, "Url", value=url, description="Airflow")
    CfnOutput(
        scope,
        "AdminPasswordCommand",
        description="Prints the first password of the user admin",
        value=(
            f"aws secretsmanager get-secret-value --region {region} --query SecretString --output text"
            f" --secret-id {resources['Admin'].text('arn')}"
        ),
    )
    dags = resources["Dags"]
    if "uri" in dags.attributes:
        CfnOutput(scope, "DagsBucket", value=dags.text("bucket_name"), description="Bucket of the DAGs")
        CfnOutput(
            scope,
            "UploadDagsCommand",
            value=f"aws s3 sync --region {region} --delete dags/ {dags.text('uri')}",
            description="Makes the cluster's DAGs equal to the folder dags/",
        )
    if observed.internal:
        CfnOutput(
            scope,
            "OpenCommand",
            value=_tunnel(observed, region),
            description=(
                f"Brings the internal UI to http://localhost:{WEB_PORT} (needs the Session Manager plugin)"
                if observed.services[observed.web].enable_exec
                else "The UI is internal"
            ),
        )


def _tunnel(observed: ObservedCluster, region: str) -> str:
    web = observed.services[observed.web]
    if not web.enable_exec:
        return "Connect to the VPC to open the URL, or set enable_exec=True and read this output again"
    cluster, service, container = observed.ecs_cluster, web.resource.service_name, web.containers[0]
    # On Fargate, the runtime id of a container starts with the id of its task.
    return (
        f"id=$(aws ecs describe-tasks --region {region} --cluster {cluster} --tasks"
        f" $(aws ecs list-tasks --region {region} --cluster {cluster} --service-name {service}"
        " --query 'taskArns[0]' --output text)"
        f" --query \"tasks[0].containers[?name=='{container}'].runtimeId | [0]\" --output text)"
        f" && aws ssm start-session --region {region} --target ecs:{cluster}_${{id%-*}}_$id"
        " --document-name AWS-StartPortForwardingSession"
        f" --parameters portNumber={WEB_PORT},localPortNumber={WEB_PORT}"
    )
