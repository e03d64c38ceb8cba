"""Schedules of EventBridge Scheduler. They are created but never run a task: start it with ``aws ecs run-task``."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from .resources import Resource


class Schedule(Resource):
    type = "AWS::Scheduler::Schedule"
    service = "scheduler"
    fixed = {"Name"}
    name = ("Name", 64)
    deletes = "delete_schedule"
    key = "Name"
    describes = ("get_schedule", "Name", "@")
    attributes = {"Arn": "Arn"}

    def create(self, unique, p):
        p = self.named(unique, p)
        self.call("create_schedule", p)
        return p["Name"]

    def update(self, physical_id, p, old):
        self.call("update_schedule", {"Name": physical_id, **p})
        return physical_id
