"""The contract of whatever exists once in a cluster: database, broker, DAG source, log store, web front."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cdk_airflow_ecs.option_owner import OptionOwner

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.advice import Advice
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.bind_context import BindContext
    from cdk_airflow_ecs.binding import Binding
    from cdk_airflow_ecs.buckets import BucketFolder
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.plan import Component


class ClusterResource(OptionOwner, ABC):
    """Something that exists once in a cluster, and that components refer to by a name.

    The cluster calls every method below for each of its resources: the database, the broker, the DAG source, the log
    store, the web front, and the parts of each. Only :meth:`bind` makes constructs.
    """

    @abstractmethod
    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """Create it under *scope*, or look it up, and say how to reach it.

        Called once. A resource that can grow with the cluster, as queues do with worker pools, is called again and
        then finds what it has made.
        """

    def check(self, network: Network | None) -> None:
        """Refuse a network that it cannot stand in, or be reached from, before anything is made.

        Args:
            network: where the cluster will be in the user's VPC; None for a VPC of the cluster's own.

        Raises:
            ValueError: saying which argument gives it another place.
        """

    def component(self) -> Component | None:
        """Return what runs it, if it is a container of the cluster's own. Pure."""
        return None

    def parts(self) -> Mapping[str, ClusterResource]:
        """Return what must exist beside it, by names below its own: ``{"Database/Files": EfsFiles(…)}``. Pure."""
        return {}

    def advice(self) -> Sequence[Advice]:
        """Return what the user should know about it. Pure."""
        return ()

    def check_images(self, version: AirflowVersion, images: Mapping[str, AirflowImage]) -> Iterable[Advice]:
        """Refuse images that it does not work with, and return what the user should know about others. Pure.

        Args:
            version: the Airflow release.
            images: every image that runs Airflow; "airflow" is the cluster's, others have their component's name.

        Raises:
            ValueError: naming the image.
        """
        del version, images
        return ()

    def bucket_folder(self) -> BucketFolder | None:
        """Return the folder of a user's bucket that it reads or writes, if there is one. Pure."""
        return None
