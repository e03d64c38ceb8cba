"""Runs a Lambda handler with the event from standard input; prints the response as first line, then the output."""

import contextlib
import importlib
import io
import json
import os
import sys
import time


class Context:
    """The handler's `context` argument."""

    def __init__(self) -> None:
        self.invoked_function_arn = os.environ["EMULATED_ARN"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.aws_request_id = "00000000-0000-0000-0000-000000000000"
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "emulated"
        self.deadline = time.monotonic() + float(os.environ["EMULATED_SECONDS"])

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function's timeout."""
        return int(1000 * (self.deadline - time.monotonic()))


def main() -> None:
    """Run the handler; print its response and its output."""
    sys.path.insert(0, sys.argv[1])
    context = Context()
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(float(seconds), 0.2))  # the emulator is faster than AWS
    printed = io.StringIO()
    module, _, function = os.environ["EMULATED_HANDLER"].rpartition(".")
    with contextlib.redirect_stdout(printed):
        answer = getattr(importlib.import_module(module), function)(json.load(sys.stdin), context)
    print(json.dumps(answer))
    print(printed.getvalue())


main()
