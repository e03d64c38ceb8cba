"""Supported Dockerfile instructions have Docker's effect; others are refused with line and instruction."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from cdk_airflow_ecs.local.images.build import read_image
from cdk_airflow_ecs.local.images.container_home import fill, search_path
from cdk_airflow_ecs.local.images.environments import Environment
from cdk_airflow_ecs.local.images.image import AirflowImageParts, ImageBuild
from cdk_airflow_ecs.local.images.requirement_lines import requirement_lines
from cdk_airflow_ecs.local.refusal import Refusal

FILES = (
    "requirements.txt", "extra.in", "constraints.txt", "airflow.cfg", "entrypoint.sh", "run.sh", "dags/a.py",
    "dags/sub/b.py", "plugins/p.py", "config/c.py", "a b.txt", "data.tar.gz",
)  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a build context with files."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("" if name.endswith((".txt", ".in")) else name)
    (tmp_path / "requirements.txt").write_text("pandas<3  # why\n\n-r extra.in\n")
    (tmp_path / "extra.in").write_text("numpy>=2; python_version > '3.8'\n")
    (tmp_path / "constraints.txt").write_text("numpy==2.1\n")
    return tmp_path


def parts_of(context: Path, text: str, target: str = "", **arguments: str) -> AirflowImageParts:
    """Parse a Dockerfile."""
    (context / "Dockerfile").write_text(text)
    return read_image("label", ImageBuild(folder=context, arguments=arguments, target=target))


def after(context: Path, text: str, **arguments: str) -> AirflowImageParts:
    """Parse instructions after a FROM with an official image."""
    return parts_of(context, f"FROM apache/airflow:3.3.2-python3.12\n{text}\n", **arguments)


def places(parts: AirflowImageParts) -> set[tuple[str, str]]:
    """Return the files of an image as pairs of local name and path in the image."""
    return {(path.name, str(place)) for path, place in parts.files}


# Build arguments


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("ARG AIRFLOW_VERSION\nFROM apache/airflow:${AIRFLOW_VERSION}-python3.12", {"AIRFLOW_VERSION": "3.3.2"}),
        ("ARG AIRFLOW_VERSION\nFROM apache/airflow:$AIRFLOW_VERSION-python3.12", {"AIRFLOW_VERSION": "3.3.2"}),
        ("ARG V=2.8.1\nFROM apache/airflow:${V}-python3.12", {"V": "3.3.2"}),
        ("ARG V=3.3.2\nFROM apache/airflow:${V}-python3.12", {"OTHER": "2.8.1"}),
        ('ARG V="3.3.2"\nARG TAG=${V}-python3.12\nFROM apache/airflow:${TAG}', {}),
        ("ARG IMAGE=apache/airflow\nFROM ${IMAGE}:${V:-3.3.2-python3.12}", {}),
        ("ARG V=${V:-3.3.2-python3.12}\nFROM --platform=$BUILDPLATFORM apache/airflow:$V AS final", {}),
        ("ARG A=3 B=3.2 C\nFROM apache/airflow:${A}.${B}${C:+x}${C-}-python3.12", {}),
        ("# syntax=docker/dockerfile:1\n\n# a comment\nARG P=3.12\nFROM \\\n  apache/airflow:3.3.2-python${P}", {}),
        ("# escape=`\nARG P=3.12\nFROM `\n apache/airflow:3.3.2-python${P}", {}),
    ],
)
def test_build_arguments_in_a_from_instruction_are_replaced(context: Path, text: str, arguments: dict[str, str]):
    """FROM accepts build arguments, with and without braces and defaults."""
    parts = parts_of(context, f"{text}\n", **arguments)
    assert (parts.version, parts.python) == ("3.3.2", "3.12")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ENV X=${A}", ""),
        ("ARG A\nENV X=${A}", "global"),
        ("ARG A=own\nENV X=${A}", "own"),
        ("ARG A=own\nENV A=env\nENV X=${A}", "env"),
        ("ENV A=env\nARG A=own\nENV X=${A}", "env"),
        ("ARG B\nENV X=${B}", "given"),
        ("ARG B=own\nENV X=${B}", "given"),
        ("ARG C=${B:-none}\nENV X=$C", "none"),
        ("ARG B\nARG C=${B}-1\nENV X=$C", "given-1"),
        ("ENV X=$TARGETARCH", ""),
        ("ARG TARGETARCH\nENV X=$TARGETARCH", "amd64"),
    ],
)
def test_a_global_arg_must_be_declared_again_in_its_stage(context: Path, text: str, value: str):
    """A global ARG is visible only after an ARG in the stage, which may override its value; ENV overrides ARG."""
    parts = parts_of(context, f"ARG A=global\nFROM apache/airflow:3.3.2\n{text}\n", B="given")
    assert dict(parts.environment)["X"] == value


# ENV


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENV LANG C.UTF-8", {"LANG": "C.UTF-8"}),
        ("ENV ONE TWO= THREE=world", {"ONE": "TWO= THREE=world"}),
        ('ENV A "b c"', {"A": "b c"}),
        ('ENV A=1 B="two words" C=three\\ words', {"A": "1", "B": "two words", "C": "three words"}),
        ('ENV A=\'$X\' B=\\$X C="\\"q\\""', {"A": "$X", "B": "$X", "C": '"q"'}),
        ("ENV A=1 \\\n    # why\n    B=2", {"A": "1", "B": "2"}),
        ("ENV A=bye\nENV A=hello B=$A", {"A": "hello", "B": "bye"}),
        ("ENV A=$AIRFLOW_VERSION B=${AIRFLOW_HOME}/x", {"A": "3.3.2", "B": "/opt/airflow/x"}),
        ("ENV A=${NONE:-${AIRFLOW_UID}} B=${NONE:+x}", {"A": "50000", "B": ""}),
        ("env A=1", {"A": "1"}),
        ("ENV\tA=1", {"A": "1"}),
        ("ENV A=a=b&c;d", {"A": "a=b&c;d"}),
        ("ENV A=", {"A": ""}),
    ],
)
def test_env_instructions_are_parsed_as_docker_parses_them(context: Path, text: str, expected: dict[str, str]):
    """ENV accepts both forms, several pairs, quotes, escapes, and references to earlier values."""
    assert dict(after(context, text).environment) == expected


def variables(context: Path, text: str) -> dict[str, str]:
    """Return the image's environment variables in a container whose home is /h."""
    parts = after(context, text)
    environment = Environment(
        python=Path("/env/bin/python"),
        bin=Path("/env/bin"),
        path="/env/bin:/usr/bin",
        airflow_version="3.3.2",
        image=parts,
    )
    return environment.variables(Path("/h"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENV AIRFLOW_HOME=/opt/airflow", {"AIRFLOW_HOME": "/h"}),
        ("ENV AIRFLOW_HOME /usr/local/airflow\nENV D=${AIRFLOW_HOME}/d", {"AIRFLOW_HOME": "/h", "D": "/h/d"}),
        ("ENV GX_ROOT=/opt/airflow/gx", {"GX_ROOT": "/h/gx"}),
        ("ENV A=/opt/airflow/a:/opt/airflow-b:/c", {"A": "/h/a:/opt/airflow-b:/c"}),
        ('ENV A=\'{"path": "/opt/airflow/x"}\'', {"A": '{"path": "/h/x"}'}),
        ("ENV A=s3://bucket/opt/airflow", {"A": "s3://bucket/opt/airflow"}),
        ("ENV A=file:///opt/airflow/x", {"A": "file:///h/x"}),
        ("ENV A=/home/airflow/.dbt B=/home/airflow/.local/lib", {"A": "/h/.dbt", "B": "/env/lib"}),
        ("ENV A=1", {"PATH": "/env/bin:/usr/bin"}),
        ('ENV PATH="${PATH}:/x"', {"PATH": "/env/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:/x"}),
        ("ENV PATH=/x:$PATH", {"PATH": "/x:/env/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}),
        ("ENV PATH=/opt/airflow/bin:/usr/bin", {"PATH": "/env/bin:/h/bin:/usr/bin"}),
    ],
)
def test_image_paths_in_variables_become_paths_in_the_local_home(context: Path, text: str, expected: dict[str, str]):
    """Image paths in environment variables become paths in the container's home, and PATH contains Python."""
    found = variables(context, text)
    assert {name: found[name] for name in expected} == expected


def test_path_always_contains_python():
    """PATH contains Python even if the Dockerfile replaces PATH."""
    image = AirflowImageParts(version="", python="")
    assert search_path("/bin", image, Path("/h"), Path("/env/bin")) == "/env/bin:/bin"


# COPY and ADD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY requirements.txt .", {("requirements.txt", "/opt/airflow/requirements.txt")}),
        ("COPY requirements.txt ./", {("requirements.txt", "/opt/airflow/requirements.txt")}),
        ("COPY ./requirements.txt ./req.txt", {("requirements.txt", "/opt/airflow/req.txt")}),
        ("ADD requirements.txt .", {("requirements.txt", "/opt/airflow/requirements.txt")}),
        ("COPY requirements.txt /", {("requirements.txt", "/requirements.txt")}),
        ("COPY airflow.cfg /opt/airflow", {("airflow.cfg", "/opt/airflow/airflow.cfg")}),
        ("COPY airflow.cfg ${AIRFLOW_HOME}", {("airflow.cfg", "/opt/airflow/airflow.cfg")}),
        ("COPY airflow.cfg /opt/airflow/own.cfg", {("airflow.cfg", "/opt/airflow/own.cfg")}),
        ("COPY run.sh /opt/airflow/dags", {("run.sh", "/opt/airflow/dags/run.sh")}),
        ("COPY run.sh new", {("run.sh", "/opt/airflow/new")}),
        ("COPY run.sh new/", {("run.sh", "/opt/airflow/new/run.sh")}),
        ("RUN mkdir -p new\nCOPY run.sh new", {("run.sh", "/opt/airflow/new/run.sh")}),
        ("COPY dags ./x\nCOPY run.sh x/sub", {("dags", "/opt/airflow/x"), ("run.sh", "/opt/airflow/x/sub/run.sh")}),
        (
            "COPY run.sh airflow.cfg ./",
            {("run.sh", "/opt/airflow/run.sh"), ("airflow.cfg", "/opt/airflow/airflow.cfg")},
        ),
        ("COPY dags /opt/airflow/dags", {("dags", "/opt/airflow/dags")}),
        ("COPY dags/ dags/", {("dags", "/opt/airflow/dags")}),
        ("COPY dags/. dags", {("dags", "/opt/airflow/dags")}),
        ("COPY dags/* dags/", {("a.py", "/opt/airflow/dags/a.py"), ("sub", "/opt/airflow/dags")}),
        ("WORKDIR /opt/airflow/dags\nCOPY run.sh .", {("run.sh", "/opt/airflow/dags/run.sh")}),
        ("WORKDIR dags\nWORKDIR sub\nCOPY run.sh .", {("run.sh", "/opt/airflow/dags/sub/run.sh")}),
        ("WORKDIR /tmp\nCOPY run.sh .", {("run.sh", "/tmp/run.sh")}),
        ('COPY ["a b.txt", "./"]', {("a b.txt", "/opt/airflow/a b.txt")}),
        (
            "COPY --chown=airflow:root --chmod=755 --link run.sh /opt/airflow/",
            {("run.sh", "/opt/airflow/run.sh")},
        ),
        ("COPY --chown=${AIRFLOW_UID}:0 run.sh .", {("run.sh", "/opt/airflow/run.sh")}),
        ("COPY /run.sh .", {("run.sh", "/opt/airflow/run.sh")}),
        ("COPY run.sh /home/airflow/", {("run.sh", "/home/airflow/run.sh")}),
        ("COPY . .", {("", "/opt/airflow")}),
        ("COPY run.sh .\nRUN rm run.sh", set()),
        (
            "COPY run.sh /tmp/\nRUN cp /tmp/run.sh dags/x.sh",
            {("run.sh", "/tmp/run.sh"), ("run.sh", "/opt/airflow/dags/x.sh")},
        ),
    ],
)
def test_copy_and_add_put_files_where_docker_does(context: Path, text: str, expected: set[tuple[str, str]]):
    """COPY and ADD put files and folders where Docker puts them."""
    found = places(after(context, text))
    assert found == {(name or context.name, place) for name, place in expected}
    fill(context / "home", after(context, text))  # must not raise


