"""Detection of secrets in the plain text of a template, by name and by value. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cdk_airflow_ecs.tokens import is_token

# The words of a name: the same three in "awsSecretKey", "aws.secret-key" and "AWS_SECRET_KEY_2".
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD: Final = re.compile(
    r"(\w*(PASSWORD|PASSWD|PASSPHRASE|PASSCODE|SECRET|TOKEN)|PASS|PWD|(DB|PG|MY|SQL|USER|ROOT|ADMIN|SMTP|FTP)(PASS|PWD|PW)"
    r"|PAT|CREDS?|CREDENTIAL|WEBHOOK|(API|PRIVATE|SECRET|ACCESS|AUTH|FERNET|ENCRYPTION|SIGNING|SHARED|LICENSE|SSH)KEY)S?"
)
# Words after which KEY means a secret, at any position of the name: API_KEY_PROD.
_SECRET_KEY: Final = re.compile(
    "API|PRIVATE|SECRET|ACCESS|AUTH|FERNET|ENCRYPTION|SIGNING|SHARED|LICENSE|SSH|MASTER|ACCOUNT|DEPLOY|HMAC"
)
# Words after which KEY means a field, an object or a file, not a secret.
_PUBLIC_KEY: Final = re.compile(
    "PARTITION|SORT|PRIMARY|FOREIGN|PUBLIC|CACHE|OBJECT|S|ROUTING|HASH|RANGE|GROUP|JOIN|INDEX|LOOKUP|UNIQUE|NATURAL"
    "|SURROGATE|BUSINESS|DEDUP|DEDUPLICATION|IDEMPOTENCY|TIME|MESSAGE|LOG|FILE|RECORD|TAG|LABEL|CONTEXT|XCOM|CLUSTERING"
    "|DISTRIBUTION|DIST|SHARD|VARIABLE|QUEUE|ISSUE|HEADER|TRACE|PARAM|CONFIG|ROW|COLUMN|ITEM|EVENT|KMS|ORDER|DICT|JSON"
    "|MAP|METRIC|STATE|SEARCH|TIMESTAMP|DATE|DATA|DAG|TASK|RUN|FIELD|MERGE|UPSERT|NESTED|PARENT|CHILD|COMPOSITE|LIST"
    "|AGGREGATION|GROUPING|SPLIT|BUCKET|PROPERTY|ATTRIBUTE|OUTPUT|INPUT|RESULT|RETURN"
)
# Words that, after a secret's name, mean that the value is not the secret: TOKEN_URL, PASSWORD_MIN_LENGTH.
_ABOUT: Final = re.compile(
    "(ID|NAME|ARN|FILE|FILENAME|PATH|SCOPE)S?|DIR|FOLDER|LENGTH|LEN|SIZE|TTL|EXPIRY|EXPIRES|EXPIRE|EXPIRATION|LIFETIME"
    "|TIMEOUT|SECONDS|MINUTES|HOURS|DAYS|AGE|INTERVAL|POLICY|TYPE|KIND|HEADER|FIELD|COLUMN|PREFIX|SUFFIX|HOST|PORT"
    "|ISSUER|AUDIENCE|ALGORITHM|FORMAT|VERSION|BACKEND|MANAGER|PROVIDER|STORE|REGION|LIMIT|COUNT|BUDGET|ENABLED|DISABLED"
    "|REQUIRED|ALLOWED|ROTATION|CACHE|BUCKET|RESET|LOCATION|SOURCE|USERNAME|ENCODING|ROUNDS|MODEL|CLASS|CMD|STDIN|ENV"
    "|THROUGH|RATE|MODE|CHARS|CHARSET|HINT|PATTERN|REGEX|ADAPTER|SERVICE|ALIAS"
)
_ADDRESS: Final = re.compile("URLS?|URI|ENDPOINT|SERVER")
_AMOUNT: Final = re.compile("MAX|MIN|NUM|NUMBER|COUNT|TOTAL|LIMIT|BUDGET|TOKENS|PASSES")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
# Values that are not secrets although their name may be a secret's: locations, references, switches.
_POINTER: Final = re.compile(
    r"|(?i:true|false|yes|no|on|off|none|null|enabled|disabled|required|optional)|\*+"
    r"|arn:aws[\w-]*:\S+|file://\S+|~?/(run|var|opt|etc|home|usr|tmp|mnt|srv|secrets|root|app|workspace)/[\w./@+-]*"
    r"|\.{0,2}[\w./~-]+\.(json|pem|key|p12|pfx|crt|cert|cer|jks|ya?ml|toml|ini|cfg|conf|txt|env|gpg|asc|pub)"
    r"|\$\w+|\$[{(].*[})]|\{\{(?!resolve:).*\}\}|%\(\w+\)s"
)
_RESOLVED: Final = re.compile(r"\{\{resolve:(secretsmanager|ssm-secure):")
# A URL with a password, except a variable that the container inserts: redis://:${REDIS_PASSWORD}@cache. A number after
# the colon is a port.
_LOGIN: Final = re.compile(
    r"""://[^/@\s:"'\[]{,200}:(?!\$[{(]|\$[A-Za-z_]+@|[{<%*]|\d+([/?#;,]|\\?["'\s]))[^@\s"',]{1,1000}@"""
)
# The same without a scheme, as a whole text. The password has a digit or symbol, unlike the name in
# mailto:me@example.com; a number alone is a port, and a digest is not a host.
_BARE_LOGIN: Final = re.compile(
    r"\A[^/@\s:\"'\[{]{,200}:(?!\$[{(]|\$[A-Za-z_]+@|[{<%*/]|\d+@)(?=[^@\s]{,999}[\d!#$%^&*+=?])[^@\s/]{1,1000}"
    r"@(?!sha256:)[\w.-]+(:\d+)?(/\S*)?\Z"
)
# A text of this form may be a login, so errors do not repeat it.
_LIKE_A_LOGIN: Final = re.compile(r":(?!//|\d+/)[^@\s]{1,1000}@(?!sha256:)[^\s]")
# Patterns start once per word or line, or look ahead a limited distance. Otherwise a text of 64 KiB, the size of a task
# definition, would take minutes.
_SHAPES: Final = {
    "a private key": re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|AGE-SECRET-KEY-1\w+"),
    "a URL with a password": _LOGIN,
    "a login": _BARE_LOGIN,
    "a dynamic reference, which CloudFormation replaces by the secret": _RESOLVED,
    "an Authorization header": re.compile(
        r"(?i:\bbearer)\s+(?=\S*[\d._+/=-]|\S{20,})(?![$<{%])[\w.~+/=-]{6,}"
        r"|(?i:\bauthorization)[\"']?\s*[:=\s]\s*[\"']?(?i:basic|bearer|token|splunk|apikey|key)\s+(?![$<{%])\S{4,}"
    ),
    "an access key of AWS": re.compile(r"(?<![A-Za-z0-9/+])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9/+])"),
    "a token": re.compile(
        r"\b(gh[pousr]_\w{6,}|github_pat_\w{6,}|glpat-[\w-]{6,}|xox[a-z]-[\w-]{6,}|xapp-[\w-]{6,}|[sr]k_(live|test)_\w{6,}"
        r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}|AIza[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|hvs\.[\w-]{12,}|dapi[0-9a-f]{32}"
        r"|sk-(?=\S{,99}\d)(?=\S{,99}[A-Z])[\w-]{20,}|NRAK-\w{12,}|[0-9a-f]{30,}NRAL|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
    ),
    "the address of a webhook": re.compile(
        r"hooks\.slack\.com/\w+/\w|webhook\.office\.com/webhookb2/\w|discord(app)?\.com/api/webhooks/\w"
    ),
    # A signature without a URL must have the length of SHA-256 in base64.
    "a signed URL": re.compile(
        r"(?i)[?&](sig|signature|x-amz-signature)=[\w%+/=-]{8,}|(?<![\w-])sig=([\w+/-]|%2[BF]){43}(=|%3D)"
    ),
    "a login for curl": re.compile(r"""\bcurl\b.{,500}?\s(-u|--user|--proxy-user)[ =]?["']?[^\s:"'$]+:[^\s$"']+"""),
    # With -p and digits, the text is more likely a port of a container that is called mysql.
    "a password of a client": re.compile(
        r"""(?<![\w.-])(mysql(dump|admin|import|check|show|slap|sh)?|mariadb(-\w+)?|mycli)(?=\s)"""
        r"""[^|;&\n]{,200}?\s-p(?![\d.:]+(\s|$))["']?[^\s$"'`<{%*-]"""
        r"""|(?<![\w.-])(redis-cli|valkey-cli)\s[^|;&\n]{,200}?(?<=\s)-a\s+["']?[^\s$"'`<{%*-]"""
        r"""|(?<![\w.-])sshpass\s+-p\s*["']?[^\s$"'`<{%*-]"""
    ),
}
_BASIC: Final = re.compile(r"(?i:\bbasic)\s+([A-Za-z0-9+/]{6,1000}={0,2})(?![\w+/=])")
_AWS_KEY: Final = re.compile(r"(?=[A-Za-z0-9/+]{40}\Z)(?=(.*[A-Z]){6})(?=(.*[a-z]){6})(?=(.*[\d/+]){3}).*")
_PAIR: Final = re.compile(r"""(?<![\w.-])([\w.-]+)(["']?)(\s*)(=|:(?=\s*["']))\s*("[^"]*"|'[^']*'|[^\s"'`;&|<>,]+)""")
_LINE: Final = re.compile(r"(?m)^[ \t]*(?:-[ \t]+)?([A-Za-z_][\w.-]*):[ \t]+(\S+)[ \t]*$")
_FLAG: Final = re.compile(r"""(?<!\S)--?([A-Za-z][\w-]+)\s+("[^"]*"|'[^']*'|[^\s-]\S*)""")
_CODE: Final = re.compile(r".*[(\[{$%]|=")


