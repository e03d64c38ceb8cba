"""Metadata databases."""