def test_copied_files_keep_their_mode(context: Path):
    """Files copied to the home have their original mode or that of --chmod; folders that RUN creates exist."""
    (context / "run.sh").chmod(0o755)
    parts = after(
        context,
        "COPY run.sh airflow.cfg ./\nCOPY dags dags/\nRUN mkdir -p /opt/airflow/empty && chmod +x dags/a.py\nWORKDIR w",
    )
    home = context / "home"
    fill(home, parts)
    fill(home, parts)
    assert (home / "run.sh").stat().st_mode & 0o111
    assert (home / "dags/a.py").stat().st_mode & 0o111
    assert not (home / "airflow.cfg").stat().st_mode & 0o111
    assert (home / "dags/sub/b.py").read_text() == "dags/sub/b.py"
    assert (home / "empty").is_dir()
    assert (home / "w").is_dir()
    assert parts.workdir == PurePosixPath("/opt/airflow/w")


# RUN


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "COPY requirements.txt .\nCOPY extra.in .\nRUN pip install --no-cache-dir -r requirements.txt",
            ["pandas<3", "numpy>=2; python_version > '3.8'"],
        ),
        ("COPY . /tmp/x/\nRUN pip install -r /tmp/x/extra.in", ["numpy>=2; python_version > '3.8'"]),
        ("COPY extra.in /\nRUN cd / && pip install --requirement=extra.in", ["numpy>=2; python_version > '3.8'"]),
        ("COPY extra.in /e.txt\nRUN pip install -r/e.txt && rm /e.txt", ["numpy>=2; python_version > '3.8'"]),
        (
            "RUN --mount=type=cache,target=/x --mount=type=bind,source=extra.in,target=/r.in pip install -r /r.in",
            ["numpy>=2; python_version > '3.8'"],
        ),
        ('RUN pip install "apache-airflow==${AIRFLOW_VERSION}" pandas', ["pandas"]),
        ('RUN pip install "apache-airflow[google,slack]==3.3.2"', ["apache-airflow[google,slack]"]),
        ("RUN pip install \"pandas>=2,<3; python_version < '3.14'\"", ["pandas>=2,<3; python_version < '3.14'"]),
        ("RUN python -m pip install a && pip3 install --upgrade b; uv pip install --system c", ["a", "b", "c"]),
        ("ARG P='a b'\nRUN pip install $P", ["a", "b"]),
        ("ARG V=1.2\nRUN pip install dbt-core==${V}", ["dbt-core==1.2"]),
        ("RUN V=1.2 && pip install dbt-core==${V}", ["dbt-core==1.2"]),
        ("RUN export V=1.2; pip install dbt-core==$V", ["dbt-core==1.2"]),
        ('RUN ["pip", "install", "a>=1"]', ["a>=1"]),
        ("RUN pip install --extra-index-url https://x/simple a", ["--extra-index-url https://x/simple", "a"]),
        ("RUN pip install a --index-url=https://x/simple", ["a", "--index-url https://x/simple"]),
        ("RUN pip install git+https://github.com/a/b.git@v1", ["git+https://github.com/a/b.git@v1"]),
        ("RUN pip install 'b @ https://x/b-1-py3-none-any.whl'", ["b @ https://x/b-1-py3-none-any.whl"]),
        ('RUN pip install -c "${HOME}/constraints.txt" a', ["a"]),
        (
            "RUN pip install a --constraint https://raw.githubusercontent.com/apache/airflow/constraints-3.3.2/"
            "constraints-3.12.txt",
            ["a"],
        ),
        ("RUN set -eux; pip install a 2>&1 | tee /tmp/log", ["a"]),
        ("RUN pip install a  # why", ["a"]),
        ("RUN pip check && pip list && pip --version && echo done", []),
    ],
)
def test_requirements_of_pip_install_in_a_dockerfile_are_recorded(context: Path, text: str, lines: list[str]):
    """`pip install` may name requirements in files, arguments and variables, and package indexes."""
    assert requirement_lines(after(context, text)) == lines


