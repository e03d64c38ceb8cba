"""Log streams of one component in CloudWatch Logs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStreams:
    """The log streams that the containers of one component write, each named ``prefix/container/task``.

    Args:
        group: the name of the log group.
        group_arn: the ARN of the log group without the ":*" at its end, after which no stream can be named.
        region: the region of the log group.
        prefix: the first part of the names.
    """

    group: str
    group_arn: str
    region: str
    prefix: str

    @property
    def arn(self) -> str:
        """The ARN of all of them, for IAM."""
        return f"{self.group_arn}:log-stream:{self.prefix}/*"

    def arn_of(self, container: str) -> str:
        """Return the ARN of those that *container* writes, for IAM."""
        return f"{self.group_arn}:log-stream:{self.prefix}/{container}/*"
