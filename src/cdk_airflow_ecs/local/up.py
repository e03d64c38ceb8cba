"""Starts a template locally, waits for it and stops it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cdk_airflow_ecs.local import assembly
from cdk_airflow_ecs.local.agent.endpoints import Endpoints
from cdk_airflow_ecs.local.images.environments import Environment, Environments
from cdk_airflow_ecs.local.images.image import ImageBuild
from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.network.certificate_authority import Authority
from cdk_airflow_ecs.local.network.load_balancer import refuse_shared, refuse_taken
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State

if TYPE_CHECKING:
    from cdk_airflow_ecs.local.agent.agent import Agent
    from cdk_airflow_ecs.local.agent.service import Service
    from cdk_airflow_ecs.local.aws.account import Account, Stack

_DOWN_SECONDS: Final = 10.0
_ROOM: Final = (
    500_000_000  # bytes of free space: 50 million for an empty PostgreSQL, hundreds of millions for a day's logs
)
_DEATHS: Final = 3  # the start fails after so many failures of a service that was never ready


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of `airflow-ecs local up`.

    Args:
        path: assembly or template.
        dags: folder to synchronize to the DAG bucket.
        port: port of the UI; 0 means any free port.
        images: Docker build contexts of images that the app does not build, by image name.
        isolated: whether to use network namespaces; None uses them if they are allowed.
        patience: seconds after which all components must be ready.
    """

    path: Path
    state: Path
    dags: Path | None = None
    port: int = 0
    images: Mapping[str, Path] = field(default_factory=dict)
    extras: Sequence[str] = ()
    isolated: bool | None = None
    patience: float = 900.0


