"""CloudWatch log streams of one component."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStreams:
    """Log streams of one component's containers, named ``prefix/container/task``. *group_arn* has no final ":*"."""

    group: str
    group_arn: str
    region: str
    prefix: str

    @property
    def arn(self) -> str:
        """The ARN of all the component's streams, for IAM."""
        return f"{self.group_arn}:log-stream:{self.prefix}/*"

    def arn_of(self, container: str) -> str:
        """Return the ARN of the streams of *container*, for IAM."""
        return f"{self.group_arn}:log-stream:{self.prefix}/{container}/*"
