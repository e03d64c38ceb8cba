"""The files of a user's folder that leave this machine, in an image or a bucket, and those that stay at home. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from os import walk
from pathlib import Path
from typing import Final

# What tools leave behind. An image must not change with it.
JUNK: Final = (
    *("__pycache__", "*.py[cod]", ".git", ".hg", ".svn", ".DS_Store", "Thumbs.db", ".idea", ".vscode", "*.sw[op]"),
    *("*~", "#*#", ".#*", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv", "cdk.out"),
)
# Files and folders that hold logins and private keys, in lower case.
PRIVATE: Final = (
    *(".env", ".env.*", ".envrc", ".netrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials", ".boto", ".s3cfg"),
    *(".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *("*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.kdbx", "*.tfstate", "*.tfstate.*"),
)
# Their namesakes without a secret.
_PUBLIC: Final = ("*.pub", ".env.example", ".env.sample", ".env.template", ".env.dist", ".env.md")
# A .pem is private unless it says what else it holds (RFC 7468).
_PUBLIC_PEM: Final = re.compile(
    rb"-----BEGIN (TRUSTED |X509 |RSA )?(CERTIFICATE|PUBLIC KEY|X509 CRL|DH PARAMETERS)-----"
)
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----")
# Enough for the head of a key, and for a service account of Google Cloud, whose JSON holds one.
_HEAD: Final = 8192


def shared_files(argument: str, folder: Path, *, within: Path, readers: str) -> Iterator[tuple[str, Path]]:
    """Yield every file below *folder*, by its path there, in one order everywhere; links are followed.

    What tools leave behind, such as ``.git`` and ``__pycache__``, is passed over.

    Args:
        argument: the argument that names the folder, for errors.
        folder: the folder.
        within: the folder that links may not leave.
        readers: what those may do who could read the files, such as "pull the image".

    Raises:
        ValueError: naming a file that looks like a secret, or a link that leads nowhere, back or out of *within*.
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
                raise ValueError(f"{argument}: {file} is no file, or a link to none; remove it")
            if not file.resolve().is_relative_to(home):
                raise ValueError(
                    f"{argument}: {file} is a link to {file.resolve()}, out of {within}. Copy what it points to, or"
                    " remove the link"
                )
            if is_private(file):
                raise ValueError(
                    f"{argument}: {file} looks like a secret, and everyone who may {readers} could read it; move it"
                    " out, and put what it holds into Secrets Manager"
                )
            if name in folders:
                continue
            if not file.is_file():
                raise ValueError(f"{argument}: {file} is no file, or a link to none; remove it")
            yield file.relative_to(folder).as_posix(), file


def is_private(file: Path) -> bool:
    """Whether the name of a file or folder, or the head of a file, shows that it holds a login or a private key."""
    name = file.name.lower()
    if any(fnmatch(name, pattern) for pattern in _PUBLIC):
        return False
    if any(fnmatch(name, pattern) for pattern in PRIVATE):
        return True
    # The text of a program may speak of keys; the text of a key may not leave.
    if not file.is_file() or file.suffix in (".py", ".md", ".rst"):
        return False
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    return bool(_PRIVATE_KEY.search(head)) or (file.suffix.lower() == ".pem" and not _PUBLIC_PEM.search(head))


def _is_junk(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in JUNK)
