#!/usr/bin/env python3
"""A replacement for Docker: appends each call as a line of JSON to the file BUILDER_LOG, and builds nothing."""

import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Handle a call as a Docker without local images does."""
    call = {"arguments": arguments}
    if arguments[0] == "build":
        # The last argument of `docker build` is the build context.
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
