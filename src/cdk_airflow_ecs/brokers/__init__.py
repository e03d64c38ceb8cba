"""Brokers: what carries Celery's commands to its workers."""