def test_a_pip_constraints_file_in_the_build_context_is_used(context: Path):
    """`pip install -c` with a file of the build context limits the versions."""
    parts = after(context, "COPY constraints.txt .\nRUN pip install -c constraints.txt numpy")
    assert requirement_lines(parts) == ["numpy", f"-c {context / 'constraints.txt'}"]


def test_debian_packages_of_a_dockerfile_are_recorded(context: Path):
    """Debian packages are not installed; their names are recorded for the user."""
    parts = after(
        context,
        "USER root\nRUN apt-get update && apt-get install -y --no-install-recommends vim git=1:2 \\\n"
        "  && apt-get clean && rm -rf /var/lib/apt/lists/*\nUSER airflow",
    )
    assert parts.packages == ("vim", "git=1:2")
    assert parts.differences == ()


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("USER root", "the image runs as user root"),
        ("WORKDIR /data", "the image starts in /data"),
        ("RUN pip install --no-deps a", r"--no-deps"),
        ("RUN groupadd docker", "`groupadd docker` in line 2"),
        ("RUN apt-get remove -y vim", "`apt-get remove -y vim` in line 2"),
    ],
)
def test_differences_between_image_and_local_environment_are_reported(context: Path, text: str, difference: str):
    """The user, for example, is ignored; each difference is reported with the instruction that causes it."""
    (found,) = after(context, text).differences
    assert difference in found


