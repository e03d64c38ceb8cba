"""A local cluster refuses all requests of other users, web pages and other hosts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import temporary_state, why_not_isolated

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from stranger import ask_as_another_user

from cdk_airflow_ecs.cli.running import Running
from cdk_airflow_ecs.local.agent.credentials import Credentials
from cdk_airflow_ecs.local.agent.endpoints import Endpoints, TaskIdentity
from cdk_airflow_ecs.local.aws import app
from cdk_airflow_ecs.local.aws.account import Account
from cdk_airflow_ecs.local.aws.authentication import Key
from cdk_airflow_ecs.local.network import run_number
from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.refusal import Refusal
from signed import post_json, signed

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture(params=[False, True], ids=["shared", "isolated"])
def cluster(request) -> Iterator[tuple[Account, Addresses]]:
    """Serve the AWS API of an account with a secret and a role, as `airflow-ecs local up` does."""
    if request.param and (reason := why_not_isolated()):
        pytest.skip(f"needs network namespaces: {reason}")
    account, addresses = Account(), Addresses.open(isolated=request.param)
    api = app.Api(app.Application(account), addresses.inside, app.Quiet)
    api.start()
    account.client("secretsmanager").create_secret(Name="password", SecretString="hunter2")
    account.client("iam").create_role(RoleName="task", AssumeRolePolicyDocument=TRUST)
    yield account, addresses
    account.client("secretsmanager").delete_secret(SecretId="password", ForceDeleteWithoutRecovery=True)
    account.client("iam").delete_role(RoleName="task")
    api.stop()
    addresses.close()


def read(session, account: Account, url: str = "") -> str:
    """Read the secret in the emulated AWS account with the credentials of a boto3 session."""
    config = Config(retries={"total_max_attempts": 1})
    client = session.client("secretsmanager", endpoint_url=url or account.url, config=config)
    return client.get_secret_value(SecretId="password")["SecretString"]


def status(request: urllib.request.Request) -> int:
    """Send a request and return its status; fail if the response has headers that let web pages read it."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found, headers = answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            found, headers = error.code, error.headers
    assert not [name for name in headers if name.lower().startswith("access-control")]
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_requests_of_another_user_are_refused(cluster):
    """Another user gets status 403 without a key, with an invalid key and with the real key's id."""
    account, _ = cluster
    urls = {account.url, account.task_url}
    lines = ask_as_another_user(account.key.id, urls)
    assert len(lines) == 18 * len(urls)
    assert {line.partition(" ")[0] for line in lines} == ({"403"} if len(urls) == 1 else {"403", "none"})
    assert "hunter2" not in "".join(lines)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "secretsmanager.us-east-1.amazonaws.com"}, 403),
    ],
)
def test_requests_of_a_web_page_are_refused(cluster, headers, expected):
    """A request with an Origin header or an unknown Host is refused, even with a valid signature."""
    account, _ = cluster
    request = signed(account.url + "/_emulator/calls", (account.key.id, account.key.secret))
    for name, value in headers.items():
        request.add_header(name, value)
    assert status(request) == expected


def test_a_cors_preflight_request_is_refused(cluster):
    """A browser's CORS preflight request is refused."""
    account, _ = cluster
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert status(urllib.request.Request(account.url, headers=headers, method="OPTIONS")) == 403


