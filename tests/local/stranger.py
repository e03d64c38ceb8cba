"""Sends requests to the local AWS API as another user of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection

# This program uses only the standard library, because the system's Python runs it.
STRANGER = """
import sys, urllib.error, urllib.request
made_up = "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
tries = [("secretsmanager", "secretsmanager.ListSecrets"), ("ecs", "AmazonEC2ContainerServiceV20141113.RunTask")]
requests = []
for url in sys.argv[2:]:
    for service, target in tries:
        for key in ("", "AKIAIOSFODNN7EXAMPLE", sys.argv[1]):
            headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
            if key:
                headers["Authorization"] = made_up.format(key, service)
            requests.append(urllib.request.Request(url, b"{}", headers))
    own = ["/_emulator/" + name for name in ("calls", "plans", "answers/x")]
    for path in ("/", "/moto-api/data.json", "/bucket/key", *own):
        requests += [urllib.request.Request(url + path), urllib.request.Request(url + path, b"{}", method="PUT")]
for request in requests:
    try:
        answer = urllib.request.urlopen(request, timeout=10)
        print("GOT", answer.status, request.full_url, answer.read(200))
    except urllib.error.HTTPError as error:
        print(error.code)
    except OSError as error:
        print("none", error)
"""


def ask_as_another_user(key: str, urls: Collection[str]) -> list[str]:
    """Send 18 requests to each URL as `nobody`, with the id of the run's key.

    Return one line per request, which begins with an HTTP status, "none" (no response) or "GOT" (success).
    """
    words = [shutil.which("python3", path="/usr/bin:/usr/local/bin"), "-I", "-c", STRANGER, key, *urls]
    done = subprocess.run(words, user="nobody", group="nogroup", capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.splitlines()