# Stages


def test_only_stages_that_the_target_uses_are_parsed(context: Path):
    """As in BuildKit, stages that the target does not use are not parsed."""
    text = "FROM node:22 AS web\nRUN npm ci\nFROM apache/airflow:3.3.2 AS a\nENV A=1\nFROM a\nENV B=2\n"
    assert parts_of(context, text).environment == (("A", "1"), ("B", "2"))
    assert parts_of(context, text, target="a").environment == (("A", "1"),)
    with pytest.raises(Refusal, match="has no stage 'c'"):
        parts_of(context, text, target="c")


def test_a_stage_inherits_env_but_not_arg(context: Path):
    """A stage based on another one inherits its ENV, but not its ARG."""
    text = "FROM apache/airflow:3.3.2 AS a\nARG A=1\nENV B=2\nFROM a\nENV C=$A-$B\n"
    assert dict(parts_of(context, text).environment)["C"] == "-2"


def test_packages_can_be_copied_from_a_builder_stage(context: Path):
    """Packages and files can be copied from a builder stage of the same Airflow release."""
    text = (
        "FROM apache/airflow:3.3.2 AS builder\nCOPY run.sh dags/\nRUN pip install a\n"
        "FROM apache/airflow:3.3.2\nCOPY --from=builder /home/airflow/.local /home/airflow/.local\n"
        "COPY --from=0 --chown=airflow /opt/airflow/dags/run.sh ./\n"
        "COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/\n"
    )
    parts = parts_of(context, text)
    assert parts.requirements == ("a",)
    assert places(parts) == {("run.sh", "/opt/airflow/run.sh")}


