"""Addresses, load balancer and TLS for tasks and stores on this machine."""
