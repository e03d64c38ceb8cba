"""Settings of the access to Airflow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.limits import check_clients
from cdk_airflow_ecs.network import peers
from cdk_airflow_ecs.option_names import read_as
from cdk_airflow_ecs.ports import WEB_PORT
from cdk_airflow_ecs.subnets import check_subnets
from cdk_airflow_ecs.tokens import is_token
from cdk_airflow_ecs.web.base_url import check_base_url
from cdk_airflow_ecs.web.listeners import listen
from cdk_airflow_ecs.web.load_balancer import filter_requests, load_balancer

if TYPE_CHECKING:
    from aws_cdk import aws_certificatemanager as acm
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_elasticloadbalancingv2 as elb
    from aws_cdk import aws_route53 as route53
    from aws_cdk import aws_wafv2 as wafv2
    from constructs import Construct

    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.option_owner import UserOptions
    from cdk_airflow_ecs.plan import Option, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Web(ClusterResource):
    """Access to Airflow's UI and public API through a load balancer.

    Args:
        certificate: certificate for HTTPS on port 443, to which port 80 redirects. Without it, the load balancer uses
            HTTP, only inside the VPC.
        domain_name: domain name of the certificate. The default is the load balancer's name, which no certificate
            covers.
        hosted_zone: zone for an alias record of *domain_name*. The default is no record.
        internet_facing: whether the load balancer has public addresses. Requires *certificate* and *allow_from*.
        allow_from: CIDR blocks such as "10.8.0.0/16", or CDK peers, that can connect. The default is the VPC.
        allow_insecure_http: allow an internet-facing load balancer without a certificate.
        base_url: base URL of Airflow's links behind your own proxy, without a path.
        web_acl: regional web ACL of AWS WAF, as ARN or ``wafv2.CfnWebACL``, for example to limit sign-ins at
            ``/auth/token``.
        deletion_protection: whether AWS prevents deletion of the load balancer. The default is False, because failed
            first deploys would leave it behind.

    Raises:
        ValueError: if arguments are incompatible.

    Examples:
        >>> Web(allow_from=["10.8.0.0/16"]).internet_facing
        False
    """

    certificate: acm.ICertificate | None = None
    domain_name: str | None = None
    hosted_zone: route53.IHostedZone | None = None
    internet_facing: bool = False
    allow_from: Sequence[ec2.IPeer | str] | None = None
    allow_insecure_http: bool = False
    base_url: str | None = None
    web_acl: str | wafv2.CfnWebACL | None = None
    deletion_protection: bool = False

    def __post_init__(self) -> None:
        validation.construct(
            "Web certificate",
            self.certificate,
            "certificate_arn",
            "an acm.ICertificate, such as acm.Certificate.from_certificate_arn(…)",
        )
        validation.construct("Web hosted_zone", self.hosted_zone, "hosted_zone_id", "a route53.IHostedZone")
        validation.host("Web domain_name", self.domain_name)
        for name in ("internet_facing", "allow_insecure_http", "deletion_protection"):
            validation.flag(f"Web {name}", getattr(self, name))
        if self.allow_from is not None:
            object.__setattr__(
                self, "allow_from", validation.items("Web allow_from", self.allow_from, '["10.8.0.0/16"]')
            )
        if self.internet_facing and self.certificate is None and not self.allow_insecure_http:
            raise IncompatibleArgumentsError(
                "Web(internet_facing=True) would send passwords over the internet in plain text. Pass certificate=…,"
                " or allow_insecure_http=True"
            )
        if self.allow_insecure_http and not (self.internet_facing and self.certificate is None):
            raise IncompatibleArgumentsError(
                "Web allow_insecure_http=True requires internet_facing=True without certificate=, and has no effect"
                " otherwise. Omit it"
            )
        if self.internet_facing and self.allow_from is None:
            raise IncompatibleArgumentsError(
                "Web(internet_facing=True) requires allow_from=[…], such as the CIDR block of your office."
                ' ["0.0.0.0/0"] allows everyone'
            )
        for entry in self.allow_from or ():
            _check_client(entry)
        check_clients("Web allow_from", self.allow_from or (), ports=len(self.ports()))
        if self.hosted_zone is not None:
            if self.domain_name is None:
                raise IncompatibleArgumentsError("Web hosted_zone= requires domain_name=, the name of the record")
            _check_zone(self.domain_name, self.hosted_zone)
        _check_web_acl(self.web_acl)
        validation.text("Web base_url", self.base_url, "https://airflow.example.com")
        if self.base_url is not None and not is_token(self.base_url) and not re.match("https?://.", self.base_url):
            raise ValueError(
                f'Web base_url must be a URL such as "https://airflow.example.com", got'
                f" {validation.shown(self.base_url)}"
            )
        if self.base_url is not None and not is_token(self.base_url):
            # With a trailing slash, Airflow 2 does not start.
            object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
            check_base_url("Web base_url", self.base_url)

    @property
    def has_one_name(self) -> bool:
        """Whether all users reach Airflow at the same URL.

        Without a domain name, users reach an internal load balancer by its own name in the VPC, and as localhost
        through a tunnel. Airflow 3 redirects to its base URL after sign-in, so in this case it must use relative links.
        """
        return bool(self.base_url or self.domain_name or self.internet_facing)

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        section, server = ("api", "") if version.major >= 3 else ("webserver", "web_server_")
        return {
            "whose load balancer and health checks use it": {
                (section, f"{server}host"): "0.0.0.0",  # noqa: S104 - the security group admits only the load balancer
                (section, f"{server}port"): str(WEB_PORT),
            },
            "whose load balancer terminates TLS": {
                (section, f"{server}ssl_cert"): "",
                (section, f"{server}ssl_key"): "",
            },
        }

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """See :meth:`OptionOwner.check_options`."""
        for source, options in given:
            for (section, name), value in options.items():
                if read_as((section, name), version.line) == ("api", "base_url"):
                    check_base_url(f"[{section}] {name} by {source}", value)

    def advice(self) -> list[Advice]:
        """Return warnings about combinations of arguments."""
        if self.certificate is not None and self.domain_name is None and self.base_url is None:
            return [
                Advice(
                    "cdk-airflow-ecs:certificate-without-domain-name",
                    "browsers will reject the certificate, because it does not cover the load balancer's name. Pass"
                    " Web(domain_name=…), and hosted_zone= to create the record",
                )
            ]
        return []

    def ports(self) -> tuple[tuple[int, str], ...]:
        """Return the ports of the load balancer, with their descriptions."""
        if self.certificate is None:
            return ((80, "UI and public API"),)
        return ((443, "UI and public API"), (80, "Redirect to HTTPS"))

    def check(self, network: Network | None) -> None:
        """See :meth:`ClusterResource.check`."""
        # Source: Elastic Load Balancing user guide, "Application Load Balancers", "Subnets".
        check_subnets(network, "web_subnets", "the load balancer", zones=2, one_in_each=True)
        if network is not None and self.allow_from is None:
            try:
                peers(None, network.vpc)
            except RuntimeError:
                raise IncompatibleArgumentsError(
                    "Web allows the VPC's addresses by default, but vpc= has none. Pass vpc_cidr_block= to"
                    " ec2.Vpc.from_vpc_attributes(…), or web=Web(allow_from=[…])"
                ) from None

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        balancer = load_balancer(scope, context, internet_facing=self.internet_facing, clients=self._clients())
        if self.deletion_protection:
            balancer.set_attribute("deletion_protection.enabled", "true")
        if self.web_acl is not None:
            filter_requests(scope, balancer, self.web_acl)
        if self.hosted_zone is not None:
            from aws_cdk import aws_route53 as route53  # noqa: PLC0415 (slow to load, needed only here)
            from aws_cdk import aws_route53_targets as targets  # noqa: PLC0415

            route53.ARecord(
                scope,
                "Alias",
                zone=self.hosted_zone,
                # The final dot marks a complete name: CDK then does not need the zone's name, unknown for zones
                # imported by id.
                record_name=f"{self.domain_name}.",
                target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(balancer)),
            )
        scheme = "http" if self.certificate is None else "https"
        name = self.domain_name or balancer.load_balancer_dns_name
        return Binding(
            attributes={"url": self.base_url or f"{scheme}://{name}", "proxies": context.network.web_blocks},
            connectable=balancer,
            dependencies=[balancer],
        )

    def _clients(self) -> list[str] | None:
        if self.allow_from is None:
            return None
        return [entry if isinstance(entry, str) else entry.unique_id for entry in self.allow_from]

    def serve(
        self,
        scope: Construct,
        balancer: elb.ApplicationLoadBalancer,
        service: ecs.BaseService,
        *,
        health_path: str,
    ) -> elb.ApplicationTargetGroup:
        """Forward requests to *service*, except for its execution API. Return the target group."""
        return listen(
            scope,
            balancer,
            service,
            certificate=self.certificate,
            health_path=health_path,
            internet_facing=self.internet_facing,
        )


def _check_zone(domain_name: str, zone: route53.IHostedZone) -> None:
    try:
        parent = getattr(zone, "zone_name", domain_name)
    except RuntimeError:  # a zone imported by id has no name
        return
    known = not (is_token(domain_name) or is_token(parent))
    if known and not f".{domain_name}".lower().endswith(f".{parent.rstrip('.')}".lower()):
        raise IncompatibleArgumentsError(
            f"Web domain_name={validation.shown(domain_name)} is not in the zone"
            f" {validation.shown(parent)} of hosted_zone="
        )


def _check_web_acl(web_acl: object) -> None:
    if not isinstance(web_acl, str):
        takes = 'the ARN of a web ACL, such as "arn:aws:wafv2:…:regional/webacl/…", or a wafv2.CfnWebACL'
        validation.construct("Web web_acl", web_acl, "attr_arn", takes)
    elif not is_token(web_acl) and not re.fullmatch(r"arn:[^:]+:wafv2:[^:]+:\d+:regional/webacl/[^/]+/[^/]+", web_acl):
        hint = ": web ACLs of CloudFront are not supported by load balancers" if ":global/" in web_acl else ""
        raise ValueError(
            'Web web_acl must be the ARN of a regional web ACL, such as "arn:aws:wafv2:eu-west-1:123456789012:regional/'
            f'webacl/airflow/1a2b3c", got {validation.shown(web_acl)}{hint}'
        )


def _check_client(entry: object) -> None:
    if not isinstance(entry, str):
        takes = 'CIDR blocks such as "10.8.0.0/16" and CDK peers such as ec2.Peer.prefix_list(…)'
        validation.construct("Web allow_from", entry, "can_inline_rule", takes, required=True)
    elif not is_token(entry):
        try:
            ip_network(entry)
        except ValueError as error:
            given = validation.shown(entry)
            why = f" ({error})" if given == repr(entry) else ""
            raise ValueError(f'Web allow_from: {given} is not a CIDR block such as "10.8.0.0/16"{why}') from None
