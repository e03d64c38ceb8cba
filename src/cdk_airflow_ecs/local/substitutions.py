"""The complete list of differences between a local cluster and its template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """One difference: *says* is what the template has, *here* what the local cluster has instead, *why* the reason."""

    name: str
    says: str
    here: str
    why: str


SUBSTITUTIONS = (
    Substitution(
        name="image",
        says="a container image",
        here="a Python environment with the image's Airflow release, requirements, DAGs and plugins",
        why="there is no Docker",
    ),
    Substitution(
        name="entry point",
        says="/usr/bin/dumb-init -- /entrypoint",
        here="only the command; signals go to the processes that dumb-init would signal",
        why="there is no image; with CONNECTION_CHECK_MAX_COUNT=0, the official script only runs the command",
    ),
    Substitution(
        name="home",
        says="/opt/airflow",
        here="a folder per container, whose path replaces /opt/airflow in environment and command; in Airflow 2 a "
        "worker reads its DAG files from S3, then loads the DAG processor's copy, whose path is in the database",
        why="all containers use the file system of this machine",
    ),
    Substitution(
        name="temporary files",
        says="/tmp",  # noqa: S108  # only a path name
        here="a folder per container, in TMPDIR",
        why="all containers use the file system of this machine",
    ),
    Substitution(
        name="aws",
        says="the AWS API, an account and a region",
        here="AWS_ENDPOINT_URL: a local API, account 123456789012, the template's region or us-east-1",
        why="there is no AWS account; permissions are recorded, not enforced",
    ),
    Substitution(
        name="certificates",
        says="TLS certificates issued by Amazon",
        here="SSL_CERT_FILE, REQUESTS_CA_BUNDLE and AWS_CA_BUNDLE contain the machine's authorities and a local one",
        why="the local stores have certificates of the local authority; TLS stays on",
    ),
    Substitution(
        name="database",
        says="AWS::RDS::DBInstance or AWS::RDS::DBCluster",
        here="one server of the installed or embedded PostgreSQL; version and size of the template are ignored",
        why="there is no RDS",
    ),
    Substitution(
        name="cache",
        says="AWS::ElastiCache::ReplicationGroup",
        here="one server of the installed or embedded Redis, with the template's TLS and AUTH",
        why="there is no ElastiCache",
    ),
    Substitution(
        name="health check pace",
        says="a health check's interval",
        here="every 2 seconds until the first success, then the interval",
        why="local containers become healthy sooner",
    ),
    Substitution(
        name="log router",
        says="a container with a FireLens configuration",
        here="not run; `airflow-ecs local logs` prints container output",
        why="there is no Fluent Bit",
    ),
    Substitution(
        name="sidecars",
        says="a container that is not essential, with an image that cannot run locally",
        here="skipped with a message; containers do not wait for it; `--image NAME=DIR` runs it",
        why="there is no Docker",
    ),
    Substitution(
        name="extras",
        says="apache/airflow:X.Y.Z, with all extras of the official image",
        here="the extras that a cluster needs; `--extras google,pandas` adds others; import errors name the "
        "missing extra",
        why="all extras need 2.6 GB and minutes; the extras that a cluster needs, 0.5 GB",
    ),
    Substitution(
        name="volumes",
        says="EFS file systems and their mounts",
        here="described by the API but not mounted; databases and brokers in containers store their data in "
        "the state directory",
        why="there is no EFS",
    ),
    Substitution(
        name="load balancer",
        says="AWS::ElasticLoadBalancingV2::LoadBalancer",
        here="a small HTTP proxy on 127.0.0.1 with the template's rules, without certificates, HSTS and `Secure` in "
        "cookies",
        why="there is no load balancer",
    ),
    Substitution(
        name="servers",
        says="servers of a container listen on all of its addresses",
        here="if tasks share the loopback: only on 127.0.0.1, by a `sitecustomize.py` on PYTHONPATH; the "
        "container's host name is localhost",
        why="otherwise the local network could reach these servers",
    ),
    Substitution(
        name="metadata address",
        says="169.254.170.2",
        here="if tasks share the loopback: AWS_CONTAINER_CREDENTIALS_FULL_URI on 127.0.0.1",
        why="169.254.170.2 needs a network namespace",
    ),
    Substitution(
        name="resources",
        says="CPU, memory, ephemeral storage, Spot, platform version, processor",
        here="ignored",
        why="processes are not limited",
    ),
    Substitution(
        name="metrics",
        says="CloudWatch metrics and alarms, Application Auto Scaling",
        here="alarms, policies and scheduled actions work, with metrics of log lines, of `PutMetricData`, and CPU and "
        "memory of ECS services; other AWS services publish none; composite alarms and anomaly detection do not work",
        why="a scaling policy can then be tried locally; load balancer and stores are not AWS's",
    ),
    Substitution(
        name="network",
        says="security groups, subnets, routes, endpoints",
        here="created and described by the API; every task can connect to every other",
        why="there is no VPC",
    ),
    Substitution(
        name="functions of CDK",
        says="CDK's functions that upload a folder, empty a bucket or restrict a default security group",
        here="the API does the same; any other function that is not in Python stops the run",
        why="there is no Lambda; this library's functions run unchanged",
    ),
    Substitution(
        name="internet",
        says="a NAT gateway",
        here="no internet access in network namespaces; with `--shared`, that of the machine",
        why="internet access from a namespace would need changes to the machine's firewall",
    ),
    Substitution(
        name="stop",
        says="a stop timeout of up to 120 seconds",
        here="the template's timeout if a task is stopped or replaced; 10 seconds if the cluster is stopped",
        why="Ctrl-C must not take two minutes",
    ),
)
"""All differences, in the order in which `--explain` prints them."""
