"""Renders a template as compose.yaml."""