def test_an_onbuild_instruction_runs_in_the_next_stage(context: Path):
    """ONBUILD has an effect only in a stage whose base is the stage with ONBUILD."""
    text = "FROM apache/airflow:3.3.2 AS a\nONBUILD COPY run.sh ./\nONBUILD RUN pip install a\n"
    assert places(parts_of(context, text)) == set()
    parts = parts_of(context, f"{text}FROM a\nRUN pip install b\n")
    assert places(parts) == {("run.sh", "/opt/airflow/run.sh")}
    assert parts.requirements == ("a", "b")


def test_entrypoint_and_cmd_are_read_in_both_forms(context: Path):
    """ENTRYPOINT and CMD may be a JSON list or a shell command; ENTRYPOINT removes the base's CMD."""
    parts = after(
        context, 'COPY --chmod=755 entrypoint.sh /entrypoint.sh\nENTRYPOINT ["/entrypoint.sh"]\nCMD ["x", "y"]'
    )
    assert (parts.script, parts.entrypoint, parts.command) == (
        context / "entrypoint.sh", ("/entrypoint.sh",), ("x", "y")
    )  # fmt: skip
    assert after(context, 'CMD ["x"]\nENTRYPOINT ["y"]').command == ()
    assert after(context, 'SHELL ["/bin/sh", "-c"]\nCMD exec x').command == ("/bin/sh", "-c", "exec x")
    assert after(context, "CMD exec x").command[0] == "/bin/bash"


