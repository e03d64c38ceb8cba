"""Runs services and tasks as the ECS agent would: containers are processes of this machine."""
