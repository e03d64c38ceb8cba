#!/usr/bin/env python3
"""Stands in for Docker when the CDK's command line publishes images: writes down what it is asked, and builds nothing.

Each call becomes a line of JSON in the file that BUILDER_LOG names.
"""

import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Answer as Docker would in an engine that has no image yet."""
    call = {"arguments": arguments}
    if arguments[0] == "build":
        # Of a build the folder comes last.
        context = Path(arguments[-1]).resolve()
        call["files"] = {
            str(file.relative_to(context)): [file.read_text(), oct(file.stat().st_mode & 0o777)]
            for file in sorted(context.rglob("*"))
            if file.is_file()
        }
    if "--password-stdin" in arguments:
        call["logged_in"] = bool(sys.stdin.read())
    with open(os.environ["BUILDER_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(call) + "\n")
    return 1 if arguments[0] == "inspect" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
