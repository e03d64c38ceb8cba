"""Snapshots are short and show every change."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.testing import normalize
from synth.readable import write
from synthesis import EXAMPLES, example, strings

pytestmark = pytest.mark.xdist_group("examples")


def changes(node: Any) -> Iterator[Any]:
    """Yield copies of *node*, each with one change or omission."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            for part in changes(node[key]):
                changed = copy.copy(node)
                changed[key] = part
                yield changed
            without = copy.copy(node)
            del without[key]
            yield without
            if isinstance(node, dict):
                yield {**without, f"{key}X": node[key]}
    elif isinstance(node, str):
        yield node + "$"
        yield f"${{{node}}}"
    else:
        yield not node if isinstance(node, bool) else node + 1


def test_every_change_of_a_template_changes_its_snapshot():
    """Any change of a template changes the snapshot."""
    seen = 0
    for template in example("existing-vpc-and-database").templates.values():
        for section in normalize(template).values():
            for part in section.values():
                text = write(part)
                for changed in changes(part):
                    assert write(changed) != text, changed
                    seen += 1
    assert seen > 5000


@pytest.mark.parametrize("name", EXAMPLES)
def test_snapshots_contain_the_names_of_programs_instead_of_their_text(name):
    """Snapshots contain a program's name instead of its text."""
    written = strings([normalize(template) for template in example(name).templates.values()])
    assert max(map(len, written)) < 600
    given = strings(list(example(name).templates.values()))
    assert program("migrate") in given
    assert "<PROGRAM migrate>" in written


def test_the_text_of_a_changed_program_is_in_the_snapshot():
    """If a program in a template differs from the source file, the snapshot contains the text of the program."""
    text = program("dag_sync")
    assert normalize({"Value": [text, f"set -e; {text}"]}) == {
        "Value": ["<PROGRAM dag_sync>", "set -e; <PROGRAM dag_sync>"]
    }
    assert normalize({"Value": text.replace("30", "31")}) == {"Value": text.replace("30", "31")}


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"Ref": "Bucket"}, '"${Bucket}"'),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, '"${Bucket.Arn}"'),
        ({"Fn::Join": ["", ["s3://", {"Ref": "Bucket"}, "/logs"]]}, '"s3://${Bucket}/logs"'),
        ("$(date) ${Bucket}", '"$$(date) $${Bucket}"'),
        ([{"Name": "B", "Value": "1"}, {"Name": "A", "Value": {"Ref": "C"}}], '{"B": "1", "A": "${C}"}'),
        ([{"Name": "A", "Value": "1"}, {"Name": "A", "Value": "2"}], None),
        ({"Fn::Join": [",", ["a", {"Ref": "B"}]]}, '{"Fn::Join": [",", ["a", "${B}"]]}'),
        ([], "[]"),
    ],
)
def test_snapshots_show_a_reference_or_join_as_one_text(part, text):
    """In snapshots, references and joins are one text; lists of names and values are mappings."""
    assert write(part) == (text or json.dumps(part))
