"""The interface of cluster resources."""

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
    """A database, broker, DAG source, log store, :class:`Web`, or a part of one.

    The cluster calls each method for each resource. Only :meth:`bind` creates constructs; the other methods are pure.
    """

    @abstractmethod
    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """Create or look up the resource under *scope*, and return its binding.

        Called again when the cluster grows; it must then reuse its constructs.
        """

    def check(self, network: Network | None) -> None:
        """Check that the resource can be created in, and reached from, *network*.

        Args:
            network: the network in the user's VPC; None if the cluster creates the VPC.

        Raises:
            ValueError: with the argument to change.
        """

    def component(self) -> Component | None:
        """Return the component that runs the resource, if the resource is a container."""
        return None

    def parts(self) -> Mapping[str, ClusterResource]:
        """Return the resources of which this one consists, by name: ``{"Database/Files": EfsFiles(…)}``."""
        return {}

    def advice(self) -> Sequence[Advice]:
        """Return warnings for the user."""
        return ()

    def check_images(self, version: AirflowVersion, images: Mapping[str, AirflowImage]) -> Iterable[Advice]:
        """Check that *images* support the resource, and return warnings about them.

        Args:
            version: the Airflow release.
            images: images that run Airflow: the cluster's is named "airflow", others have the name of their component.

        Raises:
            ValueError: for an incompatible image.
        """
        del version, images
        return ()

    def bucket_folder(self) -> BucketFolder | None:
        """Return the folder of the user's bucket that the resource reads or writes, if any."""
        return None
