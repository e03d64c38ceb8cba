"""Addresses, load balancer and TLS for tasks and stores of the local runner."""
