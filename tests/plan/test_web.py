"""The web component and its load balancer: clients, ports and base URL."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from plans import TEXT_TOKEN, containers, option, plan, settings_of

from cdk_airflow_ecs import AirflowVersion, Web
from cdk_airflow_ecs.plan import Ref

CERTIFICATE = SimpleNamespace(certificate_arn="arn:aws:acm:eu-central-1:123456789012:certificate/1")
ZONE = SimpleNamespace(hosted_zone_id="Z1")
PEER = SimpleNamespace(can_inline_rule=True)
PUBLIC = {"internet_facing": True, "allow_from": ["10.0.0.0/8"]}


def zone(name: str):
    """Return a stand-in for a hosted zone with a known name."""
    return SimpleNamespace(hosted_zone_id="Z1", zone_name=name)


@pytest.mark.parametrize(("web", "ports"), [(Web(), {80}), (Web(certificate=CERTIFICATE), {80, 443})])
def test_clients_reach_only_the_load_balancer(web, ports):
    """If the load balancer has HTTPS, port 80 redirects to port 443."""
    edges = plan(web=web).edges
    assert {edge.port for edge in edges if edge.source == "Clients"} == ports
    assert {edge.target for edge in edges if edge.source == "Clients"} == {"Web"}
    assert [(edge.source, edge.port) for edge in edges if edge.target == "ApiServer"] == [
        ("Pools/default", 8081),
        ("Web", 8080),
    ]


def test_cookies_of_airflow_2_are_secure_with_https():
    """Without a certificate, cookies of Airflow 2 are not secure, so that the sign-in works over HTTP."""
    for web, secure in ((Web(), "False"), (Web(certificate=CERTIFICATE), "True")):
        webserver = containers(plan("2.11", web=web))["webserver"]
        assert option(webserver, "webserver", "cookie_secure") == secure
        assert option(webserver, "webserver", "enable_proxy_fix") == "True"


@pytest.mark.parametrize(("version", "secure"), [("3.0", None), ("3.1", "True"), ("3.2", "True"), ("3.3", "True")])
def test_cookies_of_airflow_3_are_secure_with_https(version, secure):
    """The FAB provider of Airflow 3.0 has no option for secure cookies."""
    found = containers(plan(version, web=Web(certificate=CERTIFICATE)))
    assert option(found["api-server"], "fab", "cookie_secure") == secure
    assert option(found["execution-api"], "fab", "cookie_secure") is None
    assert option(found["scheduler"], "fab", "cookie_secure") is None
    assert option(containers(plan(version))["api-server"], "fab", "cookie_secure") is None


@pytest.mark.parametrize(
    ("web", "has_name"),
    [
        (Web(), False),
        (Web(domain_name="airflow.example.com"), True),
        (Web(base_url="https://airflow.example.com"), True),
        (Web(internet_facing=True, certificate=CERTIFICATE, allow_from=["10.0.0.0/8"]), True),
    ],
)
def test_airflow_3_has_a_base_url_only_if_all_clients_can_use_it(web, has_name):
    """Airflow 2 always needs a base URL."""
    url = Ref("Web", "url") if has_name else None
    assert option(containers(plan("3.3", web=web))["api-server"], "api", "base_url") == url
    assert option(containers(plan("2.11", web=web))["webserver"], "webserver", "base_url") == Ref("Web", "url")


def test_a_certificate_without_a_domain_name_gives_a_warning():
    """A certificate without domain_name= gives a warning."""
    (advice,) = settings_of(version=AirflowVersion.V3_3, web=Web(certificate=CERTIFICATE)).advice
    assert advice.id == "cdk-airflow-ecs:certificate-without-domain-name"
    assert Web(certificate=CERTIFICATE, domain_name="airflow.example.com", hosted_zone=ZONE).advice() == []


@pytest.mark.parametrize("name", ["example.com", "a.example.com", "A.Example.com.", TEXT_TOKEN])
def test_a_domain_name_must_be_in_its_hosted_zone(name):
    """The name of the zone itself, and tokens, are accepted."""
    domain_name = "a.example.com"
    assert Web(domain_name=domain_name, hosted_zone=zone(name)).domain_name == domain_name
    assert Web(domain_name=TEXT_TOKEN, hosted_zone=zone(name)).domain_name == TEXT_TOKEN


def test_allow_from_may_be_any_sequence():
    """allow_from= accepts lists, tuples and generators."""
    clients = ("10.8.0.0/16", "2001:db8::/32", TEXT_TOKEN, PEER)
    assert Web(allow_from=list(clients)).allow_from == clients
    assert Web(allow_from=(client for client in clients)).allow_from == clients


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"internet_facing": True}, "plain text. Pass certificate=…, or allow_insecure_http=True"),
        ({"internet_facing": True, "certificate": CERTIFICATE}, r"requires allow_from=\[…\]"),
        ({"internet_facing": "yes"}, "internet_facing .*True or False, got 'yes'"),
        ({"allow_insecure_http": True}, "allow_insecure_http=True requires internet_facing=True without certificate="),
        ({**PUBLIC, "certificate": CERTIFICATE, "allow_insecure_http": True}, "allow_insecure_http=True requires"),
        ({"allow_insecure_http": 1}, "allow_insecure_http .*True or False, got 1"),
        ({"certificate": "arn:aws:acm:…"}, r"certificate must be an acm\.ICertificate, such as .*from_certificate_arn"),
        ({"certificate": Web}, "the class Web"),
        ({"hosted_zone": ZONE}, "hosted_zone= requires domain_name="),
        ({"hosted_zone": zone("example.com"), "domain_name": "notexample.com"}, "'notexample.com' is not in the zone"),
        (
            {"hosted_zone": zone("a.example.com"), "domain_name": "example.com"},
            "the zone 'a.example.com' of hosted_zone=",
        ),
        ({"hosted_zone": "example.com", "domain_name": "a.example.com"}, r"must be a route53\.IHostedZone"),
        ({"domain_name": "https://a.example.com"}, "domain_name must be a host name without"),
        ({"domain_name": ""}, "domain_name must be text"),
        ({"base_url": "airflow.example.com"}, "base_url must be a URL"),
        ({"base_url": ""}, "base_url must be text"),
        ({"base_url": "https://example.com/airflow/"}, "base_url must not have a path, got '/airflow': .* host name"),
        ({"allow_from": "10.0.0.0/8"}, "allow_from .*a list such as"),
        ({"allow_from": ["10.0.0.1/8"]}, r"'10\.0\.0\.1/8' is not a CIDR block .*has host bits set"),
        ({"allow_from": ["10.0.0.0/33"]}, r"'10\.0\.0\.0/33' is not a CIDR block"),
        ({"allow_from": [""]}, "'' is not a CIDR block"),
        ({"allow_from": [8080]}, "allow_from must be CIDR blocks .* and CDK peers .*, got 8080"),
        ({"allow_from": [None]}, "allow_from must be CIDR blocks .* and CDK peers .*, got None"),
    ],
)
def test_contradictory_and_overly_open_arguments_of_web_are_rejected(arguments, words):
    """Contradictory and overly open arguments raise an error."""
    with pytest.raises(ValueError, match=words) as caught:
        Web(**arguments)
    assert str(caught.value).startswith("Web")


def test_the_trailing_slash_of_a_base_url_is_removed():
    """Airflow 2 rejects a base URL with a trailing slash."""
    assert Web(base_url="https://airflow.example.com/").base_url == "https://airflow.example.com"


@pytest.mark.parametrize("section", ["api", "webserver"])
def test_a_base_url_option_with_a_path_is_rejected(section):
    """A base URL in config= must not have a path."""
    with pytest.raises(ValueError, match=rf"\[{section}\] base_url by config= must not have a path, got '/airflow': "):
        plan("3.3", config={section: {"base_url": "https://example.com/airflow"}})
    for url in ("https://airflow.example.com", "https://airflow.example.com/", TEXT_TOKEN):
        assert plan("3.3", config={section: {"base_url": url}})
