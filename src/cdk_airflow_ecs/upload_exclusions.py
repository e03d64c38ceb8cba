"""The files of a user's folder that are uploaded in an image or to a bucket. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from os import walk
from pathlib import Path
from typing import Final

# Files of tools, which are not uploaded.
JUNK: Final = (
    *("__pycache__", "*.py[cod]", ".git", ".hg", ".svn", ".DS_Store", "Thumbs.db", ".idea", ".vscode", "*.sw[op]"),
    *("*~", "#*#", ".#*", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv", "cdk.out"),
)
# Files and folders with credentials and private keys, in lower case.
PRIVATE: Final = (
    *(".env", ".env.*", ".envrc", ".netrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials", ".boto", ".s3cfg"),
    *(".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *("*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.kdbx", "*.tfstate", "*.tfstate.*"),
    *("*.env", "credentials.json", "application_default_credentials.json", "client_secret*.json", ".npmrc"),
    *(".vault-token", "kubeconfig", "*.kubeconfig", ".dockercfg", ".dockerconfigjson"),
)
# Names that match PRIVATE, but whose files contain no secrets.
_PUBLIC: Final = (
    *("*.pub", ".env.example", ".env.sample", ".env.template", ".env.dist", ".env.md"),
    *("example.env", "sample.env", "template.env", "*.example.env", "*.sample.env", "*.template.env"),
)
# A .pem file is private unless its label is public (RFC 7468).
_PUBLIC_PEM: Final = re.compile(
    rb"-----BEGIN (TRUSTED |X509 |RSA )?(CERTIFICATE|PUBLIC KEY|X509 CRL|DH PARAMETERS)-----"
)
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----")
# The bytes read of each file: enough to find the key in the JSON file of a Google Cloud service account.
_HEAD: Final = 8192


def shared_files(argument: str, folder: Path, *, within: Path, readers: str) -> Iterator[tuple[str, Path]]:
    """Yield (relative path, file) for all files in *folder*, in a fixed order. Follow links; skip files of tools.

    Args:
        argument: the argument's name, for errors.
        folder: the folder.
        within: the folder that links must not leave.
        readers: the permission that allows reading the files, such as "pull the image".

    Raises:
        ValueError: for a possible secret, a broken or recursive link, and a link to outside *within*.
    """
    home = within.resolve()
    for place, folders, names in walk(folder, followlinks=True):
        real, above = Path(place).resolve(), Path(place).parent.resolve()
        if real in (above, *above.parents):
            raise ValueError(f"{argument}: {place} is a link back to {real}; remove it")
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        for name in (*folders, *sorted(each for each in names if not _is_junk(each))):
            file = Path(place, name)
            if not file.exists():
                raise ValueError(f"{argument}: {file} is a broken link; remove it")
            if not file.resolve().is_relative_to(home):
                raise ValueError(
                    f"{argument}: {file} is a link to {file.resolve()}, outside {within}. Copy its target, or remove"
                    " the link"
                )
            if is_private(file):
                raise ValueError(
                    f"{argument}: {file} looks like a secret, and everyone who may {readers} could read it; move it"
                    " elsewhere, and store its content in Secrets Manager"
                )
            if name in folders:
                continue
            if not file.is_file():
                raise ValueError(f"{argument}: {file} is not a regular file; remove it")
            yield file.relative_to(folder).as_posix(), file


def is_private(file: Path) -> bool:
    """Return whether the name or first bytes of a file suggest credentials or a private key."""
    name = file.name.lower()
    if any(fnmatch(name, pattern) for pattern in _PUBLIC):
        return False
    if any(fnmatch(name, pattern) for pattern in PRIVATE):
        return True
    # Programs and documents may contain the label of a private key without the key.
    if not file.is_file() or file.suffix in (".py", ".md", ".rst"):
        return False
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    return bool(_PRIVATE_KEY.search(head)) or (file.suffix.lower() == ".pem" and not _PUBLIC_PEM.search(head))


def _is_junk(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in JUNK)