@pytest.mark.skipif(bool(why_not_isolated()), reason="needs network namespaces")
def test_another_host_reaches_neither_api_nor_tasks(tmp_path: Path):
    """Another host in the network reaches neither the AWS API nor a task's server."""
    addresses, account = Addresses.open(isolated=True), Account()
    api = app.Api(app.Application(account), addresses.inside, app.Quiet)
    api.start()
    task = addresses.add("worker")
    (tmp_path / "this-task").touch()
    serve = "import http.server as h;h.HTTPServer(('', 18080), h.SimpleHTTPRequestHandler).serve_forever()"
    words = [*task.command_prefix, sys.executable, "-c", serve]
    server = subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd=tmp_path)
    neighbour, device = f"neighbour-{os.getpid()}", f"nb{os.getpid()}"[:15]
    commands = [
        f"netns add {neighbour}",
        f"link add {device} type veth peer name eth0 netns {neighbour}",
        f"addr add 203.0.113.1/24 dev {device}",
        f"link set {device} up",
        f"-n {neighbour} addr add 203.0.113.2/24 dev eth0",
        f"-n {neighbour} link set eth0 up",
        f"-n {neighbour} route add default via 203.0.113.1",
    ]
    targets = [
        (addresses.host, api.port),
        (task.ip, 18080),
        ("203.0.113.1", api.port),
        (task.ip.rpartition(".")[0] + ".2", 80),
    ]
    # Check the response, because a gateway may accept any connection.
    look = """
import socket, sys
for word in sys.argv[1:]:
    host, _, port = word.partition(":")
    try:
        with socket.create_connection((host, int(port)), 2) as client:
            client.settimeout(2)
            client.sendall(f"GET / HTTP/1.0\\r\\nHost: {word}\\r\\n\\r\\n".encode())
            text = b"".join(iter(lambda: client.recv(4096), b""))
    except OSError:
        text = b""
    print("GOT" if b"MissingAuth" in text or b"this-task" in text else "none", word)
"""
    words = [f"{host}:{port}" for host, port in targets]
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        for _ in range(100):  # wait until the cluster itself reaches the server
            try:
                addresses.connect((task.ip, 18080), 5).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the server did not start")
        inside = [*addresses.add("other").command_prefix, sys.executable, "-c", look, *words[:2]]
        done = subprocess.run(inside, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [f"GOT {word}" for word in words[:2]]
        for prefix in (
            ["ip", "netns", "exec", neighbour],
            [],
        ):  # neither a neighbour nor a program of this machine reaches the server
            done = subprocess.run(
                [*prefix, sys.executable, "-c", look, *words], capture_output=True, text=True, check=True
            )
            assert done.stdout.splitlines() == [f"none {word}" for word in words]
    finally:
        server.kill()
        server.wait()
        subprocess.run(["ip", "netns", "del", neighbour], check=False)
        api.stop()
        addresses.close()


def test_issued_access_keys_are_accepted(cluster):
    """The run's key, a role's credentials and a user's access key are accepted."""
    account, _ = cluster
    running = Running(pid=0, url="", api=account.url, region="us-east-1", admin_secret="password",
                      key=(account.key.id, account.key.secret))  # fmt: skip
    assert running.password() == "hunter2"
    role = Credentials(account).assume("arn:aws:iam::123456789012:role/task", "session")
    token = Key(id=role["AccessKeyId"], secret=role["SecretAccessKey"], token=role["SessionToken"])
    assert read(account.session(token), account) == "hunter2"
    iam = account.client("iam")
    iam.create_user(UserName="me")
    made = iam.create_access_key(UserName="me")["AccessKey"]
    assert (
        read(boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], region_name="us-east-1"), account) == "hunter2"
    )
    iam.update_access_key(UserName="me", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        read(boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], region_name="us-east-1"), account)
    iam.delete_access_key(UserName="me", AccessKeyId=made["AccessKeyId"])
    iam.delete_user(UserName="me")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"id": "AKIAIOSFODNN7EXAMPLE"}, "InvalidClientTokenId"),
        ({"token": ""}, "InvalidClientTokenId"),
        ({"token": "wrong"}, "InvalidClientTokenId"),
    ],
)
def test_invalid_access_keys_are_refused(cluster, change, code):
    """A wrong secret, a wrong id, and a role's key without its token are refused."""
    account, _ = cluster
    role = Credentials(account).assume("arn:aws:iam::123456789012:role/task", "session")
    key = {"id": role["AccessKeyId"], "secret": role["SecretAccessKey"], "token": role["SessionToken"]} | change
    with pytest.raises(ClientError, match=code):
        read(account.session(Key(**key)), account)