@pytest.mark.parametrize(
    "text",
    [
        "LABEL a=b", "EXPOSE 8080", "HEALTHCHECK NONE", "VOLUME /data", "MAINTAINER me", "STOPSIGNAL SIGTERM",
        'SHELL ["/bin/bash", "-o", "pipefail", "-c"]', "ONBUILD RUN make",
    ],
)  # fmt: skip
def test_instructions_without_local_effect_are_accepted(context: Path, text: str):
    """Instructions without effect in the local runner are accepted."""
    assert after(context, text) == after(context, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN make install", "command make is not supported"),
        ("RUN python -c 'x'", "command python is not supported"),
        ("RUN curl -sL https://x/y -o /usr/local/bin/y", "the file /usr/local/bin/y"),
        ("RUN curl -LO https://x/y.jar", "the file /opt/airflow/y.jar"),
        ("RUN curl -s https://x/i.sh | bash", "command bash is not supported"),
        ("RUN wget https://x/y.jar", "the file /opt/airflow/y.jar"),
        ("RUN echo x > /opt/airflow/x", "the file /opt/airflow/x"),
        ("RUN sed -i s/a/b/ /opt/airflow/airflow.cfg", "the file .*airflow.cfg"),
        ("RUN mkdir /data", "the folder /data"),
        ("RUN if true; then pip install a; fi", "command if is not supported"),
        ("RUN pip install a || pip install b", "conditional pip install"),
        ("RUN pip install .", r"\. is a file or folder of the image"),
        ("RUN pip install -e ./x", "pip option -e is not supported"),
        ("RUN pip install --target /x a", "pip option --target is not supported"),
        ("RUN pip install $(cat x)", "command substitution is not supported"),
        ("RUN pip install apache-airflow==2.8.1", "the image's Airflow 3.3.2"),
        ("RUN pip install -r /missing.txt", "/missing.txt is not in the build context"),
        ("RUN pip install -c mine.txt a", "constraints file mine.txt"),
        ("RUN pip uninstall -y a", "pip uninstall is not supported"),
        ("RUN airflow db migrate", "command airflow is not supported"),
        ("RUN <<EOF\npip install a\nEOF", "heredocs are not supported"),
        ("COPY <<-'EOF' /opt/airflow/x\nx\nEOF", "heredocs are not supported"),
        ("COPY --from=build /x /opt/airflow/x", "another image \\(build\\)"),
        ("COPY --parents dags/a.py ./", "option --parents is not supported"),
        ("COPY nothing /opt/airflow/", "not found in the build context: nothing"),
        ("COPY *.nothing /opt/airflow/", "not found in the build context"),
        ("COPY ../../etc/passwd /opt/airflow/", "not found in the build context"),
        ("COPY run.sh /usr/bin/", "only files below /home/airflow and /opt/airflow"),
        ("COPY run.sh", "source or target is missing"),
        ("ADD https://x/y /opt/airflow/y", "remote files are not supported"),
        ("ADD data.tar.gz /opt/airflow/", "archives are not supported"),
        ("ENV A=${B/x/y}", "B/x/y.* is not supported"),
        ("ENV A=${B:?required}", "B has no value: required"),
        ("ENV A=$PYTHON_VERSION", "PYTHON_VERSION in the official image"),
        ("ENV A=1 B", "NAME=VALUE, got 'B'"),
        ("ENV A", "a name and a value"),
        ('SHELL ["powershell", "-command"]', "the shell must be sh, bash"),
        ("STOPSIGNAL SIGQUIT", "only SIGTERM"),
        ("ENTRYPOINT [oops]", "expected a JSON list"),
        ("FROM scratch", "FROM scratch: only official images"),
        ("CROSS_BUILD x", "instruction CROSS_BUILD is not supported"),
    ],
)
def test_an_unsupported_dockerfile_instruction_is_refused(context: Path, line: str, message: str):
    """An unsupported instruction is refused with file, line, instruction and remedy."""
    with pytest.raises(Refusal, match=message) as refused:
        after(context, f"USER root\n{line}")
    assert str(refused.value).startswith(f"{context / 'Dockerfile'}, line 3, `{line.split(maxsplit=1)[0]}")
    assert "--image NAME=DIR" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM ghcr.io/acme/base:1\n", r"line 1.*FROM ghcr\.io/acme/base:1: only official images"),
        ("FROM apache/airflow:latest\n", "FROM apache/airflow:latest: only official images"),
        ("ARG V\nFROM apache/airflow:${V}-python3.12\n", r"line 2.*FROM apache/airflow:-python3\.12"),
        ("USER root\nFROM apache/airflow:3.3.2\n", "line 1.*must begin with ARG or FROM"),
        ("# nothing\n", "has no FROM"),
    ],
)
def test_a_base_image_other_than_an_official_one_is_refused(context: Path, text: str, message: str):
    """FROM with an image other than an official one is refused."""
    with pytest.raises(Refusal, match=message):
        parts_of(context, text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-r missing.txt", "line 1: file missing.txt not found"),
        ("-e .", "line 1: '-e .' is a file or folder of the image"),
        ("./wheels/a.whl", "is a file or folder of the image"),
        ("-r requirements.txt", "includes itself"),
    ],
)
def test_nested_requirements_files_are_found_beside_their_parent(context: Path, line: str, message: str):
    """A nested requirements file is found relative to its parent; missing files and local packages are refused."""
    (context / "requirements.txt").write_text(f"{line}\n")
    parts = after(context, "COPY requirements.txt .\nRUN pip install -r requirements.txt")
    with pytest.raises(Refusal, match=message):
        requirement_lines(parts)