def is_secret_name(name: str) -> bool:
    """Return whether *name* is a typical name of a secret."""
    words = _words(name)
    return any(_names_secret(words, position) for position in range(len(words)))


def secret_of(name: str, value: object) -> str | None:
    """Return why a named value looks like a secret, "its name" or its content, or None.

    Args:
        name: the name, in any spelling.
        value: text or a number. The names of CDK tokens are ignored.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    if found := secret_in(text) or (secret_of(*_halves(text)) if name.lower() == "header" else None):
        return found
    if is_token(text) or _POINTER.fullmatch(text):
        return None
    if name.upper().startswith("AIRFLOW_CONN_"):
        # A value in the form of a connection is a URI or JSON; any other value may be a password.
        is_connection = re.match(r"[A-Za-z][\w+.-]*://", text) or isinstance(_json(text), dict)
        return None if is_connection else "its name"
    if name.upper().endswith("AUTH") and re.fullmatch(r"[^\s:/$]+:[^\s$/]+", text):
        return "a login"
    is_amount = _NUMBER.fullmatch(text) and any(_AMOUNT.fullmatch(word) for word in _words(name))
    return "its name" if is_secret_name(name) and not is_amount else None


def secret_in(value: object) -> str | None:
    """Return the kind of secret in a text, such as "a URL with a password", or None."""
    return _secret_in_text(value) if isinstance(value, str) else None


def may_hold_secret(text: str) -> str | None:
    """Return the kind of secret that a text may contain, or None. Errors repeat only texts without one."""
    return secret_in(text) or ("a login" if _LIKE_A_LOGIN.search(text) else None)


@lru_cache(maxsize=4096)  # many containers of a plan have the same texts
def _secret_in_text(value: str) -> str | None:
    for what, shape in _SHAPES.items():
        if shape.search(value):
            return what
    if any(_is_login(match[1]) for match in _BASIC.finditer(value)):
        return "an Authorization header"
    if _AWS_KEY.fullmatch(value):
        return "a secret key of AWS"
    if value.startswith("LS0tLS1CRUdJTi") and secret_in(_decoded(value)):
        return "a private key"
    tree = _json(value)
    return _secret_in_tree(tree) if isinstance(tree, (dict, list)) else _secret_in_pairs(value)


def secret_in_command(words: Sequence[str]) -> str | None:
    """Return the kind of secret in a command, including values of flags such as ``--password``, or None."""
    for flag, value in pairwise(words):
        named = flag.startswith("-") and "=" not in flag and not value.startswith("-")
        if named and " " not in flag and secret_of(flag.lstrip("-"), value):
            return f"the value of {flag}"
    found = (secret_in(word) or _secret_in_flags(word) for word in (*words, " ".join(words)))
    return next((what for what in found if what), None)


def secret_in_backend(value: object) -> str | None:
    """Return the kind of secret in the arguments of a secrets backend, including Vault's ``secret_id``, or None."""
    tree = _json(value) if isinstance(value, str) else None
    if isinstance(tree, dict) and isinstance(tree.get("secret_id"), str) and not _POINTER.fullmatch(tree["secret_id"]):
        return "a secret_id"
    return secret_in(value)


