"""Runs a Lambda handler once: the event comes on standard input, the answer is the last line to go out first."""

import contextlib
import importlib
import io
import json
import os
import sys
import time


class Context:
    """What the handler gets as its second argument."""

    def __init__(self) -> None:
        self.invoked_function_arn = os.environ["EMULATED_ARN"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.aws_request_id = "00000000-0000-0000-0000-000000000000"
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "emulated"
        self.deadline = time.monotonic() + float(os.environ["EMULATED_SECONDS"])

    def get_remaining_time_in_millis(self) -> int:
        """The time that is left of the function's timeout."""
        return int(1000 * (self.deadline - time.monotonic()))


def main() -> None:
    """Loads the handler, calls it and prints its answer, then what it printed."""
    sys.path.insert(0, sys.argv[1])
    context = Context()
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(float(seconds), 0.2))  # nothing here takes as long as it does on AWS
    printed = io.StringIO()
    module, _, function = os.environ["EMULATED_HANDLER"].rpartition(".")
    with contextlib.redirect_stdout(printed):
        answer = getattr(importlib.import_module(module), function)(json.load(sys.stdin), context)
    print(json.dumps(answer))
    print(printed.getvalue())


main()
