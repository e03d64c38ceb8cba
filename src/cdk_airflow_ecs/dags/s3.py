"""DAG files in an S3 bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from aws_cdk import IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_s3_deployment as deployment

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.bucket_cleaner import emptying
from cdk_airflow_ecs.buckets import BucketFolder, private_bucket
from cdk_airflow_ecs.dags.base import DagPlan, DagSource
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.limits import check_prefix
from cdk_airflow_ecs.nag import acknowledge, acknowledge_wildcards
from cdk_airflow_ecs.option_owner import UserOptions
from cdk_airflow_ecs.plan import Json, Option, Permission, Ref, Value
from cdk_airflow_ecs.upload_exclusions import JUNK, shared_files

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_s3 as s3
    from constructs import Construct

_PROVIDERS_BUNDLE: Final = "airflow.providers.amazon.aws.bundles.s3.S3DagBundle"
_OUR_BUNDLE: Final = "airflow_ecs_bundle.S3DagBundle"
_SYNCED_FOLDER: Final = "/opt/airflow/dags-live"


@dataclass(frozen=True, slots=True)
class S3Dags(DagSource):
    """DAGs in an S3 bucket. Running Airflow processes pick up changes.

    Airflow 3 reads the bucket as a DAG bundle; a task keeps the files it started with. On Airflow 2, a background
    process in each container synchronizes a folder, replacing it atomically. Plugins and requirements belong in the
    image.

    Args:
        folder: local folder that each deploy uploads, without tool files such as ``.git``; files removed from it are
            removed from the bucket. By default, upload with the ``aws s3 sync`` command in the stack's outputs.
        bucket: existing bucket. The default is a new one: private, versioned, TLS only, kept on stack deletion.
        prefix: folder of the DAGs in *bucket*. The default is the whole bucket.
        refresh_seconds: interval of checks for changes.
        provider_bundle: use the amazon provider's DAG bundle, on Airflow 3.2 and newer. It changes files while tasks
            import them; with *prefix*, Airflow starts only if the bucket has an object below it.

    Raises:
        ValueError: if *folder* is not a folder, or contains a possible secret or a link to a file outside the folder,
            or *refresh_seconds* is less than 5; on creation of the cluster, if the release does not support
            *provider_bundle*.

    Examples:
        >>> S3Dags(refresh_seconds=60).refresh_seconds
        60
    """

    folder: str | Path | None = None
    bucket: s3.IBucket | None = None
    prefix: str = ""
    refresh_seconds: int = 30
    provider_bundle: bool = False

    def __post_init__(self) -> None:
        if self.folder is not None and not (isinstance(self.folder, (str, Path)) and Path(self.folder).is_dir()):
            raise ValueError(
                f"S3Dags folder must be a folder in {Path.cwd()}, got {validation.shown(self.folder)}. Pass the folder"
                " of your DAGs"
            )
        if self.folder is not None:
            folder = Path(self.folder)
            for _ in shared_files("S3Dags", folder, within=folder, readers="read the bucket"):
                pass
        validation.integer("S3Dags refresh_seconds", self.refresh_seconds, 5)
        validation.flag("S3Dags provider_bundle", self.provider_bundle)
        validation.construct(
            "S3Dags bucket", self.bucket, "bucket_arn", "an s3.IBucket, such as s3.Bucket.from_bucket_name(…)"
        )
        if not isinstance(self.prefix, str):
            raise ValueError(f'S3Dags prefix must be text such as "dags/", got {validation.shown(self.prefix)}')
        if self.prefix and self.bucket is None:
            raise IncompatibleArgumentsError(
                f"S3Dags prefix={validation.shown(self.prefix)} requires an existing bucket. Pass bucket= too"
            )
        check_prefix("S3Dags prefix", self.prefix)
        object.__setattr__(self, "prefix", self.prefix.strip("/"))

    def plan(self, version: AirflowVersion) -> DagPlan:
        """See :meth:`DagSource.plan`."""
        if self.provider_bundle and not version.has_s3_bundle:
            raise ValueError(
                f"S3Dags provider_bundle=True requires Airflow 3.2 or newer, got {version}: its official image has no"
                " such bundle, or one that misses edits and deletions. Omit provider_bundle"
            )
        permissions = (
            Permission(actions=("s3:GetObject",), resources=(Ref("Dags", "objects_arn"),)),
            Permission(actions=("s3:ListBucket",), resources=(Ref("Dags", "bucket_arn"),)),
        )
        if version.major >= 3:
            return self._bundle(permissions)
        return DagPlan(
            config={
                ("core", "dags_folder"): _SYNCED_FOLDER,
                # Airflow 2 looks for new DAG files at this interval; its default is five minutes.
                ("scheduler", "dag_dir_list_interval"): str(self.refresh_seconds),
            },
            permissions=permissions,
            prefix=(
                *("python", "-c", program("dag_sync"), Ref("Dags", "uri")),
                *(_SYNCED_FOLDER, str(self.refresh_seconds)),
            ),
        )

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        del version
        refresh = str(self.refresh_seconds)
        return {"whose DAG source has refresh_seconds=": {("dag_processor", "refresh_interval"): refresh}}

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """See :meth:`OptionOwner.check_options`."""
        for source, options in given:
            if version.major >= 3 and ("core", "dags_folder") in options:
                raise IncompatibleArgumentsError(
                    f"[core] dags_folder by {source} would have no effect, because S3Dags sets it; remove it"
                )

    def bucket_folder(self) -> BucketFolder | None:
        """See :meth:`ClusterResource.bucket_folder`."""
        return None if self.bucket is None else BucketFolder(bucket=self.bucket, prefix=self.prefix)

    def _bundle(self, permissions: tuple[Permission, ...]) -> DagPlan:
        bundle = {
            "name": "dags",
            "classpath": _PROVIDERS_BUNDLE if self.provider_bundle else _OUR_BUNDLE,
            "kwargs": {
                # With an empty id, the bundle uses the task role; Airflow would look up other ids in its database
                # first.
                **({"aws_conn_id": ""} if self.provider_bundle else {}),
                "bucket_name": Ref("Dags", "bucket_name"),
                # Without the final slash, the prefix "dags" would also match "dags-old/" (amazon provider 9.36 and
                # older).
                "prefix": f"{self.prefix}/" if self.prefix else "",
                "refresh_interval": self.refresh_seconds,
            },
        }
        modules = ("airflow_ecs_sync", program("dag_sync"), "airflow_ecs_bundle", program("dag_bundle"))
        return DagPlan(
            config={("dag_processor", "dag_bundle_config_list"): Json([bundle])},
            permissions=permissions,
            prefix=() if self.provider_bundle else ("python", "-c", program("install_modules"), *modules, "--"),
        )

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        bucket = self.bucket if self.bucket is not None else private_bucket(scope, "Bucket", context, prefix="dags/")
        if self.folder is not None:
            _upload(scope, context, Path(self.folder), bucket, self.prefix)
        path = f"/{self.prefix}" if self.prefix else ""
        name = bucket.bucket_name
        return Binding(
            attributes={
                "bucket_name": name,
                "bucket_arn": bucket.bucket_arn,
                "objects_arn": bucket.arn_for_objects(f"{self.prefix}/*" if self.prefix else "*"),
                "uri": f"s3://{name}{path}",
            },
            key=context.bucket_key if self.bucket is None else bucket.encryption_key,
            dependencies=emptying(bucket, context.removal_policy) if self.bucket is None else emptying(bucket),
        )


def _upload(scope: Construct, context: BindContext, folder: Path, bucket: s3.IBucket, prefix: str) -> None:
    role = iam.Role(scope, "UploadRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    group = logs.LogGroup(
        scope,
        "UploadLogs",
        retention=logs.RetentionDays.ONE_MONTH,
        encryption_key=context.key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    group.grant_write(role)
    stack = Stack.of(scope)
    there = {child.node.id for child in stack.node.children}
    asset = assets.Asset(scope, "Folder", path=str(folder.resolve()), exclude=[*JUNK], ignore_mode=IgnoreMode.GIT)
    upload = deployment.BucketDeployment(
        scope,
        "Upload",
        sources=[deployment.Source.bucket(asset.bucket, asset.s3_object_key)],
        destination_bucket=bucket,
        destination_key_prefix=prefix or None,
        role=role,
        log_group=group,
        memory_limit=512,
    )
    # If CDK has just created the stack's function, remove its dependency on the role, which the role's ARN implies
    # (cfn-lint W3005). The upload itself must wait for the role's policies.
    for child in stack.node.children:
        if child.node.id not in there and child.node.id.startswith("Custom::CDKBucketDeployment"):
            function = cast("lambda_.CfnFunction", child.node.default_child)
            function.add_deletion_override("DependsOn")
            acknowledge(child, "AwsSolutions-L1", "CDK chooses the runtime of its own function")
    upload.node.add_dependency(role)
    reason = "CDK's bucket deployment reads its asset and writes this one bucket"
    acknowledge_wildcards(role, [asset.bucket.arn_for_objects("*"), bucket.arn_for_objects("*")], reason)
    key_actions = ("kms:ReEncrypt*", "kms:GenerateDataKey*") if bucket.encryption_key is not None else ()
    for action in ("s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*", *key_actions):
        acknowledge(role, f"AwsSolutions-IAM5[Action::{action}]", reason)