def refusal(what: str, why: str) -> str:
    """Return the error message about a secret in plain text; *why* is the result of :func:`secret_of`."""
    return (
        f"{what} looks like a secret (by {why}) and would be in plain text in the task definition; pass"
        " ecs.Secret.from_secrets_manager(...) as its value. If it is not a secret, pass"
        " ecs.Secret.from_ssm_parameter(...) with a plain parameter"
    )


def refuse_command(what: str, words: Sequence[str]) -> None:
    """Raise ``ValueError`` if a command contains a secret. The message does not contain it."""
    if why := secret_in_command(words):
        raise ValueError(
            f"{what} looks like a secret (by {why}) and would be in plain text in the task definition; pass"
            " ecs.Secret.from_secrets_manager(...) in environment=, and read it from the variable in the command"
        )


def _words(name: str) -> list[str]:
    return [word.upper() for word in _WORDS.findall(name)]


def _names_secret(words: Sequence[str], position: int) -> bool:
    word, before, after = words[position], words[position - 1] if position else "", words[position + 1 :]
    if any(_ABOUT.fullmatch(each) or (word != "WEBHOOK" and _ADDRESS.fullmatch(each)) for each in after):
        return False
    if word in ("KEY", "KEYS"):
        named = word == "KEY" and not after and before and not _PUBLIC_KEY.fullmatch(before)
        return bool(_SECRET_KEY.fullmatch(before) or named)
    return _SECRET_WORD.fullmatch(word) is not None or (word == "PW" and not after)


