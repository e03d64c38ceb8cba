"""The program of the emulator's process: the AWS API on loopback, which tests can control by requests."""

import json
import signal
import sys
from typing import Any

from cdk_airflow_ecs.local.aws import app, gaps, web
from cdk_airflow_ecs.local.aws.account import Account

from . import rehearsal


def main() -> None:
    """Serve on a free port, and print the API's address and key as the first line."""
    account = Account()
    agent = rehearsal.Agent(account)

    def hook(path: str, body: bytes) -> Any:
        if path == "plans":
            agent.plans[:] = json.loads(body)
        if path == "clock":
            account.function_seconds = json.loads(body)
        if path == "zone":
            web.hosted_zone(account, *json.loads(body))
        return {"ran": agent.ran}

    gaps.fill(account, agent.start)
    rehearsal.steady_services()
    api = app.Api(app.Application(account, hook))
    print(json.dumps([account.url, account.key.id, account.key.secret]), flush=True)
    api.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    api.stop()


if __name__ == "__main__":
    sys.exit(main())
