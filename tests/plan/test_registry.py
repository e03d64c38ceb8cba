"""Images from a registry: rejected names, and warnings."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from plans import OWN_IMAGE, SECRET, TEXT_TOKEN, plan, settings_of

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    LocalExecutor,
    RedisBroker,
    SeveralExecutors,
    SqsBroker,
    WorkerPool,
)
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.images.names import other_release
from cdk_airflow_ecs.testing import plan_of

REPOSITORY = SimpleNamespace(repository_arn="arn:aws:ecr:eu-central-1:123456789012:repository/airflow")
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AirflowImage.registry(None), 'AirflowImage.registry name .*text such as "ghcr.io/acme/.*got None'),
        (lambda: AirflowImage.ecr(None, None), r"AirflowImage.ecr repository must be an ecr.IRepository, got None"),
        (lambda: AirflowImage.ecr(REPOSITORY, None), 'AirflowImage.ecr tag .*text such as "3.3.2-1", got None'),
        (
            lambda: AirflowImage.ecr(REPOSITORY, "airflow:1"),
            "tag must be a tag such as .* or .*sha256:.*; got 'airflow:1'",
        ),
        (
            lambda: AirflowImage.ecr(REPOSITORY, "sha256:12"),
            "tag must be a tag such as .* or .*sha256:.*; got 'sha256:12'",
        ),
        (
            lambda: AirflowImage.registry("123456789012.dkr.ecr.eu-central-1.amazonaws.com/airflow:1"),
            r"is in Amazon ECR, .* Use AirflowImage\.ecr\(repository, tag\)",
        ),
    ],
)
def test_an_image_that_cannot_be_pulled_is_rejected(make, words):
    """An image that cannot be pulled raises an error."""
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "host",
    [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr-ecr.eu-west-1.on.aws",
        "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
        "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
        "123456789012.DKR.ECR.eu-west-1.amazonaws.com",
        f"{TEXT_TOKEN}.dkr-ecr.eu-west-1.on.aws",
    ],
)
def test_all_host_names_of_amazon_ecr_are_recognized(host):
    """All host names of Amazon ECR are recognized."""
    with pytest.raises(ValueError, match=r"is in Amazon ECR, .* Use AirflowImage\.ecr\(repository, tag\)"):
        AirflowImage.registry(f"{host}/airflow:3.3.2")
    for store in (ContainerDatabase, RedisBroker.container):
        with pytest.raises(
            ValueError, match=r"image must be an image that requires no login, .* is in a private registry"
        ):
            store(image=f"{host}/store:17")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ghcr.io/acme/airflow@", "@ must be followed by a digest"),
        ("ghcr.io/acme/airflow@sha256:12", "@ must be followed by a digest"),
        ("ghcr.io/Acme/airflow:1", "'Acme' is not in lower case, as repository names must be"),
        ("Airflow", "'Airflow' is not in lower case"),
        ("ghcr.io/acme/airflow:", "'' is not a tag"),
        ("ghcr.io/acme/air flow:1", "'air flow' is not a name"),
        ("https://ghcr.io/acme/airflow:1", "is not "),
        ("ghcr.io//airflow:1", "'' is not a name"),
        ("ghcr_io.x/airflow:1", "'ghcr_io.x' is not the host name of a registry"),
    ],
)
def test_the_error_for_an_invalid_image_name_has_the_reason(name, why):
    """The error for an image name that Docker or ECS rejects states the reason."""
    with pytest.raises(ValueError, match=rf"AirflowImage\.registry name must be an image name .*{why}"):
        AirflowImage.registry(name)
    for store in (ContainerDatabase, RedisBroker.container):
        with pytest.raises(ValueError, match=rf"image must be an image name .*{why}"):
            store(image=name)


def test_an_image_name_with_another_airflow_release_gives_a_warning(tmp_path):
    """Numbers in the name that are not an Airflow release give no warning."""

    def warnings(**arguments):
        found = settings_of(version=AirflowVersion.V3_3, **arguments).advice
        return {each.id: each.text for each in found if "other-airflow" in each.id}

    (tmp_path / "Dockerfile").write_text("FROM puckel/docker-airflow:1.10.9\n")
    ((identity, message),) = warnings(image=AirflowImage.build(tmp_path)).items()
    assert identity == "cdk-airflow-ecs:other-airflow:puckel/docker-airflow:1.10.9"
    assert (
        "Dockerfile: FROM puckel/docker-airflow:1.10.9 seems to have Airflow 1.10.9, but version= is 3.3.2" in message
    )
    assert warnings(image=AirflowImage.registry("ghcr.io/acme/airflow:2.11.2-4"))
    for name in ("ghcr.io/acme/airflow:3.3.2-4", "acme/airflow:1.0.3", "acme/etl:2.11.2", "acme/airflow:3.3"):
        assert not warnings(image=AirflowImage.registry(name))


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("bitnami/airflow:2.10", "2.10"),
        ("bitnami/airflow-worker:2", "2"),
        ("docker.io/bitnamilegacy/airflow:2.10.5-debian-12-r0", "2.10.5"),
        ("ghcr.io/acme/airflow:2.11", "2.11"),
        ("ghcr.io/acme/airflow:2.3", None),
        ("ghcr.io/acme/airflow:2", None),
        ("bitnami/airflow:3", None),
        ("bitnami/airflow:3.3-debian-12", None),
        ("quay.io/astronomer/astro-runtime:13.0.0", "2.11"),
        ("quay.io/astronomer/astro-runtime:8.4.0-base", "2.6"),
        ("quay.io/astronomer/astro-runtime:3.0-2", "3.0"),
        ("astrocrpublic.azurecr.io/runtime:3.1-1-base", "3.1"),
        ("astrocrpublic.azurecr.io/runtime:3.3-1", None),
        ("ghcr.io/acme/runtime:3.1-1", None),
    ],
)
def test_the_airflow_release_of_an_image_is_recognized_by_its_name(name, release):
    """Bitnami's tags may be short, and Astro Runtime 13 has Airflow 2.11."""
    assert other_release(name, AirflowVersion.V3_3) == release


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("RUN pip install apache-airflow==2.9.0", "2.9.0"),
        ("RUN pip install \\\n    'apache-airflow[celery,postgres] == 2.9.0'", "2.9.0"),
        ("RUN uv pip install apache_airflow_core==3.2.2", "3.2.2"),
        ("ENV AIRFLOW_VERSION=2.9.0", "2.9.0"),
        ("RUN pip install apache-airflow==3.3.2 apache-airflow-providers-amazon==9.1.0", None),
        ('RUN pip install "apache-airflow==${AIRFLOW_VERSION}"', None),
        ("ARG AIRFLOW_VERSION=2.9.0", None),
        ("# RUN pip install apache-airflow==2.9.0", None),
    ],
)
def test_another_airflow_release_in_a_dockerfile_gives_a_warning(line, release, tmp_path):
    """The cluster passes AIRFLOW_VERSION as build argument, so the default of the argument may differ."""
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.12\n{line}\n")
    found = settings_of(version=AirflowVersion.V3_3, image=AirflowImage.build(tmp_path)).advice
    texts = [each.text for each in found if "other-airflow" in each.id]
    assert len(texts) == bool(release)
    assert all(f"seems to have Airflow {release}, but version= is 3.3.2" in text for text in texts)


