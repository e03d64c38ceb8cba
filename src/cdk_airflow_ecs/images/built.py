"""Images that CDK builds from a directory at deploy time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.asset import asset_of, folder_asset
from cdk_airflow_ecs.images.base import OFFICIAL_ENTRYPOINT, ImageSource, other_airflow, other_airflow_advice
from cdk_airflow_ecs.images.directory import ImageDirectory, read_directory
from cdk_airflow_ecs.images.dockerfile import HOME, SCRIPT, Recipe, build_context
from cdk_airflow_ecs.images.names import check_release, fault, is_other
from cdk_airflow_ecs.images.requirements import asks_for
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Architecture, Option
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from constructs import Construct

_FROM: Final = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", re.IGNORECASE | re.MULTILINE)
_ENTRYPOINT: Final = re.compile(r"^\s*ENTRYPOINT\s+(.+)$", re.IGNORECASE | re.MULTILINE)
# A pinned Airflow. The build argument AIRFLOW_VERSION is the cluster's release, but ENV overrides it.
_INSTALLED: Final = re.compile(
    r"^(?!\s*#).*?(?P<what>apache[-_.]airflow(?:[-_.]core)?(?=[\s\[=])|\bENV\s+AIRFLOW_VERSION\b)"
    r"(?:\s*\[[^]\n]*\])?[\s=]{1,9}[\"']?(?P<release>\d+\.\d+(?:\.\d+)?)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage(ImageSource):
    """An image built from a directory by :meth:`AirflowImage.build`, with or without the directory's *dags*."""

    contents: ImageDirectory
    base: str = "official"
    entrypoint: tuple[str, ...] = OFFICIAL_ENTRYPOINT
    dags: bool = True

    @property
    def in_ecr(self) -> bool:
        """See :attr:`ImageSource.in_ecr`."""
        return True

    @property
    def takes_requirements(self) -> bool:
        """See :attr:`ImageSource.takes_requirements`."""
        return self.contents.dockerfile is None

    @property
    def has_dags(self) -> bool:
        """See :attr:`ImageSource.has_dags`."""
        return self.contents.has("dags")

    @property
    def options(self) -> Mapping[Option, str]:
        """See :attr:`ImageSource.options`."""
        return self.contents.options

    @property
    def options_source(self) -> str:
        """See :attr:`ImageSource.options_source`."""
        return self.contents.options_file

    def has_newer(self, package: str, version: tuple[int, ...]) -> bool | None:
        """See :meth:`ImageSource.has_newer`."""
        if asks_for(self.contents.requirements, package, version):
            return True
        return None if self.contents.dockerfile is not None or self.base not in ("official", "slim") else False

    def check(self, version: AirflowVersion, files: Iterable[str] = ()) -> None:
        """See :meth:`ImageSource.check`."""
        self.contents.check(version)
        check_release(f"{self.contents.path}: base=", self.base, version)
        for name in self._starts_from():
            check_release(f"{self.contents.path / 'Dockerfile'}: FROM", name, version)
        for name in files:
            if own := self.contents.files.get(f"config/{name}"):
                raise IncompatibleArgumentsError(f"{own}: the cluster adds a module with this name. Rename yours")

    def advice(self, version: AirflowVersion) -> Sequence[Advice]:
        """See :meth:`ImageSource.advice`."""
        names = [(f"{self.contents.path}: base=", self.base)]
        names += [(f"{self.contents.path / 'Dockerfile'}: FROM", name) for name in self._starts_from()]
        warnings = [advice for source, name in names for advice in other_airflow(source, name, version)]
        file = self.contents.path / "Dockerfile"
        for match in _INSTALLED.finditer(self.contents.dockerfile or ""):
            if is_other(match["release"], version):
                pin = f"{' '.join(match['what'].split())}=={match['release']}".replace("VERSION==", "VERSION=")
                warnings.append(other_airflow_advice(f"{file}:", pin, match["release"], version))
        return warnings

    def _starts_from(self) -> list[str]:
        return _FROM.findall(self.contents.dockerfile or "")[-1:]

    def with_dags(self, folder: str | None) -> ImageSource:
        """See :meth:`ImageSource.with_dags`."""
        if folder is None:
            return replace(self, dags=False)
        path, own = self.contents.path, PurePosixPath(HOME, "dags")
        if self.contents.dockerfile is None and not self.has_dags:
            raise IncompatibleArgumentsError(
                f"dags=ImageDags(): {path}/dags does not exist or has no files. Put your DAGs there"
            )
        if self.contents.dockerfile is None and own not in (PurePosixPath(folder), *PurePosixPath(folder).parents):
            raise IncompatibleArgumentsError(
                f"dags=ImageDags({folder!r}): the image contains the files of {path / 'dags'} in {own}. Omit the"
                " folder, or pass one below it"
            )
        return self

    def container_image(
        self,
        scope: Construct,
        *,
        version: AirflowVersion,
        architecture: Architecture,
        requirements: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
    ) -> ecs.ContainerImage:
        """See :meth:`ImageSource.container_image`."""
        if self.contents.dockerfile is not None:
            return folder_asset(scope, architecture, self.contents.path, {"AIRFLOW_VERSION": str(version)})
        return asset_of(scope, architecture, self.context(version, requirements, files or {}))

    def context(
        self, version: AirflowVersion, requirements: tuple[str, ...] = (), files: Mapping[str, str] | None = None
    ) -> dict[str, bytes]:
        """Return every file of the build context by path."""
        own = {name: path for name, path in self.contents.files.items() if self.dags or not name.startswith("dags/")}
        recipe = Recipe(
            version=version,
            base=self.base,
            packages=self.contents.packages,
            requirements=(*self.contents.requirements, *requirements),
            folders=tuple(
                folder
                for folder in ("config", "plugins", "dags")
                if (folder == "config" and files) or any(name.startswith(f"{folder}/") for name in own)
            ),
            entrypoint=self.entrypoint if "entrypoint.sh" in own else (),
        )
        return build_context(recipe, files or {}) | {name: path.read_bytes() for name, path in own.items()}


