"""Runs a synthesized template locally with real Airflow; needs the extra `[local]`."""
