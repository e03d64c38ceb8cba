"""Dockerfile syntax: instructions and variables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cdk_airflow_ecs.local.refusal import Refusal

Lookup = Callable[[str], str | None]
"""Returns the value of a variable, or None."""

_DIRECTIVE: Final = re.compile(r"#\s*(?P<name>[a-z]+)\s*=\s*(?P<value>\S+)\s*", re.IGNORECASE)
_HEREDOC: Final = re.compile(r"(?<!<)<<-?\s*[\"']?[A-Za-z_]\w*")
_FLAG: Final = re.compile(r"--[a-z][\w-]*(?:=(?:\"[^\"]*\"|\S)*)?")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
# The content of ${…}: a name, and optionally an operator for a default, an alternative or an error.
_BRACES: Final = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-+?])(?P<word>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction of a Dockerfile.

    Args:
        line: number of its first line.
        word: such as "RUN", in upper case.
        flags: such as "--chown=airflow:root".
        rest: text after word and flags, with continued lines joined.
    """

    file: str
    line: int
    word: str
    flags: tuple[str, ...] = ()
    rest: str = ""
    escape: str = "\\"

    def refusal(self, reason: str) -> Refusal:
        """Return a Refusal that quotes the instruction, with reason and remedy."""
        shown = " ".join([self.word, *self.flags, self.rest]).strip()
        shown = shown if len(shown) <= 100 else f"{shown[:97]}..."
        return Refusal(
            f"{self.file}, line {self.line}, `{shown}`: {reason}. The local runner builds no images. Change that line,"
            " or pass a folder with another Dockerfile: `--image NAME=DIR`"
        )

    def expanded(self, text: str, lookup: Lookup) -> str:
        """Replace the variables of *text* as Docker does."""
        try:
            return expand(text, lookup, escape=self.escape)
        except ValueError as error:
            raise self.refusal(str(error)) from error

    def words(self, lookup: Lookup) -> list[str]:
        """Return the arguments of COPY or ADD, with variables replaced."""
        if self.rest.startswith("["):
            return [self.expanded(each, lookup) for each in self.json()]
        return [self.expanded(each, lookup) for each in self.rest.split()]

    def json(self) -> list[str]:
        """Return the arguments of a JSON list."""
        try:
            found = json.loads(self.rest)
        except ValueError as error:
            raise self.refusal("expected a JSON list") from error
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.refusal("expected a JSON list of strings")
        return found

    def pairs(self, lookup: Lookup) -> list[tuple[str, str]]:
        """Return the names and values of ENV or LABEL, in the form NAME=VALUE or NAME VALUE."""
        first, _, value = self.rest.partition(" ")
        if "=" not in first:
            if not value.strip():
                raise self.refusal(f"{self.word} requires a name and a value")
            return [(self.expanded(first, lookup), self.expanded(value.strip(), lookup))]
        found = []
        for word in split(self.rest, escape=self.escape):
            name, is_pair, value = word.partition("=")
            if not is_pair:
                raise self.refusal(f"expected NAME=VALUE, got {word!r}")
            found.append((self.expanded(name, lookup), self.expanded(value, lookup)))
        return found

    def declared(self, lookup: Lookup) -> list[tuple[str, str | None]]:
        """Return the names declared by ARG, with their defaults or None."""
        found = list[tuple[str, str | None]]()
        for word in split(self.rest, escape=self.escape):
            name, has_default, default = word.partition("=")
            found.append((name, self.expanded(default, lookup) if has_default else None))
        return found


def instructions(text: str, file: str) -> Iterator[Instruction]:
    r"""Parse the instructions of a Dockerfile; raises a Refusal for heredocs.

    Examples:
        >>> [(each.line, each.word, each.rest) for each in instructions("# a\nRUN x \\\n  # b\n  && y\n", "Dockerfile")]
        [(2, 'RUN', 'x   && y')]
    """
    lines = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").splitlines()
    escape = _escape(lines)
    ends = re.compile(rf"{re.escape(escape)}[ \t]*$")
    begin, parts = 0, list[str]()
    for number, line in enumerate([*lines, ""], start=1):
        if line.lstrip().startswith("#") or (not line.strip() and number <= len(lines)):
            continue
        begin = begin or number
        if number <= len(lines) and ends.search(line):
            parts.append(ends.sub("", line))
            continue
        whole = "".join([*parts, line]).strip()
        if whole:
            yield _instruction(whole, file, begin, escape)
        begin, parts = 0, []


