"""Monthly costs of a template by list price: us-east-1, August 2026, 730 hours.

Traffic, logs and storage other than the database's are not included.
"""

from __future__ import annotations

from typing import Any

HOURS = 730
VCPU, GIB, DISK_GIB = 0.04048, 0.004445, 0.000111  # USD per hour on x86; disk beyond 20 GiB
ARM_VCPU, ARM_GIB = 0.03238, 0.00356
INSTANCES = {"db.t4g.micro": 0.016, "db.t4g.small": 0.032, "db.t4g.medium": 0.065, "db.m7g.large": 0.168}
NODES = {"cache.t4g.micro": 0.016, "cache.t4g.small": 0.032}  # USD per hour for Redis; Valkey costs a fifth less
GP3 = 0.115  # USD per GiB and month
ACU = 0.12  # USD per hour, Aurora Serverless v2
# USD per hour for an Amazon MWAA environment and for an additional worker; the README has the source.
MWAA = {"small": (0.49, 0.055), "medium": (0.74, 0.11), "large": (0.99, 0.22)}
# USD per metric and month, up to 10,000; number of Container Insights metrics per cluster, task family and service
# (aws.amazon.com/cloudwatch/pricing, example "Container Insights for Amazon ECS"); its log events are not counted.
METRIC, PER_CLUSTER, PER_FAMILY, PER_SERVICE = 0.30, 8, 6, 11
# USD per metric of an alarm, and per dashboard; custom metrics of a worker pool with QueueScaling.
ALARM, DASHBOARD, METRICS_OF_A_POOL = 0.10, 3.00, 2
NAT, ADDRESS, BALANCER, LOAD_UNIT, SECRET = 32.85, 3.65, 16.43, 5.84, 0.40


def _of(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item["Properties"] for item in template["Resources"].values() if item["Type"] == kind]


def cost_rows(template: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the monthly costs of each kind of resource."""
    disk = 0.0
    machines = {kind: [0.0, 0.0] for kind in ("Fargate", "Fargate on ARM64", "Fargate Spot, at most")}
    for service in _of(template, "AWS::ECS::Service"):
        task = template["Resources"][service["TaskDefinition"]["Ref"]]["Properties"]
        count = service.get("DesiredCount", 0)  # Without workers, if QueueScaling sets the number.
        spot, arm = "CapacityProviderStrategy" in service, task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
        machine = machines["Fargate Spot, at most" if spot else "Fargate on ARM64" if arm else "Fargate"]
        machine[0] += count * int(task["Cpu"]) / 1024
        machine[1] += count * int(task["Memory"]) / 1024
        disk += count * (task.get("EphemeralStorage", {}).get("SizeInGiB", 20) - 20)
    rows = []
    for kind, (vcpu, memory) in machines.items():
        a_vcpu, a_gib = (ARM_VCPU, ARM_GIB) if "ARM64" in kind else (VCPU, GIB)
        if vcpu:
            rows.append((f"{kind}, {vcpu:g} vCPU and {memory:g} GB", HOURS * (vcpu * a_vcpu + memory * a_gib)))
    if disk:
        rows.append((f"Fargate, {disk:g} GB of disk beyond 20 each", HOURS * disk * DISK_GIB))
    members = [item for item in _of(template, "AWS::RDS::DBInstance") if "DBClusterIdentifier" in item]
    for cluster in _of(template, "AWS::RDS::DBCluster"):
        least = cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"]
        rows.append((f"Aurora, {len(members)} instances at {least:g} ACU", HOURS * ACU * least * len(members)))
    for database in _of(template, "AWS::RDS::DBInstance"):
        if database in members:
            continue
        kind, size, twice = database["DBInstanceClass"], int(database["AllocatedStorage"]), database["MultiAZ"]
        text = f"RDS {kind}{' with standby' if twice else ''}, {size} GiB"
        rows.append((text, (HOURS * INSTANCES[kind] + size * GP3) * (2 if twice else 1)))
    for cache in _of(template, "AWS::ElastiCache::ReplicationGroup"):
        kind, nodes = cache["CacheNodeType"], cache["NumCacheClusters"]
        rows.append((f"ElastiCache {kind}, nodes: {nodes}", HOURS * NODES[kind] * nodes))
    if gateways := len(_of(template, "AWS::EC2::NatGateway")):
        rows.append(("NAT gateway and its address", gateways * (NAT + ADDRESS)))
    for balancer in _of(template, "AWS::ElasticLoadBalancingV2::LoadBalancer"):
        addresses = 2 if balancer["Scheme"] == "internet-facing" else 0
        text = "Load balancer, a quarter of a load unit" + (", two addresses" if addresses else "")
        rows.append((text, BALANCER + LOAD_UNIT / 4 + addresses * ADDRESS))
    insights = {"Name": "containerInsights", "Value": "enabled"}
    if clusters := [each for each in _of(template, "AWS::ECS::Cluster") if insights in each.get("ClusterSettings", ())]:
        services, families = (len(_of(template, f"AWS::ECS::{kind}")) for kind in ("Service", "TaskDefinition"))
        # A service or family runs in only one cluster.
        metrics = PER_CLUSTER * len(clusters) + PER_FAMILY * families + PER_SERVICE * services
        rows.append((f"Container Insights, {metrics} metrics", metrics * METRIC))
    pools = [each for each in _of(template, "AWS::CloudWatch::Alarm") if each.get("MetricName") == "RequiredWorkers"]
    if pools:
        dollars = len(pools) * (METRICS_OF_A_POOL * METRIC + ALARM)
        rows.append((f"Metrics and alarms of {len(pools)} scaled pools", dollars))
    others = [each for each in _of(template, "AWS::CloudWatch::Alarm") if each not in pools]
    if others:
        read = sum(alarm_metrics(each) for each in others)
        rows.append((f"Alarms: {len(others)}, which read {read} metrics", read * ALARM))
    if dashboards := len(_of(template, "AWS::CloudWatch::Dashboard")):
        rows.append(("Dashboard", dashboards * DASHBOARD))
    secrets = len(_of(template, "AWS::SecretsManager::Secret"))
    return [*rows, (f"Secrets Manager, {secrets} secrets", secrets * SECRET)]


def alarm_metrics(alarm: dict[str, Any]) -> int:
    """Return the number of metrics that an alarm reads, each with its price."""
    return sum("MetricStat" in query for query in alarm["Metrics"]) if "Metrics" in alarm else 1


def cost_table(template: dict[str, Any]) -> str:
    """Return the costs as a Markdown table."""
    rows = cost_rows(template)
    lines = [f"| {what} | {dollars:.2f} |" for what, dollars in rows]
    total = f"| **Together** | **about {round(sum(dollars for _, dollars in rows), -1):.0f}** |"
    return "\n".join(["| Each month | USD |", "|---|---|", *lines, total])