class Run:
    """A run of a template, at most one per process; *say* prints a message to the user, after its subject."""

    def __init__(self, options: RunOptions, say: Callable[[str, str], None]) -> None:
        self.options = options
        self.say = say
        self.url = ""
        self.region = "us-east-1"
        self.stacks: list[Stack] = []
        self.outputs: dict[str, str] = {}
        self.agent: Agent
        self.account: Account
        self._undo = ExitStack()
        self._images: dict[str, Future[Environment]] = {}
        self._builders = ThreadPoolExecutor(2, thread_name_prefix="environment")
        self._lock = threading.Lock()

    def start(self) -> None:
        """Create all resources, or raise a Refusal; returns while components are still starting."""
        files = assembly.read(self.options.path)
        self.files = files
        refuse_taken(self.options.port)
        self.state = State.open(self.options.state)
        if shutil.disk_usage(self.state.directory).free < _ROOM:
            raise Refusal(f"{self.state.directory} must have 0.5 GB of free space; choose another place with --state")
        self._undo.enter_context(self.state.lock())
        self._undo.callback(self.state.write, "run", {})
        self.state.write("run", {"pid": os.getpid()})  # `airflow-ecs local down` can stop the run while it starts
        self.state.processes.stop_all()
        for name in ("homes", "logs"):  # files of the previous run
            shutil.rmtree(self.state.folder(name))
        self.addresses = Addresses.open(isolated=self.options.isolated)
        self._undo.callback(self.addresses.close)
        if not self.addresses.isolated:
            self.say("network", f"all tasks share the loopback ({self.addresses.reason})")
            refuse_shared(self.options.port, _ports(files))
        self.authority = Authority(self.state.folder("authority"))
        self.environments = Environments(say=lambda text: self.say("environment", text), extras=self.options.extras)
        self._undo.callback(self._builders.shutdown, wait=False, cancel_futures=True)
        for image in _literal_images(files):
            self.image(image)
        self.region = next((file.region for file in files if file.region), self.region)
        self._serve(self.region)
        self._deploy(files)

    def _serve(self, region: str) -> None:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):  # never use the user's AWS account
            os.environ.pop(name, None)

        from cdk_airflow_ecs.local.agent.agent import Agent  # noqa: PLC0415
        from cdk_airflow_ecs.local.agent.credentials import Credentials  # noqa: PLC0415
        from cdk_airflow_ecs.local.agent.homes import Homes  # noqa: PLC0415
        from cdk_airflow_ecs.local.agent.log_shipping import Shipping  # noqa: PLC0415
        from cdk_airflow_ecs.local.agent.task import TaskRuntime  # noqa: PLC0415
        from cdk_airflow_ecs.local.aws import app, gaps  # noqa: PLC0415
        from cdk_airflow_ecs.local.aws.account import Account  # noqa: PLC0415
        from cdk_airflow_ecs.local.scaling.scaler import Scaler  # noqa: PLC0415

        temporary = self._temporary()
        self.account = Account(region)
        api = app.Api(app.Application(self.account), self.addresses.inside, app.Quiet)
        api.start()
        self._undo.callback(api.stop)
        self.state.write("key", {"id": self.account.key.id, "secret": self.account.key.secret})
        self._undo.callback(self.state.write, "key", {})
        credentials = Credentials(self.account)
        endpoints = Endpoints(credentials.assume, partial(credentials.client, "ecs"))
        endpoints.start(self.addresses.metadata())
        self._undo.callback(endpoints.stop)
        shipping = Shipping(lambda: self.account.client("logs"))
        shipping.start()
        self._undo.callback(shipping.stop)
        bundle = str(self.authority.bundle)
        self.agent = Agent(
            TaskRuntime(
                state=self.state,
                homes=Homes(self.state.folder("homes")),
                temporary=temporary,
                addresses=self.addresses,
                image=self.image,
                secret=credentials.secret,
                endpoints=endpoints,
                variables={
                    "AWS_ENDPOINT_URL": self.account.task_url,
                    "SSL_CERT_FILE": bundle,
                    "REQUESTS_CA_BUNDLE": bundle,
                    "AWS_CA_BUNDLE": bundle,
                },
                region=region,
                ship=shipping.add,
                say=self.say,
            ),
            self.account,
        )
        gaps.fill(self.account, self.agent.started, self.agent.stopped)
        self._undo.callback(self.agent.stop, _DOWN_SECONDS)
        self.agent.start()
        scaler = Scaler(account=self.account, say=self.say)
        scaler.start()
        self._undo.callback(scaler.stop)

    def _temporary(self) -> Path:
        prefix = f"airflow-ecs-{self.state.id}-"
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):  # left by a killed run
            if not left.is_symlink() and left.stat().st_uid == os.geteuid():
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix))  # other users cannot guess the name and create it first
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _deploy(self, files: Sequence[assembly.StackFile]) -> None:
        from cdk_airflow_ecs.local.aws.deployer import Deployer, outputs, resources  # noqa: PLC0415
        from cdk_airflow_ecs.local.network.load_balancer import Balancer  # noqa: PLC0415
        from cdk_airflow_ecs.local.stores.dag_folder import DagFolder  # noqa: PLC0415
        from cdk_airflow_ecs.local.stores.datastores import Datastores  # noqa: PLC0415

        account = self.account
        stores = Datastores(
            account=account, state=self.state, addresses=self.addresses, authority=self.authority, say=self.say
        )
        account.created.append(stores.created)
        # Callbacks run in reverse order: tasks stop before the stores that they use.
        self._undo.callback(stores.stop)
        self._undo.callback(self.agent.stop, _DOWN_SECONDS)
        self.stacks = Deployer(account, self._told).deploy(files)
        if not self.agent.backend.services:
            raise Refusal(f"{self.options.path} has no AWS::ECS::Service: there is nothing to run")
        stores.watch()
        self.outputs = {name: str(value["OutputValue"]) for name, value in outputs(self.stacks).items()}
        for arn in resources(self.stacks, "AWS::ElasticLoadBalancingV2::LoadBalancer").values():
            balancer = Balancer(arn=arn, client=lambda: account.client("elbv2"), connect=self.addresses.connect)
            balancer.start(self.options.port if not self.url else 0)
            self._undo.callback(balancer.stop)
            self.url = self.url or balancer.url
        found = next(self._dag_buckets(), None)
        if self.options.dags and found:
            folder = DagFolder(
                folder=self.options.dags, bucket=found[0], prefix=found[1], client=lambda: account.client("s3")
            )
            folder.start()
            self._undo.callback(folder.stop)
            self.say("dags", f"{self.options.dags} → s3://{found[0]}/{found[1]}")
        self.state.write("run", self.describe())

    def image(self, reference: str) -> Future[Environment]:
        """Return the future Python environment of an image, which a background thread creates once."""
        with self._lock:
            if reference not in self._images:
                self._images[reference] = self._builders.submit(self._environment, reference)
            return self._images[reference]

    def _environment(self, reference: str) -> Environment:
        try:
            made = self.environments.of(reference, self._build(reference))
        except Refusal as refusal:  # report now, not only when a DAG starts an ECS task
            self.say(reference, str(refusal))
            raise
        for difference in made.substitutions:
            self.say(reference, difference)
        return made

    def _build(self, reference: str) -> ImageBuild | None:
        given = self.options.images.get(reference) or self.options.images.get(reference.rpartition(":")[0])
        if given is not None:
            return ImageBuild(folder=given)
        tag = reference.rpartition(":")[2]
        built = next((image for file in self.files for image in file.images if image.tag == tag), None)
        if built is not None and built.unsupported:
            raise Refusal(
                f"the image {reference} is built with {', '.join(built.unsupported)}, which is not supported locally."
                f" Pass `--image {reference.rpartition(':')[0]}=DIR`, where DIR contains its Dockerfile"
            )
        return None if built is None else built.build

    def _told(self, logical_id: str, kind: str, status: str) -> None:
        if kind.startswith("Custom::") and status in ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
            self.say(logical_id, "runs" if status == "CREATE_IN_PROGRESS" else "done")

    def _dag_buckets(self) -> Iterator[tuple[str, str]]:
        """Yield bucket and prefix of Airflow's S3 bundles and of this library's DAG synchronization."""
        for definition in self._definitions():
            for container in definition.container_definitions:
                for item in container.get("environment", []):
                    if item["name"] == "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST":
                        for bundle in json.loads(item["value"]):
                            if bundle["classpath"].endswith(".S3DagBundle"):
                                yield bundle["kwargs"]["bucket_name"], _prefix(bundle["kwargs"].get("prefix"))
                for word in container.get("entryPoint") or []:
                    if match := re.fullmatch(r"s3://([^/]+)/?(.*)", word):
                        yield match[1], _prefix(match[2])

    def _definitions(self) -> Iterator[Any]:
        for service in list(self.agent.backend.services.values()):
            yield self.agent.backend.describe_task_definition(service.task_definition)

    @property
    def services(self) -> list[Service]:
        """The ECS services of the template."""
        return list(self.agent.services.values())

    def wait(self, tell: Callable[[], None] = lambda: None, *, over: threading.Event | None = None) -> bool:
        """Wait until all components are ready; return False if *over* is set first.

        Raises a Refusal if a component keeps failing, or is not ready in time.
        """
        end = time.monotonic() + self.options.patience
        while True:
            tell()
            services = self.services
            if len(services) == len(self.agent.backend.services) and all(service.is_steady for service in services):
                return True
            for service in services:
                if service.deaths >= _DEATHS and not service.was_steady:
                    words = "\n".join(service.last_words)
                    raise Refusal(f"{service.title} does not start:\n{words}")
            if time.monotonic() > end:
                late = ", ".join(service.title for service in services if not service.is_steady)
                raise Refusal(f"not ready after {self.options.patience:.0f} s: {late}. See `airflow-ecs local logs`")
            if over and over.wait(0.25):
                return False
            if not over:
                time.sleep(0.25)

    def ready(self) -> None:
        """Record for other commands that all components are ready."""
        self.state.write("run", self.describe() | {"ready": True})

    def describe(self) -> dict[str, Any]:
        """Return the run's description for other commands."""
        return {
            "pid": os.getpid(),
            "url": self.url,
            "api": self.account.url,
            "task_api": self.account.task_url,
            "region": self.region,
            "admin_secret": self.admin_secret,
            "outputs": self.outputs,
        }

    @property
    def admin_secret(self) -> str:
        """The ARN of the admin's secret, from the output with the command that prints it."""
        pattern = re.compile(r"secretsmanager get-secret-value .*--secret-id (\S+)")
        return next((match[1] for match in map(pattern.search, self.outputs.values()) if match), "")

    def stop(self) -> None:
        """Stop and remove everything, in reverse order of creation."""
        self._undo.close()


def _prefix(text: str | None) -> str:
    stripped = (text or "").strip("/")
    return f"{stripped}/" if stripped else ""


def _ports(files: Sequence[assembly.StackFile]) -> set[int]:
    return {
        int(mapping["ContainerPort"])
        for file in files
        for resource in file.template["Resources"].values()
        if resource["Type"] == "AWS::ECS::TaskDefinition"
        for container in resource["Properties"].get("ContainerDefinitions", [])
        for mapping in container.get("PortMappings", [])
        if str(mapping.get("ContainerPort")).isdecimal()
    }


def _literal_images(files: Sequence[assembly.StackFile]) -> set[str]:
    """Return images that the templates name without references; their environments can be created early."""
    return {
        container["Image"]
        for file in files
        for resource in file.template["Resources"].values()
        if resource["Type"] == "AWS::ECS::TaskDefinition"
        for container in resource["Properties"].get("ContainerDefinitions", [])
        if isinstance(container.get("Image"), str)
    }
