"""Settings for the clients of any Redis."""

from __future__ import annotations

from typing import Final

from cdk_airflow_ecs.brokers.base import BrokerPlan
from cdk_airflow_ecs.plan import Ref, SecretRef

# Airflow's default visibility timeout, one day.
VISIBILITY_TIMEOUT_SECONDS: Final = 86400
_BROKER_DATABASE: Final = 0
_RESULT_DATABASE: Final = 1
_OPTIONS: Final = "celery_broker_transport_options"


def redis_plan(
    port: int, *, tls: bool = True, visibility_timeout_seconds: int = VISIBILITY_TIMEOUT_SECONDS
) -> BrokerPlan:
    """Return the plan of a Redis that is broker and result backend. :class:`RedisBroker` explains the timeout."""
    return BrokerPlan(
        port=port,
        config={
            ("celery", "broker_url_cmd"): _url_command(_BROKER_DATABASE, tls=tls),
            ("celery", "result_backend_cmd"): _url_command(_RESULT_DATABASE, tls=tls),
            (_OPTIONS, "visibility_timeout"): str(visibility_timeout_seconds),
            # A worker must detect dead connections after a failover of the broker (celery#8030).
            (_OPTIONS, "socket_keepalive"): "True",
            (_OPTIONS, "socket_timeout"): "30",
            (_OPTIONS, "health_check_interval"): "30",
            (_OPTIONS, "retry_on_timeout"): "True",
        },
        environment={
            "BROKER_HOST": Ref("Broker", "host"),
            "BROKER_PORT": Ref("Broker", "port"),
            "BROKER_TOKEN": SecretRef("Broker", "token"),
        },
    )


def _url_command(database: int, *, tls: bool) -> str:
    """Return the command that prints the URL, which Airflow runs without a shell.

    Without ssl_cert_reqs, certificates would not be verified, and the result backend would not start (celery#5371).
    """
    scheme, query = ("rediss", "?ssl_cert_reqs=required") if tls else ("redis", "")
    return (
        'python3 -ISc "import os,urllib.parse as u;e=os.environ.get;'
        f"print('{scheme}://:'+u.quote(e('BROKER_TOKEN',''),'')+'@'+e('BROKER_HOST')+':'+e('BROKER_PORT')"
        f"+'/{database}{query}',end='')\""
    )
