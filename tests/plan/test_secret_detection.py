"""Names and values that are recognized as secrets in plain text."""

from __future__ import annotations

import base64
import json
import time

import pytest

from cdk_airflow_ecs.secret_detection import secret_in, secret_in_backend, secret_in_command, secret_of

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\n-----END RSA PRIVATE KEY-----"
AWS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

NAMES = (
    "PASSWORD DB_PASSWORD DB_PASSWORD_1 PASSWORD_PROD PASSWORD2 dbPassword PGPASSWORD spring.datasource.password "
    "PASS DB_PASS PASS_PROD DBPASS MYSQL_PWD DB_PW smtpPw DBPW KEY_PASSPHRASE SECRET CLIENT_SECRET SECRET_KEY_BASE "
    "AWS_SECRET_ACCESS_KEY TOKEN GITHUB_TOKEN TOKEN_GITHUB TOKENS SESSION_TOKEN authToken GITHUB_PAT PAT_GITHUB "
    "API_KEY API_KEY_PROD APIKEY apiKey SSH_KEY SSH_KEY_DEPLOY STRIPE_KEY LICENSE_KEY license_key shared_key "
    "FERNET_KEY SIGNING_KEY ACCESS_KEY ACCOUNT_KEY GCP_CREDENTIALS CREDENTIALS CREDENTIAL_JSON SNOWFLAKE_CREDS "
    "SLACK_WEBHOOK SLACK_WEBHOOK_URL WEBHOOK_URL_PROD AIRFLOW_VAR_DB_PASSWORD http_passwd "
)

# Names of fields and files, and names that only refer to a secret.
OTHER_NAMES = (
    "SORT_KEY PARTITION_KEY PRIMARY_KEY PUBLIC_KEY CACHE_KEY S3_KEY ROUTING_KEY AWS_ACCESS_KEY_ID KMS_KEY_ID "
    "KEY_PREFIX KEY KEYS label_keys log_key time_key json_date_key include_tag_key TOKEN_URL TOKEN_EXPIRY_SECONDS "
    "SECRET_NAME SECRET_ARN DB_SECRET_ID PASSWORD_FILE PASSWORD_MIN_LENGTH PASSWORD_RESET_URL CREDENTIALS_FILE "
    "API_KEY_HEADER SLACK_WEBHOOK_CONN_ID TOKENIZERS_PARALLELISM BYPASS_PROXY COMPASS_URL PATH PATTERN MONKEY "
    "SECRETS_BACKEND AUTHOR KEYBOARD PASSENGERS PASS_THROUGH PATIENT_ID SECRETARY TURKEY "
    "PW_BROWSERS_PATH PW_TEST MAX_PWM UPWARD HAS_PW_FILE "
)

VALUES = {
    "a key": PEM,
    "a key in base64": base64.b64encode(PEM.encode()).decode(),
    "PGP": "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "bearer": "Bearer hunter2hunter",
    "in a header": "X-Forwarded: Authorization: Basic aHVudGVyMg==",
    "a login in base64": f"Basic {base64.b64encode(b'me:hunter2').decode()}",
    "a login in base64 among others": f'{{"h": ["Accept: */*", "basic {base64.b64encode(b"me:hunter2!").decode()}"]}}',
    "splunk": "Authorization Splunk hunter2",
    "ADO.NET": "Server=db;Database=x;User Id=me;Password=hunter2;",
    "ODBC": "Driver={ODBC Driver 18};UID=me;PWD=hunter2",
    "storage": "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=hunter2==;EndpointSuffix=core.windows.net",
    "libpq": "host=db user=me password='hunter2'",
    "JDBC": "jdbc:postgresql://db/x?user=me&password=hunter2",
    "SAS": "https://me.blob.core.windows.net/x?sv=2022&sig=hunter2hunter2%3D",
    "SAS without a URL": f"sig={'hunter2%2B' * 5}hhh%3D&se=2030",
    "URL": "postgresql+psycopg2://me:hunter2@db/x",
    "URL without a user": "rediss://:hunter2@cache:6379/0",
    "URL with a hash in the password": "postgresql://me:hunt#er2@db/x",
    "URL with a dollar in the password": "postgresql://me:$hunter2!@db/x",
    "URL among others": "http://a:8080/x,http://me:hunter2@b",
    "JSON": '{"user": "me", "password": "hunter2"}',
    "JSON in depth": '{"list": [{"clientSecret": "hunter2"}]}',
    "JSON with a key": json.dumps({"type": "service_account", "private_key": PEM}),
    "JSON of a variable": '[{"name": "DB_PASSWORD", "value": "hunter2"}]',
    "JSON with a token": '{"a": ["ghp_hunter2hunter2"]}',
    "JSON of Vault": '{"role_id": "x", "secret_id": "hunter2"}',
    "a Python literal": "{'user': 'me', 'password': 'hunter2'}",
    "YAML": "user: me\npassword: hunter2\n",
    "AWS id": "AKIAIOSFODNN7EXAMPLE",
    "AWS key": AWS_KEY,
    "AWS profile": f"[default]\naws_secret_access_key = '{AWS_KEY}'",
    "GitHub": "ghp_hunter2hunter2",
    "GitHub in a URL": "https://ghp_hunter2hunter2@github.com/acme/dags",
    "login without a scheme": "me:hunter2@db.example.com:5432/x",
    "password of a host": ":hunter2@cache",
    "GitHub, fine-grained": "github_pat_hunter2hunter2",
    "GitLab": "glpat-hunter2hunter2",
    "Slack": "xoxb-hunter2-hunter2",
    "Slack's webhook": "https://hooks.slack.com/services/T0/B0/hunter2",
    "Stripe": "sk_live_hunter2hunter2",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2ln",
    "Secrets Manager": "{{resolve:secretsmanager:db:SecretString:password}}",
    "SecureString": "x{{resolve:ssm-secure:/db/password:1}}",
}