def docker_hub_warnings(**arguments):
    """Return the warnings about pulls from Docker Hub."""
    found = settings_of(version=AirflowVersion.V3_3, **arguments).advice
    return {each.id: each.text for each in found if "docker-hub-pulls" in each.id}


def test_an_ecs_task_from_docker_hub_gives_a_warning():
    """The warning names the ECS task, unless its image is pulled with credentials or from another registry."""
    ((identity, text),) = docker_hub_warnings(ecs_tasks=(EcsTask(name="etl", image="python:3.13"),)).items()
    assert identity == "cdk-airflow-ecs:docker-hub-pulls:Tasks/etl"
    assert "each run of ECS task 'etl' pulls python:3.13" in text
    for quiet in (
        EcsTask(name="etl", image="python:3.13", credentials=SECRET),
        EcsTask(name="etl", image="ghcr.io/a/b:1"),
    ):
        assert not docker_hub_warnings(ecs_tasks=(quiet,))


def test_pulls_from_docker_hub_for_each_task_give_a_warning():
    """A warning is given if each executor task pulls from Docker Hub without credentials."""
    ((identity, text),) = docker_hub_warnings(executor=EcsExecutor()).items()
    assert identity == "cdk-airflow-ecs:docker-hub-pulls:airflow"
    assert "apache/airflow:3.3.2-python3.12 from Docker Hub" in text
    assert docker_hub_warnings(executor=EcsExecutor(), image=AirflowImage.registry("acme/airflow:3.3.2"))
    assert docker_hub_warnings(executor=SeveralExecutors([LocalExecutor(), EcsExecutor()]))
    for image in (
        AirflowImage.official(credentials=SECRET),
        AirflowImage.registry("acme/airflow:3.3.2", credentials=SECRET),
        AirflowImage.registry("public.ecr.aws/acme/airflow:3.3.2"),
        AirflowImage.registry("ghcr.io/acme/airflow:3.3.2"),
        AirflowImage.ecr(REPOSITORY, "3.3.2"),
    ):
        assert not docker_hub_warnings(executor=EcsExecutor(), image=image)
    assert not docker_hub_warnings()
    both = SeveralExecutors([CeleryExecutor(broker=SqsBroker()), EcsExecutor()])
    assert not docker_hub_warnings(executor=both), (
        "the official image with packages for SQS is built, and pulled from ECR"
    )


