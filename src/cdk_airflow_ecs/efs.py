"""File systems on Amazon EFS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs

from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding, MetricSource
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Permission, Ref, Volume
from cdk_airflow_ecs.subnets import check_subnets
from cdk_airflow_ecs.tokens import is_list_token

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class EfsFiles(ClusterResource):
    """An encrypted file system with backups and one access point, which requires TLS and IAM.

    Args:
        name: the name in refs and edges, such as "Database/Files".
        folder: the folder of the access point, such as "/postgres".
        user: ids of the user and group that own every file.
        description: the security group's description; a change replaces the group.
    """

    name: str
    folder: str
    user: tuple[int, int]
    description: str

    @property
    def volume(self) -> Volume:
        """The volume that components mount, named after the folder."""
        return Volume(
            name=self.folder.strip("/"),
            file_system_id=Ref(self.name, "id"),
            access_point_id=Ref(self.name, "access_point_id"),
        )

    @property
    def writing(self) -> Permission:
        """The permission to read and write through the access point."""
        return Permission(
            actions=("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"),
            resources=(Ref(self.name, "arn"),),
            conditions={"ArnEquals": {"elasticfilesystem:AccessPointArn": Ref(self.name, "access_point_arn")}},
        )

    def check(self, network: Network | None) -> None:
        """See :meth:`ClusterResource.check`."""
        check_subnets(network, "store_subnets", self.name)
        if network is not None and any(map(is_list_token, network.store_subnet_ids)):
            raise IncompatibleArgumentsError(
                f"{self.name}: the number of subnets in store_subnets= must be known before deploy: each subnet needs"
                " a mount target. Pass store_subnets=ec2.SubnetSelection(subnets=[ec2.Subnet.from_subnet_attributes(…),"
                " …]) with one subnet for each zone, whose ids may be Fn.select(0, ids)"
            )
        if network is not None and (missing := network.zones_without_store):
            raise IncompatibleArgumentsError(
                f"{self.name}: tasks run in {', '.join(missing)}, but can only reach a file system in their own zone."
                " Use the same zones in task_subnets= and store_subnets="
            )

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        network = context.network
        self.check(network)  # a new VPC needs this check too
        group = network.security_group(scope, "SecurityGroup", self.description)
        system = efs.CfnFileSystem(
            scope,
            "FileSystem",
            encrypted=True,
            kms_key_id=context.key.key_arn,
            throughput_mode="elastic",
            backup_policy=efs.CfnFileSystem.BackupPolicyProperty(
                status="DISABLED" if context.removal_policy is RemovalPolicy.DESTROY else "ENABLED"
            ),
            # Without a policy, EFS grants all clients full access (Amazon EFS user guide, "Using IAM to control
            # access").
            file_system_policy={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": {"AWS": "*"},
                        "Action": [f"elasticfilesystem:Client{may}" for may in ("Mount", "Write", "RootAccess")],
                        "Resource": "*",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        )
        system.apply_removal_policy(context.removal_policy or RemovalPolicy.RETAIN)
        uid, gid = map(str, self.user)
        access = efs.CfnAccessPoint(
            scope,
            "AccessPoint",
            file_system_id=system.ref,
            posix_user=efs.CfnAccessPoint.PosixUserProperty(uid=uid, gid=gid),
            root_directory=efs.CfnAccessPoint.RootDirectoryProperty(
                path=self.folder,
                creation_info=efs.CfnAccessPoint.CreationInfoProperty(owner_uid=uid, owner_gid=gid, permissions="0700"),
            ),
        )
        targets = [
            efs.CfnMountTarget(
                scope,
                f"MountTarget{number}",
                file_system_id=system.ref,
                subnet_id=subnet.subnet_id,
                security_groups=[group.security_group_id],
            )
            for number, subnet in enumerate(network.store_subnets_by_zone.values(), 1)
        ]
        return Binding(
            attributes={
                "id": system.ref,
                "arn": system.attr_arn,
                "access_point_id": access.ref,
                "access_point_arn": access.attr_arn,
            },
            connectable=ec2.Connections(security_groups=[group]),
            key=context.key,
            metrics=[MetricSource("AWS/EFS", {"FileSystemId": system.ref})],
            # Tasks need the group's rules and the mount targets to mount the file system.
            dependencies=[group, *targets],
        )
