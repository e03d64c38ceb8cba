"""The agent's endpoint for task scale-in protection, `$ECS_AGENT_URI/task-protection/v1/state`.

Requests, responses and errors as in the ECS developer guide and in amazon-ecs-agent,
`ecs-agent/tmds/handlers/taskprotection/v1`.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

_CODE_INVALID = "InvalidParameterException"
_FIELDS = {"protectionenabled": bool, "expiresinminutes": int}
_NO_TASK = "Failed to find a task for the request"
_NO_ROLE = "Invalid Request: no task IAM role credentials available for task"


def is_protected(task: Any) -> bool:
    """Return whether a task of moto is protected now."""
    until = getattr(task, "protected_until", None)
    return until is not None and until > datetime.now(timezone.utc)


def no_task() -> tuple[int, Any]:
    """Return the response to an unknown container."""
    return 404, _error("ResourceNotFoundException", _NO_TASK)


def no_role(arn: str) -> tuple[int, Any]:
    """Return the response to a task without a task role."""
    return 403, _error("AccessDeniedException", _NO_ROLE, arn)


def answer(ecs: Any, arn: str, method: str, body: bytes) -> tuple[int, Any]:
    """Return status and body of one request; *ecs* is an ECS client with the credentials of the task role."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 (of the extra [local])

    task = {"cluster": arn.split("/")[1], "tasks": [arn]}
    try:
        if method == "PUT":
            request, reason = _request(body)
            if reason:
                return 400, _error(_CODE_INVALID, reason, arn)
            found = ecs.update_task_protection(**task, **request)
        else:
            found = ecs.get_task_protection(**task)
    except ClientError as error:
        detail, meta = error.response["Error"], error.response["ResponseMetadata"]
        failed = _error(detail["Code"], detail["Message"], arn)
        return meta["HTTPStatusCode"], {"requestID": meta.get("RequestId", ""), **failed}
    if found["failures"]:
        (failure,) = found["failures"]
        return 200, {"failure": {"Arn": failure["arn"], "Detail": failure.get("detail"), "Reason": failure["reason"]}}
    (protected,) = found["protectedTasks"]
    expires = protected.get("expirationDate")
    return 200, {
        "protection": {
            "ExpirationDate": expires and expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ProtectionEnabled": protected["protectionEnabled"],
            "TaskArn": protected["taskArn"],
        }
    }


def _request(body: bytes) -> tuple[dict[str, Any], str]:
    """Return the arguments of UpdateTaskProtection, or why the body is invalid. Names ignore case, as in Go."""
    undecoded = "UpdateTaskProtection: failed to decode request"
    try:
        given = {name.lower(): value for name, value in json.loads(body).items() if value is not None}
    except (ValueError, AttributeError):
        return {}, undecoded
    if any(type(value) is not _FIELDS.get(name) for name, value in given.items()):
        return {}, undecoded
    if "protectionenabled" not in given:
        return {}, "Invalid request: does not contain 'ProtectionEnabled' field"
    minutes = {"expiresInMinutes": given["expiresinminutes"]} if "expiresinminutes" in given else {}
    return {"protectionEnabled": given["protectionenabled"], **minutes}, ""


def _error(code: str, message: str, arn: str = "") -> dict[str, Any]:
    return {"error": {**({"Arn": arn} if arn else {}), "Code": code, "Message": message}}