HARMLESS = {
    "path": "/run/google.json",
    "id": "AKIAEXAMPLE",
    "proxy": "http://me@proxy:3128",
    "ssh": "ssh://git@github.com:acme/dags",
    "placeholders": "postgresql://${WAREHOUSE_USER}:${WAREHOUSE_PASSWORD}@db/x",
    "one placeholder": "rediss://:$REDIS_TOKEN@cache:6379",
    "placeholder without a scheme": "me:${PASSWORD_1}@db",
    "address": "mailto:data@example.com",
    "digest of an image": "airflow:3.3.2@sha256:" + "a1" * 32,
    "remote": "git@github.com:acme/dags2.git",
    "host and port": "a:8080@b",
    "format": "postgresql://{user}:{password}@db/x",
    "ports": '{"url": "http://a:8080", "mail": "me@example.com"}',
    "port and path": "http://a:8080/me@example.com",
    "ports in a list": "kafka://a:9092,b:9092;me@example.com",
    "IPv6": "http://[::1]:8080/me@example.com",
    "hash": "f67f51d7c19a8b9eb76bee7be9fdf4bd95aef1ad",
    "digest": "sha256:1e76053cd7dfc3ffcfcd9b1a4b80d8b0eb2bd9d4c1c1cb3f54ab8a4d8d27d7e2",
    "camel": "AirflowClusterWithAVeryLongNameForATask01",
    "certificate": "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    "certificate in base64": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----").decode(),
    "public key": "-----BEGIN PUBLIC KEY-----",
    "prose": "Bearer authentication, basic authorization: see the password policy",
    "prose about a login": "Basic features, basic usage and Basic hunter2hunter2; BASIC",
    "base64 without a login": f"Basic {base64.b64encode(b'no login at all').decode()}",
    "signature of another length": f"sig={'0123456789abcdef' * 4}",
    "short signature": "sv=2020&sig=abcd",
    "tags": '{"tags": [{"key": "team", "value": "data"}]}',
    "sizes": '{"max_tokens": 4096, "token": "$TOKEN", "password": ""}',
    "parameter": "{{resolve:ssm:/stage:1}}",
    "template": "{{ conn.db.password }}",
    "connection string": "Server=db;Database=x;Trusted_Connection=yes;Password=${DB_PASSWORD};",
    "query": "https://example.com/?next_token_id=5&sort_key=a",
    "webhook's docs": "https://api.slack.com/messaging/webhooks",
    "token": "postgresql://me:${Token[TOKEN.1]}@db/x",
}

COMMANDS = [
    ["etl", "--password", "hunter2"],
    ["etl", "--db-password=hunter2"],
    ["sh", "-c", "etl --api-key hunter2"],
    ["sh", "-c", "PGPASSWORD=hunter2 psql -h db"],
    ["sh", "-c", "curl -u me:hunter2 https://example.com"],
    ["curl", "-H", "Authorization: Bearer hunter2"],
    ["python", "-c", "connect(host='db', password='hunter2')"],
    ["etl", "postgresql://me:hunter2@db/x"],
    ["mysql", "-h", "db", "-u", "me", "-phunter2", "-e", "select 1"],
    ["sh", "-c", "set -e; /usr/bin/mysqldump -h db -p'hunter2' x | gzip"],
    ["sh", "-c", "mariadb-dump -phunter2 x"],
    ["redis-cli", "-h", "cache", "-a", "hunter2", "ping"],
    ["sshpass", "-p", "hunter2", "ssh", "host"],
    ["etl", "{{resolve:secretsmanager:db}}"],
]

HARMLESS_COMMANDS = [
    ["etl", "--password", "$DB_PASSWORD"],
    ["etl", "--password-file", "/run/password"],
    ["etl", "--token", "--verbose"],
    ["etl", "-phunter2"],
    ["mysql", "-h", "db", "-P3306", "-p", "x"],
    ["sh", "-c", 'mysql -p"$PASSWORD" x'],
    ["sh", "-c", "mysql -p$(cat /run/password) x"],
    ["sh", "-c", "mysql -h db x; mkdir -pv out && cp -pr a b"],
    ["docker", "run", "--name", "mysql", "-p3306:3306", "mysql:8"],
    ["docker", "run", "mysql:8", "-pdata"],
    ["redis-cli", "-h", "cache", "-a", "$TOKEN", "--scan"],
    ["sh", "-c", "redis-cli ping && ls -a out"],
    ["sh", "-c", "sshpass -e ssh -p 22 host"],
    ["docker", "login", "--password-stdin", "example.com"],
    ["sh", "-c", "etl --api-key $API_KEY --tokens=${TOKENS}"],
    ["sh", "-c", "export PGPASSWORD=$(cat /run/password); psql"],
    ["python", "-c", "import os;connect(host='db', password=os.environ['DB_PASSWORD'])"],
    ["python", "-c", "password = settings.password\nconnect(password=password)"],
    ["python", "-c", "if password == expected: pass"],
    ["airflow", "celery", "worker", "--queues", "default"],
]


