"""What the stack tells its user after a deploy: where Airflow is, and the commands to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack

from cdk_airflow_ecs.airflow import WEB_PORT

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.binding import Binding
    from cdk_airflow_ecs.render_context import RenderedComponent


def add_outputs(scope: Construct, bindings: Mapping[str, Binding], web: RenderedComponent, *, internal: bool) -> None:
    """Add the outputs of a cluster.

    Args:
        scope: the cluster.
        bindings: what exists.
        web: the web component.
        internal: whether the load balancer has no public address.
    """
    region = Stack.of(scope).region
    url = bindings["Web"].text("url")
    CfnOutput(scope, "Url", value=url, description="Airflow")
    CfnOutput(
        scope,
        "AdminPasswordCommand",
        description="Prints the first password of the user admin",
        value=(
            f"aws secretsmanager get-secret-value --region {region} --query SecretString --output text"
            f" --secret-id {bindings['Admin'].text('arn')}"
        ),
    )
    dags = bindings["Dags"]
    if "uri" in dags.attributes:
        CfnOutput(scope, "DagsBucket", value=dags.text("bucket_name"), description="Bucket of the DAGs")
        CfnOutput(
            scope,
            "UploadDagsCommand",
            value=f"aws s3 sync --region {region} --delete dags/ {dags.text('uri')}",
            description="Makes the cluster's DAGs equal to the folder dags/",
        )
    if internal:
        CfnOutput(
            scope,
            "OpenCommand",
            value=_tunnel(web, region),
            description=(
                f"Brings the internal UI to http://localhost:{WEB_PORT} (needs the Session Manager plugin)"
                if web.component.enable_exec
                else "The UI is internal"
            ),
        )


def _tunnel(web: RenderedComponent, region: str) -> str:
    if web.service is None or not web.component.enable_exec:
        return "Connect to the VPC to open the URL, or say enable_exec=True and read this output again"
    cluster, service = web.service.cluster.cluster_name, web.service.service_name
    container = web.component.containers[0].name
    # On Fargate a container's runtime id starts with the id of its task.
    return (
        f"id=$(aws ecs describe-tasks --region {region} --cluster {cluster} --tasks"
        f" $(aws ecs list-tasks --region {region} --cluster {cluster} --service-name {service}"
        " --query 'taskArns[0]' --output text)"
        f" --query \"tasks[0].containers[?name=='{container}'].runtimeId | [0]\" --output text)"
        f" && aws ssm start-session --region {region} --target ecs:{cluster}_${{id%-*}}_$id"
        " --document-name AWS-StartPortForwardingSession"
        f" --parameters portNumber={WEB_PORT},localPortNumber={WEB_PORT}"
    )
