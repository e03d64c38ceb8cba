"""Runs a synthesized template on this machine, with real Airflow; needs the extra `[local]`."""
