"""Stores of task logs, and routers of container output."""