def _escape(lines: list[str]) -> str:
    for line in lines:
        directive = _DIRECTIVE.fullmatch(line)
        if directive is None:
            break
        if directive["name"].lower() == "escape":
            return directive["value"]
    return "\\"


def _instruction(text: str, file: str, line: int, escape: str) -> Instruction:
    word, _, rest = text.partition(" ")
    word, tab, more = word.partition("\t")
    rest = f"{more} {rest}".strip() if tab else rest.strip()
    flags = []
    while match := re.match(rf"({_FLAG.pattern})(?:\s+|$)", rest):
        flags.append(match[1])
        rest = rest[match.end() :]
    found = Instruction(file=file, line=line, word=word.upper(), flags=tuple(flags), rest=rest, escape=escape)
    if found.word in ("RUN", "COPY", "ADD") and _HEREDOC.search(rest):
        raise found.refusal("heredocs are not supported")
    return found


def split(text: str, *, escape: str = "\\") -> list[str]:
    r"""Split a text at unquoted, unescaped white space; keep quotes and escapes.

    Examples:
        >>> split(r'A="b c" D=e\ f')
        ['A="b c"', 'D=e\\ f']
    """
    found, word, quote, position = list[str](), "", "", 0
    while position < len(text):
        character = text[position]
        if character == escape and quote != "'" and position + 1 < len(text):
            word += text[position : position + 2]
            position += 2
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        if character.isspace() and not quote:
            found += [word] if word else []
            word = ""
        else:
            word += character
        position += 1
    return [*found, word] if word else found


def expand(text: str, lookup: Lookup, *, escape: str = "\\", keep_quotes: bool = False) -> str:
    r"""Replace variables and remove quotes and escapes, as Docker does.

    *keep_quotes* leaves quotes and escapes to a shell. Raises ValueError for unsupported operators and missing values.

    Examples:
        >>> expand("${A}-${B:-b}-$A'$A'", {"A": "1"}.get)
        '1-b-1$A'
        >>> expand(r'"a\"b" \$A', {}.get)
        'a"b $A'
    """
    found, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        if character == escape and quote != "'" and position + 1 < len(text):
            following = text[position + 1]
            drops = not keep_quotes and (not quote or following in ('"', "$", escape))
            found += following if drops else character + following
            position += 2
        elif character in "\"'" and quote in ("", character):
            quote = "" if quote else character
            found += character if keep_quotes else ""
            position += 1
        elif character == "$" and quote != "'":
            value, position = _variable(text, position, lookup, escape)
            found += value
        else:
            found += character
            position += 1
    return found


def _variable(text: str, position: int, lookup: Lookup, escape: str) -> tuple[str, int]:
    if match := _NAME.match(text, position + 1):
        return lookup(match[0]) or "", match.end()
    if text[position + 1 : position + 2] != "{":
        return "$", position + 1
    end, depth = position + 2, 1
    while end < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    inner = text[position + 2 : end - 1]
    match = None if depth else _BRACES.fullmatch(inner)
    if match is None:
        raise ValueError(f"${{{inner}}} is not supported; use ${{X}}, ${{X:-y}}, ${{X:+y}} or ${{X:?y}}")
    value, operator = lookup(match["name"]), match["operator"] or ""
    has_value = value is not None and not (operator.startswith(":") and value == "")
    if operator.endswith("+"):
        return (expand(match["word"], lookup, escape=escape) if has_value else ""), end
    if operator.endswith("?") and not has_value:
        raise ValueError(f"{match['name']} has no value: {match['word'] or 'it is required'}")
    if operator.endswith("-") and not has_value:
        return expand(match["word"], lookup, escape=escape), end
    return value or "", end
