"""Pytest puts the folder of a conftest on the path, so every test below it can import ``servers``."""