@pytest.mark.parametrize("name", NAMES.split())
def test_text_and_numbers_under_names_of_secrets_are_secrets(name):
    """Such a name is, for example, DB_PASSWORD."""
    assert secret_of(name, "hunter2") == "its name"
    assert secret_of(name, 12345) == "its name" or name == "TOKENS"


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_names_that_only_resemble_those_of_secrets_are_accepted(name):
    """Names that only resemble those of secrets are accepted."""
    assert secret_of(name, "hunter2") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_APPLICATION_CREDENTIALS", "/run/google.json"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "keys/google.json"),
        ("DB_PASSWORD", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf"),
        ("SSH_KEY", "/opt/airflow/.ssh/id_ed25519"),
        ("DB_PASSWORD", "$OTHER_PASSWORD"),
        ("DB_PASSWORD", ""),
        ("USE_TOKEN", "true"),
        ("USE_TOKEN", True),
        ("MAX_TOKENS", "4096"),
        ("MAX_OUTPUT_TOKENS", 4096),
        ("DB_PASSWORD", "${Token[TOKEN.1]}"),
        ("PWD", "/opt/airflow"),
    ],
)
def test_a_reference_switch_or_amount_is_not_a_secret(name, value):
    """A path, ARN or placeholder is a reference."""
    assert secret_of(name, value) is None


@pytest.mark.parametrize("what", VALUES)
def test_some_values_are_secrets_under_any_name(what):
    """A private key is an example of such a value."""
    found = secret_of("SETTING", VALUES[what])
    assert found
    assert "hunter2" not in found


@pytest.mark.parametrize("what", HARMLESS)
def test_hashes_certificates_and_prose_are_not_secrets(what):
    """Hashes, ports, placeholders, certificates and prose are accepted."""
    assert secret_of("SETTING", HARMLESS[what]) is None


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [
        ("http://example.com", False),
        ("aws://", False),
        ("postgres://me@db/x?sslmode=require", False),
        ('{"conn_type": "http", "host": "example.com"}', False),
        ("http://me:hunter2@example.com", True),
        ("aws://?aws_secret_access_key=hunter2", True),
        ('{"conn_type": "http", "password": "hunter2"}', True),
        ("hunter2", True),
    ],
)
def test_an_airflow_connection_is_a_secret_only_with_a_password(value, is_secret):
    """A connection is a secret only if it has a password."""
    assert bool(secret_of("AIRFLOW_CONN_X", value)) == is_secret


def test_a_secret_id_is_a_secret_only_for_a_secrets_backend():
    """A secret_id is a secret only in the arguments of a secrets backend."""
    assert secret_in_backend('{"url": "http://vault:8200", "secret_id": "hunter2"}') == "a secret_id"
    assert secret_in_backend('{"connections_prefix": "airflow/connections"}') is None
    assert secret_in('{"secret_id": "prod/db"}') is None


def test_headers_and_logins_of_fluent_bit_are_recognized():
    """A header and a login of Fluent Bit are recognized."""
    assert secret_of("Header", "X-Api-Key hunter2") == "its name"
    assert secret_of("Header", "X-Team data") is None
    assert secret_of("Cloud_Auth", "elastic:hunter2") == "a login"


@pytest.mark.parametrize("command", COMMANDS)
def test_secrets_in_commands_are_recognized(command):
    """Secrets in arguments, assignments, headers and literals are recognized."""
    assert secret_in_command(command)


@pytest.mark.parametrize("command", HARMLESS_COMMANDS)
def test_a_command_may_read_a_secret_from_a_variable_or_file(command):
    """A command may read a secret from its environment or a file."""
    assert secret_in_command(command) is None


@pytest.mark.parametrize(
    "piece",
    [
        "x",
        "\n",
        " ",
        "a=b ",
        "token=$b ",
        "A",
        "-",
        "://",
        "sk-",
        "a: b\n",
        '"',
        "curl ",
        "Bearer ",
        "Basic ",
        "Basic x:",
        "${",
        "1",
        "a b",
        "mysql ",
        "redis-cli ",
        "sshpass -e ",
        "sig=",
        "sig=a",
    ],
)
def test_a_text_as_large_as_a_task_definition_is_read_in_a_second(piece):
    """The time grows with the length of a text, not with its square."""
    text = piece * (65_536 // len(piece))
    start = time.perf_counter()
    secret_in_command(["sh", "-c", text])
    secret_of("VALUE", text)
    assert time.perf_counter() - start < 1
