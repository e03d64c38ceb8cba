"""Celery brokers."""
