"""ECS agent of the local runner: runs the containers of services and tasks as local processes."""
