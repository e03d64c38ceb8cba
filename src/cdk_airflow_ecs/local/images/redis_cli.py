"""A minimal redis-cli for health checks: sends one command, with the password from REDISCLI_AUTH."""

from __future__ import annotations

import os
import socket
import sys


def _encoded(words: list[str]) -> bytes:
    parts = [word.encode() for word in words]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)])


def main(arguments: list[str]) -> int:
    """Send one command and print the first line of the response."""
    host, port, words = "127.0.0.1", 6379, list(arguments)
    while words and words[0] in ("-h", "-p"):
        option, value, *words = words
        host, port = (value, port) if option == "-h" else (host, int(value))
    password = os.environ.get("REDISCLI_AUTH")
    try:
        with socket.create_connection((host, port), timeout=5) as client, client.makefile("rb") as answers:
            if password:
                client.sendall(_encoded(["AUTH", password]))
                answers.readline()
            client.sendall(_encoded(words or ["PING"]))
            answer = answers.readline().decode().strip()
    except OSError as error:
        print(f"Could not connect to Redis at {host}:{port}: {error}", file=sys.stderr)
        return 1
    print(answer[1:] if answer[:1] in ("+", ":") else answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