@pytest.mark.parametrize("key", ["a b/ü+%.txt", "plain", "a//b/../c"])
def test_special_s3_requests_are_accepted(cluster, key):
    """S3 accepts quoted object names, presigned URLs for their object, and unsigned bodies."""
    account, _ = cluster
    session = account.session(account.key)
    for payload in (True, False):
        config = Config(s3={"payload_signing_enabled": payload, "addressing_style": "path"})
        s3 = session.client("s3", endpoint_url=account.url, config=config)
        s3.create_bucket(Bucket="files")
        s3.put_object(Bucket="files", Key=key, Body=b"text", Metadata={"a_b": "1", "c": "two  words"})
        assert s3.get_object(Bucket="files", Key=key)["Body"].read() == b"text"
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="files", Prefix=key[:2])["Contents"]] == [key]
        url = session.client(
            "s3", endpoint_url=account.url, config=Config(signature_version="s3v4")
        ).generate_presigned_url("get_object", Params={"Bucket": "files", "Key": key}, ExpiresIn=60)
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.read() == b"text"
        assert status(urllib.request.Request(url.replace("/files/", "/others/"))) == 403
        assert status(urllib.request.Request(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))) == 403
        s3.delete_object(Bucket="files", Key=key)
        s3.delete_bucket(Bucket="files")


def test_a_signed_request_cannot_be_changed(cluster):
    """A signed request is refused if its body or path was changed, or its date is old."""
    account, _ = cluster
    key = account.key.id, account.key.secret
    request = signed(account.url + "/_emulator/calls", key, b"{}")
    for name, value in (("data", b"[]"), ("full_url", account.url + "/_emulator/other")):
        changed = signed(account.url + "/_emulator/calls", key, b"{}")
        setattr(changed, name, value)
        assert status(changed) == 403
    request.add_header("X-Amz-Date", "20200101T000000Z")
    assert status(request) == 403


def test_paths_of_the_emulator_require_the_key_of_the_run(cluster):
    """Requests below `/_emulator/` must be signed with the run's own key."""
    account, _ = cluster
    role = Credentials(account).assume("arn:aws:iam::123456789012:role/task", "session")
    request = signed(account.url + "/_emulator/calls", (role["AccessKeyId"], role["SecretAccessKey"]))
    request.add_header("X-Amz-Security-Token", role["SessionToken"])
    assert status(request) == 403
    assert post_json(account.url + "/_emulator/calls", (account.key.id, account.key.secret))


def test_the_response_url_of_a_custom_resource_works_once(cluster):
    """A custom resource's response URL accepts one unsigned response; other response URLs are refused."""
    account, _ = cluster
    token = account.answers.expect()
    body = json.dumps({"Status": "SUCCESS", "PhysicalResourceId": "x"}).encode()

    def put(name: str) -> int:
        return status(urllib.request.Request(f"{account.url}/_emulator/answers/{name}", body, method="PUT"))

    assert [put("made-up"), put(token), put(token)] == [403, 200, 403]
    assert account.answers.wait(token, 1) == json.loads(body)


def test_task_credentials_require_the_secret_path_of_the_task():
    """The credentials endpoint requires a task's secret path, and refuses browsers."""
    role = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": None}
    endpoints = Endpoints(lambda arn, session: role)
    endpoints.add("4711", TaskIdentity(arn="a/1", role="r", describe=lambda: {"Containers": []}))
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v4/4711"
    endpoints.start(listening)
    try:
        assert status(urllib.request.Request(url)) == 200
        assert status(urllib.request.Request(url + "0")) == 404
        assert status(urllib.request.Request(url, headers={"Origin": "https://evil.example"})) == 403
        assert status(urllib.request.Request(url, headers={"Host": "evil.example"})) == 403
    finally:
        endpoints.stop()


def test_a_lock_folder_that_other_users_can_change_is_refused(tmp_path: Path):
    """A link, or a folder that other users own or can write to, is not used for run locks."""
    mine = tmp_path / "mine"
    number = run_number.Number.take(mine / "locks")
    assert (number.value, (mine / "locks").stat().st_mode & 0o777) == (1, 0o700)
    (tmp_path / "link").symlink_to(mine / "locks")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    planted = [tmp_path / "link", tmp_path / "open"]
    if os.geteuid() == 0:
        (tmp_path / "foreign").mkdir(mode=0o700)
        os.chown(tmp_path / "foreign", 65534, 65534)
        planted.append(tmp_path / "foreign")
    for folder in planted:
        with pytest.raises(Refusal, match="only you can write to"):
            run_number.Number.take(folder)
    with temporary_state() as state:
        state.write("key", {"id": "a", "secret": "b"})
        assert (state.directory / "key.json").stat().st_mode & 0o777 == 0o600
