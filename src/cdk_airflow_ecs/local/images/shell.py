"""The shell of a RUN instruction: variables, working directory and command syntax."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from cdk_airflow_ecs.local.images.dockerfile import Instruction, Lookup, expand
from cdk_airflow_ecs.local.images.image import AirflowImageParts
from cdk_airflow_ecs.local.images.image_files import source_of

_OPERATORS: Final = ("&&", "||", ";", "|", "&")
# Commands that change nothing in the image, unless their output is redirected to a file.
READS: Final = frozenset({
    "test", "[", "[[", "set", "echo", "printf", "cat", "true", ":", "export", "cd", "ls", "which", "command",
    "whoami", "id", "env", "pwd", "date", "sleep", "exit", "head", "tail", "grep", "wc", "sort", "uniq", "type",
    "unset", "umask", "shopt", "sha256sum", "md5sum",
})  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Shell:
    """Shell state of one RUN instruction.

    Args:
        own: variables set by the shell commands.
        mounts: mounted files of the build context, by image path.
    """

    each: Instruction
    parts: AirflowImageParts
    lookup: Lookup
    context: Path
    folder: PurePosixPath
    own: dict[str, str] = field(default_factory=dict)
    mounts: dict[PurePosixPath, Path] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """Return the value of a shell or Dockerfile variable."""
        return self.own[name] if name in self.own else self.lookup(name)

    def path(self, text: str) -> PurePosixPath:
        """Return the absolute image path of a word."""
        home = self.value("HOME") or "/"
        text = re.sub(r"^~(?=/|$)", home, text)
        return PurePosixPath("/", *(self.folder / text).parts[1:])

    def file(self, text: str) -> Path | None:
        """Return the local file of an image path, or None."""
        path = self.path(text)
        for mounted, source in self.mounts.items():
            if path.is_relative_to(mounted) and (found := source / path.relative_to(mounted)).exists():
                return found
        return source_of(self.parts, path)


def mount(shell: Shell) -> None:
    """Record the files of the build context that a RUN instruction mounts."""
    for flag in shell.each.flags:
        name, _, value = flag.partition("=")
        if name in ("--network", "--security"):
            continue
        options = dict(item.partition("=")[::2] for item in shlex.split(value.replace(",", " ")))
        kind = options.get("type", "bind")
        target = options.get("target") or options.get("dst") or options.get("destination") or ""
        if name != "--mount" or (kind == "bind" and "from" in options):
            raise shell.each.refusal(f"option {flag} is not supported")
        if kind == "bind":
            source = shell.context / options.get("source", options.get("src", ".")).lstrip("/")
            shell.mounts[shell.path(target or ".")] = source


def commands_of(text: str) -> Iterator[tuple[str, str]]:
    """Split a shell line into commands, each with the operator before it.

    Examples:
        >>> list(commands_of("a 'x;y' && b | c; d"))
        [('', "a 'x;y'"), ('&&', 'b'), ('|', 'c'), (';', 'd')]
    """
    operator, part, quote, position = "", "", "", 0
    while position < len(text):
        character = text[position]
        if character == "\\" and quote != "'" and position + 1 < len(text):
            part += text[position : position + 2]
            position += 2
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        found = "" if quote else next((each for each in _OPERATORS if text.startswith(each, position)), "")
        if found == "&" and (part.endswith(">") or text.startswith("&>", position)):
            found = ""  # the & of a redirection such as 2>&1 is not an operator
        if found:
            if part.strip():
                yield operator, part.strip()
            operator, part = found, ""
            position += len(found)
            continue
        part += character
        position += 1
    if part.strip():
        yield operator, part.strip()


def words_of(shell: Shell, text: str) -> list[str]:
    """Split a command into words as a shell does, with variables replaced; redirections are separate words."""
    if re.search(r"\$\(|`", re.sub(r"'[^']*'", "", text)):
        name = text.split(maxsplit=1)[0]
        if name not in READS or ">" in text:
            raise shell.each.refusal("command substitution is not supported")
        return [name]
    try:
        lexer = shlex.shlex(expand(text, shell.value, keep_quotes=True), posix=True, punctuation_chars="<>()")
        lexer.whitespace_split, lexer.commenters = True, "#"
        return list(lexer)
    except ValueError as error:
        raise shell.each.refusal(str(error)) from error
