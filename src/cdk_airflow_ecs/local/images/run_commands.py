"""Interprets RUN: records what pip and apt-get install, refuses unsupported changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from cdk_airflow_ecs.local.images.dockerfile import Instruction, Lookup
from cdk_airflow_ecs.local.images.image import AirflowImageParts
from cdk_airflow_ecs.local.images.image_files import is_temporary, resolved, source_of
from cdk_airflow_ecs.local.images.pip_arguments import PipArguments
from cdk_airflow_ecs.local.images.shell import READS, Shell, commands_of, mount, words_of

_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
# Ignored commands that prepare Debian packages or change users.
_SYSTEM: Final = frozenset({
    "gpg", "apt-key", "add-apt-repository", "debconf-set-selections", "update-ca-certificates", "ldconfig",
    "groupadd", "useradd", "usermod", "addgroup", "adduser", "dpkg-reconfigure",
})  # fmt: skip
_APT_FOLDERS: Final = tuple(
    map(
        PurePosixPath,
        ("/etc/apt", "/usr/share/keyrings", "/var/lib/apt", "/var/lib/dpkg", "/usr/share/ca-certificates"),
    )
)
_PIP_READS: Final = frozenset(
    {"check", "list", "freeze", "show", "cache", "config", "debug", "--version", "-V", "help"}
)
_PREFIXES: Final = ("sudo", "exec", "env", "command", "time", "!")
_DEVICES: Final = ("/dev/null", "/dev/stdout", "/dev/stderr")


def follow_run(parts: AirflowImageParts, each: Instruction, lookup: Lookup, context: Path) -> AirflowImageParts:
    """Interpret one RUN instruction; raises a Refusal for unsupported changes."""
    shell = Shell(each=each, parts=parts, lookup=lookup, context=context, folder=parts.workdir)
    mount(shell)
    if each.rest.startswith("["):
        _Follower(shell, "").follow(each.json())
        return shell.parts
    for operator, text in commands_of(each.rest):
        _Follower(shell, operator).follow(words_of(shell, text))
    return shell.parts


class _Follower:
    """Interprets one shell command; *operator* is the shell operator before it, such as "&&"."""

    def __init__(self, shell: Shell, operator: str) -> None:
        self._shell, self._each, self._operator = shell, shell.each, operator

    def follow(self, words: list[str]) -> None:
        """Apply a command to the image, or raise a Refusal."""
        shell = self._shell
        words = self._redirected([word for word in words if word not in ("{", "}", "(", ")")])
        words = self._assigned(words)
        if not words:
            return
        name = PurePosixPath(words[0]).name
        is_module = re.fullmatch(r"python3?(\.\d+)?", name) and words[1:3] == ["-m", "pip"]
        if is_module or (name == "uv" and words[1:2] == ["pip"]):
            words, name = words[2 if is_module else 1 :], "pip"
        if re.fullmatch(r"pip3?(\.\d+)?", name):
            self._pip(words)
        elif name in ("apt-get", "apt"):
            self._apt(words)
        elif name == "cd":
            shell.folder = shell.path(words[1] if len(words) > 1 else "~")
        elif name in READS:
            return
        elif name in _SYSTEM:
            self._name(f"`{' '.join(words)[:60]}`")
        else:
            follow = _FILES.get(name)
            if follow is None:
                raise self._each.refusal(f"command {name} is not supported")
            follow(self, words)

    def _assigned(self, words: list[str]) -> list[str]:
        """Remove prefixes such as sudo and variable assignments before the command, and record the variables."""
        while words and words[0] in _PREFIXES:
            words = words[1:]
        given = words[1:] if words[:1] == ["export"] else words
        for word in given:
            match = _ASSIGNMENT.fullmatch(word)
            if match is None:
                break
            self._shell.own[match[1]] = match[2]
            given = given[1:]
        return given

    def _name(self, text: str) -> None:
        difference = f"the image's Dockerfile runs {text} in line {self._each.line}; ignored locally"
        self._shell.parts = replace(self._shell.parts, differences=(*self._shell.parts.differences, difference))

    def _redirected(self, words: list[str]) -> list[str]:
        found, rest = list[str](), iter(words)
        for word in rest:
            if not re.fullmatch(r"[<>]+", word):
                found.append(word)
                continue
            target = next(rest, "")
            if found and found[-1].isdigit():
                found.pop()
            if word.startswith(">") and not target.startswith("&"):
                self._writes(target)
        return found

    def _writes(self, target: str) -> None:
        path = self._shell.path(target)
        is_read_by_pip = path.name.startswith("constraints") and path.suffix == ".txt"
        if target in _DEVICES or is_temporary(path) or is_read_by_pip:
            return
        if any(path.is_relative_to(each) for each in _APT_FOLDERS):
            return
        raise self._each.refusal(f"it creates the file {path}, which is not supported")

    def _fetch(self, words: list[str]) -> None:
        saves, name = False, PurePosixPath(words[0]).name
        for position, word in enumerate(words):
            following = words[position + 1] if position + 1 < len(words) else ""
            if word in ("--output", "-o", "--output-document") or re.fullmatch(r"-[a-zA-Z]*[oO]", word):
                saves = True
                if word.endswith("O") and name == "curl":
                    self._writes(PurePosixPath(words[-1].partition("?")[0]).name)
                elif following != "-":
                    self._writes(following)
            elif word.startswith(("--output=", "--output-document=")):
                saves = True
                self._writes(word.partition("=")[2])
        if name == "wget" and not saves:
            self._writes(PurePosixPath(words[-1].partition("?")[0]).name)

    def _pip(self, words: list[str]) -> None:
        arguments = [word for word in words[1:] if word not in ("-q", "--quiet", "--no-cache-dir")]
        action = arguments[0] if arguments else "help"
        if action in _PIP_READS:
            return
        if action != "install":
            raise self._each.refusal(f"pip {action} is not supported")
        if self._operator in ("||", "|"):
            raise self._each.refusal("a conditional pip install is not supported")
        pip = PipArguments.read(arguments[1:], self._shell.parts, self._shell.file, self._each.refusal)
        parts = self._shell.parts
        self._shell.parts = replace(
            parts,
            requirements=(*parts.requirements, *pip.requirements),
            constraints=(*parts.constraints, *pip.constraints),
            differences=(*parts.differences, *pip.differences),
        )

    def _apt(self, words: list[str]) -> None:
        names = list[str]()
        rest = iter(words[1:])
        for word in rest:
            if word in ("-t", "--target-release", "-o", "--option", "-c"):
                next(rest, None)
            elif not word.startswith("-"):
                names.append(word)
        if names[:1] == ["install"]:
            parts = self._shell.parts
            self._shell.parts = replace(parts, packages=(*parts.packages, *names[1:]))
        elif names[:1] in (["remove"], ["purge"]) and names[1:]:
            self._name(f"`{' '.join(words)}`")

    # File commands

    def _operands(self, words: list[str]) -> list[str]:
        return [word for word in words[1:] if not word.startswith("-")]

    def _mkdir(self, words: list[str]) -> None:
        for name in self._operands([*words[:1], *_without_values(words[1:], "-m")]):
            path = self._shell.path(name)
            if resolved(self._shell.parts, path) is not None:
                self._shell.parts = replace(self._shell.parts, folders=(*self._shell.parts.folders, path))
            elif not is_temporary(path) and not any(path.is_relative_to(each) for each in _APT_FOLDERS):
                raise self._each.refusal(f"it creates the folder {path}, which is not supported")

    def _chmod(self, words: list[str]) -> None:
        mode, *names = [word for word in words[1:] if not re.fullmatch(r"-[RvfcR]+|--\w+", word)] or [""]
        if "x" in mode.rpartition("+")[2] or re.fullmatch(r"0?[1357]\d\d", mode):
            own = tuple(self._shell.path(name) for name in names)
            self._shell.parts = replace(self._shell.parts, executables=(*self._shell.parts.executables, *own))

    def _chown(self, words: list[str]) -> None:
        """Do nothing: all containers run as the same user."""

    def _remove(self, words: list[str]) -> None:
        parts, gone = self._shell.parts, [self._shell.path(name) for name in self._operands(words)]
        for path in gone:
            inner = [place for _, place in parts.files if path.is_relative_to(place) and path != place]
            if inner and (found := source_of(parts, path)) and not _is_read_by_pip(found):
                raise self._each.refusal(f"removing {path}, a part of a copied folder, is not supported")
        kept = tuple((source, place) for source, place in parts.files if not _below(place, gone))
        # Removing a requirements file does not remove what it installed.
        self._shell.parts = replace(parts, files=kept)

    def _copy(self, words: list[str]) -> None:
        *sources, target = self._operands(words) or [""]
        for source in sources:
            path = self._shell.path(target)
            found = self._shell.file(source)
            is_folder = target.endswith("/") or path in self._shell.parts.homes
            place = path / PurePosixPath(source).name if is_folder else path
            if found is not None and resolved(self._shell.parts, place) is not None and words[0] != "ln":
                self._shell.parts = replace(self._shell.parts, files=(*self._shell.parts.files, (found, place)))
            else:
                self._writes(str(place))

    def _change(self, words: list[str]) -> None:
        if any(re.fullmatch(r"-[a-zA-Z]*i.*|--in-place.*", word) for word in words[1:]):
            self._writes(words[-1])

    def _touch(self, words: list[str]) -> None:
        for name in self._operands(words):
            self._writes(name)

    def _install(self, words: list[str]) -> None:
        names = self._operands([*words[:1], *_without_values(words[1:], "-m", "-o", "-g")])
        if "-d" in words:
            self._mkdir(["mkdir", *names])
        else:
            self._copy(["install", *names])


_FILES: Final[dict[str, Callable[[_Follower, list[str]], None]]] = {
    "curl": _Follower._fetch,
    "wget": _Follower._fetch,
    "mkdir": _Follower._mkdir,
    "chmod": _Follower._chmod,
    "chown": _Follower._chown,
    "chgrp": _Follower._chown,
    "rm": _Follower._remove,
    "cp": _Follower._copy,
    "mv": _Follower._copy,
    "ln": _Follower._copy,
    "install": _Follower._install,
    "sed": _Follower._change,
    "tee": _Follower._touch,
    "touch": _Follower._touch,
}


def _without_values(words: list[str], *options: str) -> list[str]:
    return [word for position, word in enumerate(words) if position == 0 or words[position - 1] not in options]


def _below(place: PurePosixPath, gone: list[PurePosixPath]) -> bool:
    return any(place.is_relative_to(path) for path in gone)


def _is_read_by_pip(path: Path) -> bool:
    return path.suffix in (".txt", ".in")
