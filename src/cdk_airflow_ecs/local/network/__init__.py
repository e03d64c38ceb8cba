"""Addresses, load balancer and TLS of the local runner."""
