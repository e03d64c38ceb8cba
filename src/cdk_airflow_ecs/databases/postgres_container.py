"""A metadata database in a container, for development."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.capacity.fargate import check_size
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.efs import EfsFiles
from cdk_airflow_ecs.images.names import check_public_image
from cdk_airflow_ecs.plan import Component, Container, SecretRef
from cdk_airflow_ecs.process import HealthCheck
from cdk_airflow_ecs.secrets import generated_secret

if TYPE_CHECKING:
    from constructs import Construct

_PORT: Final = 5432
_NAME: Final = "airflow"
_USERNAME: Final = "airflow"
_FOLDER: Final = "/var/lib/airflow-metadata"
# User and group ids of "postgres" in the official images, which must own PostgreSQL's files.
_DEBIAN_USER: Final = (999, 999)
_ALPINE_USER: Final = (70, 70)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDatabase(Database):
    """PostgreSQL in one Fargate task with data on Amazon EFS, for development: without TLS or a standby.

    Data always outlives the task: lost tables would be created again only when the image or the version changes.
    Airflow waits while the task is replaced. In production, use :class:`RdsDatabase` or :class:`AuroraDatabase`.

    Args:
        image: official PostgreSQL image, 13 to 18, or a compatible one, from a registry without login. Existing data
            works only with the same major release on the same distribution, Debian or Alpine.
        cpu: CPU units of the task; 1024 is one vCPU.
        memory_mib: memory of the task in MiB. In a test, 40 connections that sorted and read Airflow's tables needed
            256 MiB, plus up to 128 MiB for buffers.

    Raises:
        ValueError: if the image has no supported release, or Fargate has no such size.

    Examples:
        >>> ContainerDatabase(image="public.ecr.aws/docker/library/postgres:14").port
        5432
    """

    image: str = "public.ecr.aws/docker/library/postgres:17"
    cpu: int = 256
    memory_mib: int = 1024

    def __post_init__(self) -> None:
        check_public_image("ContainerDatabase image", self.image, "public.ecr.aws/docker/library/postgres:17")
        official = re.search(r"(?:^|/)postgres:(\d+)", self.image)
        if official is not None and not 13 <= int(official[1]) <= 18:
            raise ValueError(
                f"ContainerDatabase image must be PostgreSQL 13 to 18, such as"
                f' "public.ecr.aws/docker/library/postgres:17"; got {validation.shown(self.image)}'
            )
        check_size("ContainerDatabase", self.cpu, self.memory_mib)

    @property
    def port(self) -> int:
        """See :class:`Database`."""
        return _PORT

    @property
    def ssl_mode(self) -> str:
        """Disable TLS, because the image does not offer it; with "prefer", clients would try TLS first."""
        return "disable"

    def advice(self) -> Sequence[Advice]:
        """See :meth:`ClusterResource.advice`."""
        return [
            Advice(
                "cdk-airflow-ecs:container-database",
                "database=ContainerDatabase(…) is for development: it has one task and does not use TLS. Use"
                " RdsDatabase() or AuroraDatabase() in production",
            )
        ]

    def parts(self) -> Mapping[str, ClusterResource]:
        """See :meth:`ClusterResource.parts`."""
        return {"Database/Files": self._files}

    def component(self) -> Component:
        """See :meth:`ClusterResource.component`."""
        files = self._files
        return Component(
            name="Database",
            path="Database",
            cpu=self.cpu,
            memory_mib=self.memory_mib,
            image=self.image,
            dns_name="database",
            kind="store",
            count=1,
            permissions=(files.writing,),
            volumes=(files.volume,),
            containers=(
                Container(
                    name="postgres",
                    # The server keeps idle connections alive, as in RdsDatabase.
                    command=("postgres", "-c", "tcp_keepalives_idle=60"),
                    port=_PORT,
                    # The check uses TCP, because the server listens only on the Unix socket while it initializes. Its
                    # first start is slow: it writes a thousand files to EFS.
                    health_check=HealthCheck(
                        command=("pg_isready", "--quiet", "--host=127.0.0.1", f"--username={_USERNAME}"),
                        interval_seconds=10,
                        timeout_seconds=5,
                        start_period_seconds=300,
                    ),
                    environment={
                        "POSTGRES_DB": _NAME,
                        "POSTGRES_USER": _USERNAME,
                        "POSTGRES_PASSWORD": SecretRef("Database", "password"),
                        # A folder below the mount point, because PostgreSQL sets the permissions of its data folder.
                        "PGDATA": f"{_FOLDER}/pgdata",
                    },
                    user="{}:{}".format(*files.user),
                    mounts={files.volume.name: _FOLDER},
                ),
            ),
        )

    @property
    def _files(self) -> EfsFiles:
        return EfsFiles(
            name="Database/Files",
            folder="/postgres",
            user=_ALPINE_USER if "alpine" in self.image else _DEBIAN_USER,
            description="Files of the Airflow database",
        )

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        credentials = generated_secret(
            scope,
            "Credentials",
            context,
            description="Owner of the Airflow metadata database",
            length=40,
            username=_USERNAME,
        )
        return Binding(
            attributes={"host": f"database.{context.namespace}", "port": str(_PORT), "name": _NAME},
            secrets={field: ecs.Secret.from_secrets_manager(credentials, field) for field in ("username", "password")},
            key=context.key,
        )