def build_image(directory: str | Path, *, base: str | None, entrypoint: Sequence[str] | None) -> BuiltImage:
    """Read and check the arguments of :meth:`AirflowImage.build`."""
    contents = read_directory(directory)
    validation.text("AirflowImage.build base", base, "slim")
    if base is not None and (is_token(base) or fault(base)):
        why = f": {fault(base)}" if fault(base) else ""
        raise ValueError(
            f'AirflowImage.build base must be "official", "slim" or an image name, got {validation.shown(base)}{why}'
        )
    if contents.dockerfile is not None:
        if base is not None:
            raise IncompatibleArgumentsError(
                f"AirflowImage.build: {contents.path / 'Dockerfile'} already has a base image. Omit base="
            )
        if entrypoint is None and (own := _ENTRYPOINT.findall(contents.dockerfile)):
            raise IncompatibleArgumentsError(
                f"AirflowImage.build: {contents.path / 'Dockerfile'} sets ENTRYPOINT {own[-1].strip()}, which the"
                " cluster overrides in each container. Pass entrypoint=[…] with the words before Airflow's command"
            )
    script = "entrypoint.sh" in contents.files
    if entrypoint is None:
        entrypoint = (*OFFICIAL_ENTRYPOINT[:2], SCRIPT) if script else OFFICIAL_ENTRYPOINT
    entrypoint = validation.items("AirflowImage.build entrypoint", entrypoint, '["/usr/bin/dumb-init", "--"]')
    if script and not any(SCRIPT in word for word in entrypoint if isinstance(word, str)):
        raise IncompatibleArgumentsError(
            f"AirflowImage.build: entrypoint= does not start {contents.files['entrypoint.sh']}, which is {SCRIPT} in"
            " the image. Add it to entrypoint=, or remove the file"
        )
    return BuiltImage(contents=contents, base=base or "official", entrypoint=entrypoint)
