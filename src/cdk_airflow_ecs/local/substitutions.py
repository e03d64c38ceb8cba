"""What differs here from what the template says: each by name, with its reason; nothing else may."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """One difference.

    Args:
        name: what it is called.
        says: what the template says.
        here: what is done instead.
        why: the reason.
    """

    name: str
    says: str
    here: str
    why: str


SUBSTITUTIONS = (
    Substitution(
        name="image",
        says="a container image",
        here="a Python environment with that Airflow, and the image's requirements, DAGs and plugins",
        why="there is no Docker",
    ),
    Substitution(
        name="entry point",
        says="/usr/bin/dumb-init -- /entrypoint",
        here="the command alone; a signal goes where dumb-init would send it",
        why="there is no image; the official script would do no more (CONNECTION_CHECK_MAX_COUNT=0)",
    ),
    Substitution(
        name="home",
        says="/opt/airflow",
        here="a folder of its own for each container, in its environment and command too; in Airflow 2 a worker reads "
        "its DAG files from S3 and then loads the DAG processor's copy, whose path is in the database",
        why="the root of the file system is shared",
    ),
    Substitution(
        name="temporary files",
        says="/tmp",  # noqa: S108  # no file, but the name of one
        here="TMPDIR: a folder of its own for each container",
        why="the root of the file system is shared",
    ),
    Substitution(
        name="aws",
        says="the AWS API, an account and a region",
        here="AWS_ENDPOINT_URL: the API on this machine, account 123456789012, the template's region or us-east-1",
        why="there is no account; permissions are recorded, not enforced",
    ),
    Substitution(
        name="certificates",
        says="certificates of Amazon",
        here="SSL_CERT_FILE, REQUESTS_CA_BUNDLE and AWS_CA_BUNDLE: what this machine trusts, and an authority of ours",
        why="the local stores have certificates of that authority; TLS stays on",
    ),
    Substitution(
        name="database",
        says="AWS::RDS::DBInstance or AWS::RDS::DBCluster",
        here="PostgreSQL of this machine or embedded, one server, whatever version and size",
        why="there is no RDS",
    ),
    Substitution(
        name="cache",
        says="AWS::ElastiCache::ReplicationGroup",
        here="Redis of this machine or embedded, one server, with the template's TLS and AUTH",
        why="there is no ElastiCache",
    ),
    Substitution(
        name="health check pace",
        says="a health check's interval",
        here="every 2 seconds until the first success, then the interval",
        why="nobody waits 30 seconds to learn what is true after 10",
    ),
    Substitution(
        name="log router",
        says="a container with a FireLens configuration",
        here="not run; what containers print is in `airflow-ecs local logs`",
        why="there is no Fluent Bit",
    ),
    Substitution(
        name="sidecars",
        says="a container that is not essential, with an image that cannot run here",
        here="not run, and named; containers that wait for it do not wait; `--image NAME=DIR` runs it",
        why="there is no Docker",
    ),
    Substitution(
        name="extras",
        says="apache/airflow:X.Y.Z, with all extras of the official image",
        here="those that a cluster needs; `--extras google,pandas` adds others, and an import that fails names them",
        why="all of them take 2.6 GB and minutes, the needed ones 0.5 GB",
    ),
    Substitution(
        name="volumes",
        says="EFS file systems and their mounts",
        here="described by the API and not mounted; a container's store is in the state directory",
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
        here="where tasks share the loopback: on 127.0.0.1 only, by a `sitecustomize.py` on PYTHONPATH; the "
        "container's host name is localhost",
        why="all addresses would be those of this machine, which the local network reaches",
    ),
    Substitution(
        name="metadata address",
        says="169.254.170.2",
        here="where tasks share the loopback: AWS_CONTAINER_CREDENTIALS_FULL_URI on 127.0.0.1",
        why="that address cannot be had without a network namespace",
    ),
    Substitution(
        name="resources",
        says="CPU, memory, ephemeral storage, Spot, platform version, processor",
        here="no limit, one machine",
        why="processes are not confined",
    ),
    Substitution(
        name="network",
        says="security groups, subnets, routes, endpoints",
        here="made and described by the API; every task reaches every other",
        why="there is no VPC",
    ),
    Substitution(
        name="functions of CDK",
        says="functions of CDK's own, which upload a folder, empty a bucket or restrict a default security group",
        here="what they do, done by the API; any other function that is not in Python stops the run",
        why="there is no Lambda; the functions of this library run as they ship",
    ),
    Substitution(
        name="internet",
        says="a NAT gateway",
        here="in network namespaces, no way out of this machine; with `--shared`, this machine's own",
        why="a way out would change the firewall of this machine",
    ),
    Substitution(
        name="stop",
        says="a stop timeout of up to 120 seconds",
        here="the template's when a task is stopped or replaced; 10 seconds when the whole cluster goes down",
        why="who presses Ctrl-C does not wait two minutes",
    ),
)
"""Every difference, in the order in which `--explain` prints them."""