def test_registry_credentials_for_a_built_image_give_a_warning():
    """To build from a private base image, `docker login` is required instead."""
    sqs = CeleryExecutor(broker=SqsBroker())
    found = settings_of(
        version=AirflowVersion.V3_3, executor=sqs, image=AirflowImage.official(credentials=SECRET)
    ).advice
    (advice,) = [each for each in found if "login-of-a-build" in each.id]
    assert "run `docker login` on the machine that deploys" in advice.text
    with pytest.raises(
        ValueError, match=r"AirflowImage\.official credentials must be a secretsmanager\.ISecret, not the"
    ):
        AirflowImage.official(credentials="user:password")


def test_image_names_with_tags_digests_and_tokens_are_accepted():
    """Tags, digests and tokens are accepted."""
    for tag in ("3.3.2-1", "v1_2.3", DIGEST, TEXT_TOKEN):
        assert plan(image=AirflowImage.ecr(REPOSITORY, tag))
    for name in (f"a/b@{DIGEST}", "a/b:1", TEXT_TOKEN, "localhost:5000/b:1", "public.ecr.aws/acme/airflow:1"):
        assert plan(image=AirflowImage.registry(name, credentials=SECRET))


@pytest.mark.parametrize("name", ["apache/airflow:2.11.2", "docker.io/apache/airflow:slim-3.3.1-python3.12"])
def test_an_official_image_of_another_release_is_rejected(name, tmp_path):
    """version= must equal the image's release."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "a.py").write_text("")
    (tmp_path / "own").mkdir()
    dockerfile = tmp_path / "own" / "Dockerfile"
    dockerfile.write_text(f"FROM {name} AS one\nFROM --platform=linux/amd64 {name}\n")
    pool = AirflowImage.registry(name)
    for arguments in (
        {"image": AirflowImage.registry(name)},
        {"executor": CeleryExecutor(pools=[WorkerPool("default", image=pool)])},
        {"image": AirflowImage.build(tmp_path / "own")},
    ):
        with pytest.raises(ValueError, match=rf"{name}.? is not Airflow 3\.3\.2, the release of version="):
            plan_of(version=AirflowVersion.V3_3, **arguments)
    (tmp_path / "own" / "Dockerfile").unlink()
    (tmp_path / "own").rmdir()
    with pytest.raises(ValueError, match=rf"{name}.? is not Airflow 3\.3\.2, the release of version="):
        plan_of(version=AirflowVersion.V3_3, image=AirflowImage.build(tmp_path, base=name))


@pytest.mark.parametrize(
    "text",
    [
        "FROM apache/airflow:2.11.2 AS old\nFROM apache/airflow:3.3.2\nCOPY --from=old /a /a\n",
        "ARG AIRFLOW_VERSION\nFROM apache/airflow:${AIRFLOW_VERSION}-python3.12\n",
        "FROM apache/airflow:3.3\n",
        "FROM acme/airflow:2.11.2\n",
    ],
)
def test_an_image_name_with_the_airflow_release_of_the_cluster_is_accepted(text, tmp_path):
    """If the image is built from a Dockerfile, only the last FROM counts."""
    (tmp_path / "Dockerfile").write_text(text)
    assert plan(image=AirflowImage.build(tmp_path))
    for name in ("apache/airflow:3.3.2", "apache/airflow:slim-3.3.2-python3.12", "apache/airflow:3.3"):
        assert plan(image=AirflowImage.registry(name))


@pytest.mark.parametrize(
    ("image", "moves"),
    [
        (AirflowImage.registry("ghcr.io/acme/airflow"), True),
        (AirflowImage.registry("ghcr.io/acme/airflow:latest"), True),
        (AirflowImage.registry("localhost:5000/airflow"), True),
        (AirflowImage.ecr(REPOSITORY, "latest"), True),
        (AirflowImage.registry(f"acme/airflow@{DIGEST}"), False),
        (AirflowImage.registry(TEXT_TOKEN), False),
        (AirflowImage.ecr(REPOSITORY, TEXT_TOKEN), False),
        (AirflowImage.official(), False),
        (OWN_IMAGE, False),
    ],
)
def test_an_image_tag_that_may_move_gives_a_warning(image, moves):
    """After the tag moves, new tasks would run another image than running tasks."""
    pools = CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("heavy", image=image)])
    found = settings_of(version=AirflowVersion.V3_3, image=image, executor=pools).advice
    names = ["airflow", "Pools/heavy"] if moves else []
    assert [each.id for each in found] == [f"cdk-airflow-ecs:moving-image:{name}" for name in names]
