"""Images that are built from a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plans import OWN_IMAGE, VERSIONS, containers, option, plan, settings_of

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, ImageDags, S3Dags, WorkerPool
from cdk_airflow_ecs.testing import plan_of

SCRIPT = '#!/bin/bash\nexport TZ=UTC\nexec /entrypoint "$@"\n'
WHOLE = {
    "requirements.txt": "# ours\npandas\nApache_Airflow.Providers-Http >=5 ; python_version > '3.8'  # newer\n",
    "packages.txt": "git\n\n# for PDF\nlibpq5=15.14-0+deb12u1\n",
    "airflow.cfg": "[core]\nparallelism = 7\n[reports]\nsender = a@example.com\n",
    "plugins/weekdays.py": "WEEKDAYS = 5\n",
    "plugins/deep/more.py": "",
    "dags/report.py": "DAG = 1\n",
    "dags/.airflowignore": "old\n",
    "config/airflow_local_settings.py": "",
    "entrypoint.sh": SCRIPT,
    "README.md": "# Ours\n",
    ".gitignore": "*.pyc\n",
}
DOCKERFILE = """\
FROM apache/airflow:3.3.2-python3.12

USER root
# Debian removes a version when it publishes the next one: a pin would break the build.
# hadolint ignore=DL3008
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends \\
        git \\
        libpq5=15.14-0+deb12u1 \\
    && apt-get clean \\
    && rm -rf /var/lib/apt/lists/*
USER airflow

COPY --chown=airflow:root requirements.txt /opt/airflow/requirements.txt
RUN sed --regexp-extended '/^(apache[-_.]airflow[-_.]providers[-_.]http)==/Id' "${HOME}/constraints.txt" > \
/tmp/constraints.txt \\
    && pip install --no-cache-dir --constraint /tmp/constraints.txt \\
        "apache-airflow==${AIRFLOW_VERSION}" --requirement /opt/airflow/requirements.txt \\
    && pip check \\
    && rm /tmp/constraints.txt

COPY --chown=airflow:root config/ /opt/airflow/config/
COPY --chown=airflow:root plugins/ /opt/airflow/plugins/
COPY --chown=airflow:root dags/ /opt/airflow/dags/
COPY --chown=airflow:root entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint.sh"]
"""


@pytest.fixture
def folder(tmp_path):
    """Return a function that creates a directory with the given files."""

    def make(files, name="airflow"):
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    return make


def context(image, line="3.3", **added):
    """Return the text of each file in the build context."""
    return {name: content.decode() for name, content in image.source.context(VERSIONS[line], **added).items()}


def image_in(**arguments):
    """Return the image of the cluster's services."""
    return settings_of(version=AirflowVersion.V3_3, **arguments).images()["airflow"]


def test_the_built_image_contains_only_supported_files_of_the_directory(folder):
    """The build context contains exactly the files that the library supports."""
    found = context(AirflowImage.build(folder(WHOLE)))
    assert found.pop("Dockerfile") == DOCKERFILE
    assert found.pop("requirements.txt") == "pandas\nApache_Airflow.Providers-Http >=5 ; python_version > '3.8'\n"
    files = {name: WHOLE[name] for name in found}
    assert found == files
    assert set(files) == {n for n in WHOLE if n.startswith(("plugins/", "dags/", "config/", "entrypoint"))}


def test_a_directory_with_one_supported_file_can_be_built(folder):
    """A directory needs only one of the supported files."""
    for number, name in enumerate(WHOLE):
        if name in ("README.md", ".gitignore"):
            continue
        found = context(AirflowImage.build(folder({name: WHOLE[name]}, f"only{number}")))
        kept = set() if name in ("packages.txt", "airflow.cfg") else {name}
        assert set(found) == {"Dockerfile", *kept}
        lines = found["Dockerfile"].splitlines()
        assert ("USER root" in lines, "pip install" in found["Dockerfile"]) == (
            name == "packages.txt",
            name == "requirements.txt",
        )
        assert [line for line in lines if line.startswith("USER")][-1:] == ["USER airflow"] * (name == "packages.txt")


def test_the_layout_of_the_copilot_walk_through_is_accepted(folder):
    """A directory with the folders of the AWS Copilot walk-through is accepted."""
    moved = {"airflow.cfg": "configs/", "entrypoint.sh": "scripts/", "requirements.txt": "requirements/"}
    there = AirflowImage.build(folder({moved.get(name, "") + name: text for name, text in WHOLE.items()}, "copilot"))
    assert context(there) == context(AirflowImage.build(folder(WHOLE)))
    assert there.source.options == {("core", "parallelism"): "7", ("reports", "sender"): "a@example.com"}


@pytest.mark.parametrize("line", VERSIONS)
def test_the_default_base_image_is_the_full_official_image(folder, line):
    """A build on the slim image installs the required providers."""
    directory, version = folder(WHOLE), VERSIONS[line]
    full = context(AirflowImage.build(directory), line)["Dockerfile"]
    slim = context(AirflowImage.build(directory, base="slim"), line)["Dockerfile"]
    own = context(AirflowImage.build(directory, base="example.com/airflow:1"), line)["Dockerfile"]
    name = f"{version}-python{version.python}"
    assert full.startswith(f"FROM apache/airflow:{name}\n")
    assert slim.startswith(f"FROM apache/airflow:slim-{name}\n")
    assert own.startswith(f'FROM example.com/airflow:1\n\nRUN test "${{AIRFLOW_VERSION}}" = "{version}"')
    extras = "aiobotocore,amazon,celery,http,postgres,redis,statsd" + (",fab,git" if version.major == 3 else "")
    assert f'"apache-airflow[{extras}]==${{AIRFLOW_VERSION}}"' in slim
    published = f"airflow/constraints-${{AIRFLOW_VERSION}}/constraints-{version.python}.txt"
    # The constraints file in a slim image may lack providers; images of 2.8 have no file.
    assert (published in slim, published in full) == (True, line == "2.8")


def test_one_build_installs_the_packages_of_the_broker_and_of_the_user(folder):
    """The Dockerfile has a single `pip install` for the packages of the broker and the user."""
    added = {"requirements": ("kombu>=5.6,<6",), "files": {"broker_settings.py": "X = 1\n"}}
    for files, lines in (({"plugins/a.py": ""}, ""), (WHOLE, "pandas\n")):
        found = context(AirflowImage.build(folder(files, f"d{len(files)}")), **added)
        assert found["requirements.txt"].startswith(lines)
        assert found["requirements.txt"].endswith("kombu>=5.6,<6\n")
        assert found["config/broker_settings.py"] == "X = 1\n"
        assert found["Dockerfile"].count("pip install") == 1
        assert "COPY --chown=airflow:root config/ /opt/airflow/config/" in found["Dockerfile"]
        assert "kombu)==/Id" in found["Dockerfile"]


def test_a_user_module_with_the_name_of_a_module_of_the_cluster_is_rejected(folder):
    """The cluster does not overwrite a user's module."""
    image = AirflowImage.build(folder({"config/airflow_ecs_celery.py": ""}))
    with pytest.raises(ValueError, match=r"config/airflow_ecs_celery\.py: the cluster adds a module with this name"):
        plan("2.8", "sqs", image=image)
    assert plan("3.3", "sqs", image=image)


def test_the_build_context_has_no_temporary_files(folder):
    """The build context contains no bytecode, version control or editor files."""
    junk = {
        **{
            "plugins/__pycache__/weekdays.cpython-312.pyc": b"\x00",
            "dags/report.pyc": b"\x00",
            "dags/.git/HEAD": "ref",
        },
        **{
            "dags/.report.py.swp": "",
            "dags/report.py~": "",
            "plugins/.idea/x.xml": "",
            ".DS_Store": "",
            "cdk.out/a": "",
        },
        **{"dags/.ipynb_checkpoints/a.py": "", ".venv/bin/python": "", "plugins/.mypy_cache/a": "", "dags/#a.py#": ""},
    }
    clean, dirty = (AirflowImage.build(folder(files, name)) for name, files in (("a", WHOLE), ("b", WHOLE | junk)))
    assert context(clean) == context(dirty)
    assert list(clean.source.contents.files) == list(dirty.source.contents.files)


def test_symbolic_links_are_followed_unless_broken_or_circular(folder, tmp_path):
    """Symbolic links are followed; broken and circular ones are rejected."""
    directory = folder({"dags/a.py": "A\n", "plugins/common/b.py": "B\n"})
    os.symlink(directory / "plugins" / "common", directory / "dags" / "common")
    os.symlink(directory / "plugins" / "common" / "b.py", directory / "dags" / "b.py")
    found = context(AirflowImage.build(directory))
    assert (found["dags/common/b.py"], found["dags/b.py"]) == ("B\n", "B\n")
    os.symlink("nowhere", directory / "dags" / "c.py")
    with pytest.raises(ValueError, match=r"dags/c\.py is a broken link; remove it"):
        AirflowImage.build(directory)
    (directory / "dags" / "c.py").unlink()
    os.symlink(directory / "dags", directory / "dags" / "loop")
    with pytest.raises(ValueError, match=r"dags/loop is a link back to .*; remove it"):
        AirflowImage.build(directory)


# For each case: the files of the directory, and a pattern of the error.
REFUSED = {
    "no files": ({}, r"has no files for an image, .* requirements\.txt, .*dags/\. Omit image="),
    "only documents": ({"README.md": "# Ours"}, "has no files for an image"),
    "only comments": ({"requirements.txt": "# later\n\n"}, "has no files for an image"),
    "an unknown folder": (
        {"plugin/a.py": ""},
        "airflow/plugin would not be in the image, which accepts requirem",
    ),
    "an unknown file": (
        {"dags/a.py": "", "setup.py": ""},
        r"airflow/setup\.py would not be .* into config/, from wh",
    ),
    "an unknown file in a known folder": (
        {"requirements/requirements.txt": "a", "requirements/dev.txt": "b"},
        r"airflow/requirements/dev\.txt would not be in the image",
    ),
    "a folder that is a file": ({"plugins": "a", "dags/a.py": ""}, "airflow/plugins would not be in the image"),
    "the same file twice": (
        {"requirements.txt": "a", "requirements/requirements.txt": "b"},
        r"requirements\.txt exists twice: .*airflow/requirements\.txt and .* Remove one of them",
    ),
    "a command in packages": (
        {"packages.txt": "git; rm -rf /"},
        r"packages\.txt: 'git; rm -rf /' is not a Debian package",
    ),
    "a substitution in packages": (
        {"packages.txt": "$(id)"},
        r"'\$\(id\)' is not a Debian package. Write one name per line",
    ),
    "an option in packages": ({"packages.txt": "--allow-unauthenticated"}, "is not a Debian package"),
    "two packages a line": (
        {"packages.txt": "git vim"},
        "'git vim' is not a Debian package. Write one name per line, such",
    ),
    "another requirements file": (
        {"requirements.txt": "-r base.txt"},
        "'-r base.txt' refers to another file",
    ),
    "constraints": ({"requirements.txt": "--constraint=c.txt"}, "refers to another file"),
    "the constraints of Airflow": (
        {"requirements.txt": '--constraint "https://x.example/constraints-3.3.2/constraints-3.12.txt"\npandas'},
        r"is redundant: .* Remove the line",
    ),
    "the constraints of Airflow by -c": (
        {"requirements.txt": "-c /usr/local/airflow/dags/constraints-3.11-mod.txt"},
        "is redundant",
    ),
    "the startup script of MWAA": (
        {"requirements.txt": "pandas", "startup.sh": "export A=1"},
        r"startup\.sh would not be .*; put its Debian packages into packages\.txt",
    ),
    "the plugins of MWAA": (
        {"plugins.zip": "", "dags/a.py": ""},
        r"plugins\.zip would not be .*; unpack it into plugins/",
    ),
    "the include folder of DAGs": (
        {"dags/a.py": "", "include/q.sql": ""},
        "include would not be .*; move it into the folder of your DAGs, as dags/include",
    ),
    "an editable package": ({"requirements.txt": "-e git+https://example.com/x#egg=x"}, "refers to another file"),
    "a local package": (
        {"requirements.txt": "./wheels/x.whl"},
        "refers to another file, .* write your own Dockerfile",
    ),
    "a folder of packages": (
        {"requirements.txt": "--find-links wheels/"},
        "'--find-links wheels/' refers to another file",
    ),
    "a folder by -f": ({"requirements.txt": "-f ./wheels"}, "refers to another file"),
    "options in the wrong folder": (
        {"config/airflow.cfg": "[core]\nparallelism = 1"},
        r"config/airflow\.cfg would be ignored\. Move it to .*airflow/airflow\.cfg",
    ),
    "a hash": (
        {"requirements.txt": "pandas==2.2 \\\n  --hash=sha256:00"},
        "'pandas==2.2' has a hash, .* Remove the hashes",
    ),
    "an invalid requirement": (
        {"requirements.txt": "pandas numpy"},
        "'pandas numpy' is not a requirement. Write one per line",
    ),
    "a command in requirements": ({"requirements.txt": "pandas && rm"}, "is not a requirement"),
    "binary content": ({"requirements.txt": b"\xff\xfe"}, r"requirements\.txt must be UTF-8"),
    "options without a section": (
        {"airflow.cfg": "parallelism = 1"},
        r"airflow\.cfg: File contains no section headers",
    ),
    "an option in capitals": (
        {"airflow.cfg": "[core]\nParallelism = 1"},
        r"Airflow ignores 'Parallelism'; sections",
    ),
    "options twice": (
        {"airflow.cfg": "[core]\na = 1\na = 2"},
        r"airflow\.cfg: .*option 'a' in section 'core' already ex",
    ),
    "a broken reference": (
        {"airflow.cfg": "[core]\na = %(b)s"},
        r"airflow\.cfg: Bad value substitution: option 'a' in s",
    ),
    "defaults": (
        {"airflow.cfg": "[DEFAULT]\na = 1"},
        r"Airflow has no section \[DEFAULT\]\. Write each option in its s",
    ),
    "a dynamic reference": (
        {"airflow.cfg": "[reports]\npassword = {{resolve:secretsmanager:s}}"},
        "would put the secret .* Remove the option and pass an ecs.Secret in config=",
    ),
    "too many options": (
        {"airflow.cfg": "[reports]\n" + "".join(f"option_{i} = {'x' * 80}\n" for i in range(400))},
        "sets 400 options in .* 64 KiB.* Keep only those that differ from Airflow's defaults",
    ),
    "no interpreter": (
        {"entrypoint.sh": 'exec "$@"\n'},
        r"entrypoint\.sh must begin with an interpreter, such as #!/bi",
    ),
    "Windows line ends": (
        {"entrypoint.sh": SCRIPT.replace("\n", "\r\n")},
        "has Windows line endings, .* '/bin/bash'",
    ),
    "no exec": (
        {"entrypoint.sh": "#!/bin/bash\nairflow scheduler\n"},
        r'must end with a line such as exec /entrypoint "',
    ),
    "a file of secrets": (
        {"dags/.env": "A=1"},
        r"dags/\.env looks like a secret, and everyone who may pull .* Secrets M",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_error_for_an_invalid_image_directory_has_the_remedy(folder, name):
    """The error states the file, the problem and the remedy."""
    files, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        AirflowImage.build(folder(files))


def test_the_error_for_an_index_url_hides_its_login(folder):
    """The error for an index URL hides its login."""
    for line in (
        "--extra-index-url https://me:hunter2@pypi.example.com/simple",
        "x @ git+https://hunter2@example.com/x",
    ):
        with pytest.raises(ValueError, match=r"requirements\.txt: a line has credentials in its URL") as refusal:
            AirflowImage.build(folder({"requirements.txt": line}))
        assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "line",
    [
        *("--pre", "--extra-index-url https://pypi.example.com/simple", "a @ git+ssh://git@x/y"),
        *(
            "--find-links https://example.com/wheels",
            "--find-links=https://example.com/wheels",
            "-fhttps://example.com/w",
        ),
    ],
)
def test_pip_options_and_urls_without_a_login_are_kept(folder, line):
    """Pip options and URLs without a login are kept in requirements.txt."""
    assert context(AirflowImage.build(folder({"requirements.txt": line})))["requirements.txt"] == f"{line}\n"


@pytest.mark.parametrize("directory", [None, "", 3, "nowhere", "pyproject.toml", Path("nowhere"), "${Token[TOKEN.1]}"])
def test_the_error_for_a_missing_directory_has_its_absolute_path(directory):
    """The error has the absolute path of the missing directory."""
    with pytest.raises(ValueError, match=r"AirflowImage\.build: .* must be a folder in /.* Pass the folder"):
        AirflowImage.build(directory)


def test_options_in_airflow_cfg_override_the_defaults_of_the_cluster(folder):
    """Options in airflow.cfg override the cluster's defaults in every container."""
    directory = folder(
        {
            "airflow.cfg": "[core]\nload_examples = True\n[logging]\nlog_format = %%(message)s\n"
            "[database]\nmax_db_retries = 5\n"
        }
    )
    found = containers(plan(image=AirflowImage.build(directory)))
    assert {option(c, "core", "load_examples") for n, c in found.items() if n != "migrate"} == {"True"}
    assert {option(c, "logging", "log_format") for n, c in found.items() if n != "migrate"} == {"%(message)s"}
    assert {option(c, "database", "max_db_retries") for c in found.values()} == {"5"}


# For each case: the content of airflow.cfg, and a pattern of the error.
CONTRADICTIONS = {
    "an option of the cluster": (
        "[core]\nexecutor = SequentialExecutor",
        r"\[core\] executor is given twice: as '.*CeleryExecutor' by this cluster, and as 'SequentialExecutor' by"
        r" .*airflow\.cfg; remove one of the two",
    ),
    "another name of a cluster's option": (
        "[core]\nfernet_key =",
        r"\[core\] fernet_key_cmd by this cluster, and \[core\] fernet_key by .*airflow\.cfg, are one option",
    ),
    "a secret": (
        "[smtp]\nsmtp_password = hunter2",
        r"airflow\.cfg: \[smtp\] smtp_password is a secret, and would be readable .*; pass an ecs\.Secret: config=",
    ),
    "config=": ("[core]\nparallelism = 8", r"as '7' by config=, and as '8' by .*airflow\.cfg; remove one of the two"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_the_error_for_an_option_set_twice_names_both_sources(folder, name):
    """One of the two sources is airflow.cfg."""
    text, words = CONTRADICTIONS[name]
    with pytest.raises(ValueError, match=words) as refusal:
        plan(image=AirflowImage.build(folder({"airflow.cfg": text})), config={"core": {"parallelism": 7}})
    assert "hunter2" not in str(refusal.value)


def test_airflow_cfg_and_config_may_set_the_same_value(folder):
    """airflow.cfg and config= may set the same value."""
    image = AirflowImage.build(folder({"airflow.cfg": "[core]\nparallelism = 7"}))
    assert (
        option(containers(plan(image=image, config={"core": {"parallelism": 7}}))["worker"], "core", "parallelism")
        == "7"
    )


def test_unknown_options_in_airflow_cfg_give_a_warning(folder):
    """Unknown options give a warning only in Airflow's own sections."""
    files = {"airflow.cfg": "[core]\nparalelism = 7\n[reports]\nsender = a"}
    image = AirflowImage.build(folder(files))
    executor = CeleryExecutor(pools=[WorkerPool("default", image=image)])
    (advice,) = settings_of(version=AirflowVersion.V3_3, image=image, executor=executor).advice
    assert advice.id.startswith("cdk-airflow-ecs:unknown-option:")
    assert "airflow.cfg: Airflow 3.3 has no option [core] paralelism; did you mean [core] parallelism?" in advice.text


@pytest.mark.parametrize(
    "pin", ["apache-airflow==3.3.1", "Apache.Airflow[celery] == 2.11.2", "apache-airflow-core===3.2.2"]
)
def test_requirements_may_pin_only_the_airflow_release_of_the_cluster(folder, pin):
    """Requirements with another Airflow release raise an error."""
    image = AirflowImage.build(folder({"requirements.txt": pin}))
    with pytest.raises(
        ValueError, match=r"requirements\.txt: .* is not Airflow 3\.3\.2, the release of version=\. Remove"
    ):
        plan(image=image)
    plan(image=AirflowImage.build(folder({"requirements.txt": "apache-airflow[celery]==3.3.2"}, "same")))


def test_the_image_contains_dags_only_with_image_dags(folder):
    """DAGs are in the image only with dags=ImageDags(...)."""
    built = AirflowImage.build(folder(WHOLE))
    assert "dags/report.py" in context(image_in(image=built, dags=ImageDags()))
    assert "dags/report.py" in context(image_in(image=built, dags=ImageDags("/opt/airflow/dags/team")))
    elsewhere = context(image_in(image=built, dags=S3Dags()))
    assert not any("dags" in name for name in elsewhere)
    assert "dags" not in elsewhere["Dockerfile"]
    folders = {option(c, "core", "dags_folder") for c in containers(plan(image=built, dags=ImageDags())).values()}
    assert folders == {"/opt/airflow/dags", "/nonexistent"}


def test_a_directory_with_dags_requires_the_dags_argument(folder):
    """A directory with DAGs requires dags=, and ImageDags requires DAGs."""
    whole = AirflowImage.build(folder(WHOLE))
    pools = CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("own", image=whole)])
    for arguments, whose in (({"image": whole}, "this cluster"), ({"executor": pools}, "Pools/own")):
        words = rf"^the image of {whose} contains DAGs, .*dags=ImageDags\(\) .*or another"
        with pytest.raises(ValueError, match=words):
            plan_of(version=AirflowVersion.V3_3, **arguments)
        assert plan_of(version=AirflowVersion.V3_3, dags=S3Dags(), **arguments)
    bare = AirflowImage.build(folder({"plugins/a.py": ""}, "bare"))
    with pytest.raises(
        ValueError, match=r"dags=ImageDags\(\): .*bare/dags does not exist or has no files. Put your DAGs there"
    ):
        plan(image=bare, dags=ImageDags())
    with pytest.raises(ValueError, match=r"in /opt/airflow/dags\. Omit the folder"):
        plan(image=AirflowImage.build(folder(WHOLE)), dags=ImageDags("/srv/dags"))


def test_airflow_cfg_and_image_dags_apply_to_the_image_of_a_worker_pool(folder):
    """airflow.cfg in a pool's image sets options of that pool only; with ImageDags, the image must have DAGs."""
    bare = AirflowImage.build(folder({"airflow.cfg": "[core]\nparallelism = 9"}))
    executor = CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("own", image=bare)])
    found = plan_of(version=AirflowVersion.V3_3, executor=executor).components
    assert [part.name for part in found if option(part.containers[0], "core", "parallelism") == "9"] == ["Pools/own"]
    with pytest.raises(ValueError, match="/dags does not exist or has no files"):
        plan_of(version=AirflowVersion.V3_3, executor=executor, image=OWN_IMAGE, dags=ImageDags())


def test_entrypoint_sh_becomes_the_entry_point_of_the_image(folder):
    """An `entrypoint=` argument must start entrypoint.sh."""
    script, none = folder({"entrypoint.sh": SCRIPT}), folder({"dags/a.py": ""}, "none")
    assert AirflowImage.build(none).entrypoint == ("/usr/bin/dumb-init", "--", "/entrypoint")
    assert AirflowImage.build(script).entrypoint == ("/usr/bin/dumb-init", "--", "/entrypoint.sh")
    assert AirflowImage.build(none, entrypoint=["/init"]).entrypoint == ("/init",)
    given = AirflowImage.build(script, entrypoint=(word for word in ("/entrypoint.sh", "--fast")))
    assert given.entrypoint == ("/entrypoint.sh", "--fast")
    assert 'ENTRYPOINT ["/entrypoint.sh", "--fast"]' in context(given)["Dockerfile"]
    with pytest.raises(
        ValueError, match=r"entrypoint= does not start .*entrypoint\.sh, which is /entrypoint\.sh in the im"
    ):
        AirflowImage.build(script, entrypoint=["/entrypoint"])
    python = folder(
        {"entrypoint.sh": "#!/usr/bin/env python\nimport os, sys\nos.execv('/entrypoint', sys.argv)\n"}, "py"
    )
    assert "entrypoint.sh" in context(AirflowImage.build(python))


@pytest.mark.parametrize("base", ["", " ", "a b", "a$(id)", 3, "${Token[TOKEN.1]}"])
def test_base_must_be_slim_or_a_known_image_name(folder, base):
    """base= must be "slim" or a known image name."""
    with pytest.raises(ValueError, match=r"AirflowImage\.build base must be "):
        AirflowImage.build(folder(WHOLE), base=base)


def test_a_dockerfile_in_the_directory_is_used_unchanged(folder):
    """If the directory has a Dockerfile, the library reads only airflow.cfg of the other files."""
    directory = folder(
        {"Dockerfile": "FROM apache/airflow:3.3.2\n", "airflow.cfg": WHOLE["airflow.cfg"], "src/x.py": ""}
    )
    image = AirflowImage.build(directory)
    assert (image.source.takes_requirements, image.source.has_dags) == (False, False)
    assert image.source.options[("core", "parallelism")] == "7"
    assert (
        option(containers(plan(image=image, dags=ImageDags("/srv")))["dag-processor"], "core", "dags_folder") == "/srv"
    )
    with pytest.raises(ValueError, match=r"Dockerfile already has a base image\. Omit base="):
        AirflowImage.build(directory, base="slim")
    (directory / "Dockerfile").write_text('FROM a\nENTRYPOINT ["/x"]\nFROM b\nentrypoint ["/y"]\n')
    with pytest.raises(ValueError, match=r'sets ENTRYPOINT \["/y"\], .* Pass entrypoint='):
        AirflowImage.build(directory)
    assert AirflowImage.build(directory, entrypoint=["/y"]).entrypoint == ("/y",)


def test_the_cluster_can_add_packages_to_all_images_but_registry_images(folder):
    """Registry images are not built, so the cluster cannot add packages."""
    assert AirflowImage.official().source.takes_requirements
    assert AirflowImage.build(folder(WHOLE)).source.takes_requirements
    assert not OWN_IMAGE.source.takes_requirements