def _secret_in_tree(tree: object) -> str | None:
    if isinstance(tree, list):
        return next(filter(None, map(_secret_in_tree, tree)), None)
    if not isinstance(tree, dict):
        return secret_in(tree)
    lower = {name.lower(): value for name, value in tree.items()}
    if "role_id" in lower and isinstance(lower.get("secret_id"), str):
        return "a secret_id"
    # Names keep their case, which separates words. The last pair is a variable in the format of ECS and Kubernetes.
    pairs = [*tree.items(), (lower.get("name", lower.get("key")), lower.get("value"))]
    for name, value in pairs:
        if isinstance(name, str) and (found := secret_of(name, value)):
            return f"a secret named {name}" if found == "its name" else found
    return next(filter(None, map(_secret_in_tree, tree.values())), None)


def _secret_in_pairs(text: str) -> str | None:
    """Find ``password=…`` and ``password: …`` in text, but not in code that only uses a variable."""
    for match in _PAIR.finditer(text):
        name, quote, space, sign, value = match.groups()
        if not is_secret_name(name):
            continue
        if value[0] in "\"'":
            literal = value[1:-1]
        elif quote or space or _CODE.match(value) or _in_call(text[: match.start()]):
            continue
        else:
            literal = value
        if not _CODE.match(literal[:1]) and secret_of(name, literal):
            return f"{name.lstrip('-.')}{sign}…"
    for name, value in _LINE.findall(text):
        if not _CODE.match(value) and secret_of(name, value.strip("\"'")):
            return f"{name}: …"
    return None


def _secret_in_flags(text: str) -> str | None:
    """Find ``--password …`` in the text of a shell command."""
    found = (
        name for name, value in _FLAG.findall(text) if is_secret_name(name) and secret_of(name, value.strip("\"'"))
    )
    return next((f"the value of --{name}" for name in found), None)


def _in_call(before: str) -> bool:
    return before.count("(") > before.count(")")


def _halves(text: str) -> tuple[str, str]:
    name, _, value = text.strip().partition(" ")
    return name, value.strip()


def _decoded(text: str) -> str:
    return base64.b64decode(text[:64] + "=" * (-len(text[:64]) % 4), validate=False).decode("ascii", "replace")


def _is_login(text: str) -> bool:
    """Return whether *text* is the base64 of ``user:password``."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return False
    return decoded.isprintable() and re.fullmatch(r"[^:]*:.+", decoded) is not None


def _json(text: str) -> object:
    try:
        return json.loads(text) if text.lstrip().startswith(("{", "[")) else None
    except ValueError:
        return None
