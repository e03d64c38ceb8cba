"""Cached durations, because creating one calls CDK's Node.js process."""

from __future__ import annotations

from functools import cache
from typing import Final

from aws_cdk import Duration

days: Final = cache(Duration.days)
seconds: Final = cache(Duration.seconds)
