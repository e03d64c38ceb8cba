"""ECS agent of the local runner: runs containers as local processes."""
