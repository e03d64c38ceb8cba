"""Writes the same template as a compose.yaml."""
