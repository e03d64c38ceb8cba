"""Resources that a CloudFormation update from one template to another replaces, and changes that AWS rejects."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthesis import references

Template = dict[str, Any]

SCHEMAS = next(
    (Path(__file__).parents[2] / ".venvs/cfn-lint/lib").glob("python3*/site-packages/cfnlint/data/schemas"), None
)
# Properties that set the name of a resource, which must be unique.
NAMES = ("Name", "DBInstanceIdentifier", "DBClusterIdentifier", "ReplicationGroupId", "BucketName", "RoleName")
NAMES += ("LogGroupName", "QueueName", "TableName", "FunctionName", "ServiceName", "ClusterName", "PolicyName")


@functools.cache
def create_only(kind: str) -> frozenset[str]:
    """Return the properties of *kind* whose change replaces the resource."""
    if SCHEMAS is None:
        raise FileNotFoundError("needs the environment of cfn-lint: make environments")
    name = _files().get(kind)
    if name is None:  # custom resources
        return frozenset()
    schema = json.loads((SCHEMAS / f"resources/{name}.json").read_text())
    return frozenset(pointer.split("/")[2] for pointer in schema.get("createOnlyProperties", ()))


@functools.cache
def _files() -> dict[str, str]:
    assert SCHEMAS is not None
    files: dict[str, str] = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    return files


def replaced(before: Template, after: Template) -> set[str]:
    """Return the logical ids of replaced resources, including those that refer to a replaced one."""
    found: set[str] = set()
    while True:
        more = {
            name
            for name, old, new in _both(before, after)
            if name not in found
            and any(_changed(old.get(key), new.get(key), found) for key in create_only(_kind(after, name)))
        }
        if not more:
            return found
        found |= more


def refused(before: Template, after: Template) -> list[str]:
    """Return the reasons for which an AWS service would reject the update."""
    gone = replaced(before, after)
    findings = []
    for name, old, new in _both(before, after):
        kind = _kind(after, name)
        findings += [f"{name}: {why}" for why in _refusals(kind, old, new)]
        if name in gone:
            own = [key for key in NAMES if key in create_only(kind) and new.get(key) and old.get(key) == new[key]]
            findings += [f"{name}: its replacement would have the same {key}" for key in own]
    # A target group can belong to only one load balancer (aws-cloudformation/cloudformation-coverage-roadmap#780).
    for name in gone:
        if _kind(after, name) == "AWS::ElasticLoadBalancingV2::Listener":
            old, new = (_groups(template["Resources"][name]["Properties"]) for template in (before, after))
            findings += [f"{name}: {group} would belong to two load balancers" for group in (old & new) - gone]
    return findings


def contested(before: Template, after: Template) -> list[str]:
    """Return the services whose new desired count a scaler of *before* could change until CloudFormation deletes it.

    CloudFormation deletes removed resources after it has updated all others.
    """
    findings = []
    for name, old in before["Resources"].items():
        if old["Type"] != "AWS::ApplicationAutoScaling::ScalableTarget":
            continue
        limits = old["Properties"]["MinCapacity"], old["Properties"]["MaxCapacity"]
        for service in references(old["Properties"]["ResourceId"]):
            count = after["Resources"].get(service, {}).get("Properties", {}).get("DesiredCount")
            if name not in after["Resources"] and count is not None and limits != (count, count):
                findings.append(f"{service}: {name} may change its count {count} until it is deleted")
    return findings


def _kind(template: Template, name: str) -> str:
    return template["Resources"][name]["Type"]


def _both(before: Template, after: Template) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, new in after["Resources"].items():
        old = before["Resources"].get(name)
        if old is not None and old["Type"] == new["Type"]:
            yield name, old.get("Properties", {}), new.get("Properties", {})


def _changed(old: Any, new: Any, gone: set[str]) -> bool:
    return old != new or any(f'"{name}"' in json.dumps(new) for name in gone)


def _groups(listener: dict[str, Any]) -> set[str]:
    actions = listener.get("DefaultActions", ())
    return {action["TargetGroupArn"]["Ref"] for action in actions if "TargetGroupArn" in action}


def _version(text: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in str(text).split(".") if part.isdigit())


def _older(old: Any, new: Any) -> bool:
    parts = min(len(_version(old)), len(_version(new)))
    return _version(new)[:parts] < _version(old)[:parts]


def _refusals(kind: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield changes of a resource that its AWS service rejects, with the source in a comment."""
    if kind == "AWS::ElastiCache::ReplicationGroup":
        alone = min(old.get("NumCacheClusters", 1), new.get("NumCacheClusters", 1)) < 2
        turns_on = new.get("AutomaticFailoverEnabled") and not old.get("AutomaticFailoverEnabled")
        turns_off = old.get("AutomaticFailoverEnabled") and not new.get("AutomaticFailoverEnabled")
        if alone and (turns_on or turns_off) and old.get("NumCacheClusters") != new.get("NumCacheClusters"):
            # aws-cloudformation/cloudformation-coverage-roadmap#383.
            yield "failover and the number of nodes change at once"
        if old.get("Engine") == "valkey" and new.get("Engine") == "redis":
            yield "ElastiCache cannot change Valkey to Redis"  # ElastiCache user guide, "Upgrading engines"
        if _older(old.get("EngineVersion"), new.get("EngineVersion")):
            yield "ElastiCache rejects an older engine version"
    if kind in ("AWS::RDS::DBInstance", "AWS::RDS::DBCluster"):
        if _older(old.get("EngineVersion"), new.get("EngineVersion")):
            yield "RDS rejects an older engine version"  # RDS user guide, "Upgrading a DB instance engine version"
        majors = [_version(each.get("EngineVersion"))[:1] for each in (old, new)]
        if majors[0] < majors[1] and not new.get("AllowMajorVersionUpgrade"):
            yield "RDS takes another major version only with AllowMajorVersionUpgrade"
        if int(new.get("AllocatedStorage", 0)) < int(old.get("AllocatedStorage", 0)):
            yield "RDS rejects a smaller disk"  # RDS user guide, "Working with storage"
    if kind in ("AWS::RDS::DBSubnetGroup", "AWS::ElastiCache::SubnetGroup"):
        lost = [each for each in old.get("SubnetIds", ()) if each not in new.get("SubnetIds", ())]
        if lost:
            yield "a subnet that is in use leaves the subnet group"
    if kind == "AWS::EFS::FileSystem" and old.get("Encrypted") and not new.get("Encrypted"):
        yield "EFS does not decrypt a file system"
