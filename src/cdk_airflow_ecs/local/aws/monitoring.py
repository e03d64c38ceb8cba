"""Topics, alarms, dashboards, scaling and event rules."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from .resources import Resource


class Topic(Resource):
    type = "AWS::SNS::Topic"
    service = "sns"
    fixed = {"TopicName", "FifoTopic"}
    renames = {"TopicName": "Name"}
    name = ("TopicName", 256)
    deletes = "delete_topic"
    key = "TopicArn"

    def create(self, unique, p):
        p = self.named(unique, p)
        tags = {"Tags": p.pop("Tags")} if "Tags" in p else {}
        name = p.pop("TopicName")
        return self.call("create_topic", {"TopicName": name, "Attributes": p, **tags})["TopicArn"]

    def attribute(self, physical_id, name):
        return {"TopicArn": physical_id, "TopicName": physical_id.rsplit(":", 1)[-1]}[name]


class TopicPolicy(Resource):
    type = "AWS::SNS::TopicPolicy"
    service = "sns"

    def create(self, unique, p):
        for topic in p["Topics"]:
            policy = {"AttributeName": "Policy", "AttributeValue": p["PolicyDocument"]}
            self.call("set_topic_attributes", {"TopicArn": topic, **policy})
        return unique

    def delete(self, physical_id, p):
        """Do nothing: the policy is deleted with its topic."""


class Alarm(Resource):
    type = "AWS::CloudWatch::Alarm"
    service = "cloudwatch"
    fixed = {"AlarmName"}
    name = ("AlarmName", 255)
    deletes = "delete_alarms"
    key = "AlarmNames"
    describes = ("describe_alarms", "AlarmNames", "MetricAlarms[0]")
    attributes = {"Arn": "AlarmArn"}

    def create(self, unique, p):
        p = self.named(unique, p)
        self.call("put_metric_alarm", p)
        return p["AlarmName"]

    def update(self, physical_id, p, old):
        self.call("put_metric_alarm", {"AlarmName": physical_id, **p})
        return physical_id


class Dashboard(Resource):
    type = "AWS::CloudWatch::Dashboard"
    service = "cloudwatch"
    fixed = {"DashboardName"}
    name = ("DashboardName", 255)
    deletes = "delete_dashboards"
    key = "DashboardNames"

    def create(self, unique, p):
        p = self.named(unique, p)
        self.call("put_dashboard", p)
        return p["DashboardName"]

    def update(self, physical_id, p, old):
        self.call("put_dashboard", {"DashboardName": physical_id, **p})
        return physical_id


class ScalableTarget(Resource):
    type = "AWS::ApplicationAutoScaling::ScalableTarget"
    service = "application-autoscaling"
    fixed = {"ResourceId", "ScalableDimension", "ServiceNamespace"}

    def create(self, unique, p):
        actions, where = p.pop("ScheduledActions", []), {name: p[name] for name in self.fixed}
        self.call("register_scalable_target", p)
        for action in actions:
            self.call("put_scheduled_action", {**where, **action})
        return "|".join(p[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))

    def update(self, physical_id, p, old):
        kept = {action["ScheduledActionName"] for action in p.get("ScheduledActions", [])}
        for action in old.get("ScheduledActions", []):
            if action["ScheduledActionName"] not in kept:
                where = {name: p[name] for name in self.fixed}
                self.api.delete_scheduled_action(**where, ScheduledActionName=action["ScheduledActionName"])
        return self.create("", p)

    def delete(self, physical_id, p):
        self.api.deregister_scalable_target(**{name: p[name] for name in self.fixed})


class ScalingPolicy(Resource):
    type = "AWS::ApplicationAutoScaling::ScalingPolicy"
    service = "application-autoscaling"
    fixed = {"PolicyName", "ScalingTargetId", "ResourceId", "ScalableDimension", "ServiceNamespace"}

    def _target(self, p):
        names = ("ResourceId", "ScalableDimension", "ServiceNamespace")
        values = p["ScalingTargetId"].split("|") if "ScalingTargetId" in p else [p[name] for name in names]
        return dict(zip(names, values, strict=True))

    def create(self, unique, p):
        rest = {name: value for name, value in p.items() if name != "ScalingTargetId"}
        return self.call("put_scaling_policy", {**rest, **self._target(p)})["PolicyARN"]

    def update(self, physical_id, p, old):
        return self.create("", p)

    def delete(self, physical_id, p):
        self.api.delete_scaling_policy(PolicyName=p["PolicyName"], **self._target(p))


class Rule(Resource):
    type = "AWS::Events::Rule"
    service = "events"
    fixed = {"Name", "EventBusName"}
    name = ("Name", 64)
    describes = ("describe_rule", "Name", "@")
    attributes = {"Arn": "Arn"}

    def create(self, unique, p):
        p = self.named(unique, p)
        targets = p.pop("Targets", [])
        self.call("put_rule", p)
        if targets:
            self.call("put_targets", {"Rule": p["Name"], "Targets": targets})
        return p["Name"]

    def update(self, physical_id, p, old):
        return self.create("", {"Name": physical_id, **p})

    def delete(self, physical_id, p):
        targets = [target["Id"] for target in p.get("Targets", [])]
        if targets:
            self.client("events").remove_targets(Rule=physical_id, Ids=targets)
        self.api.delete_rule(Name=physical_id)


class MetricFilter(Resource):
    type = "AWS::Logs::MetricFilter"
    service = "logs"
    fixed = {"FilterName", "LogGroupName"}
    name = ("FilterName", 512)

    def create(self, unique, p):
        p = self.named(unique, p)
        self.call("put_metric_filter", p)
        return p["FilterName"]

    def update(self, physical_id, p, old):
        return self.create("", {"FilterName": physical_id, **p})

    def delete(self, physical_id, p):
        self.api.delete_metric_filter(filterName=physical_id, logGroupName=p["LogGroupName"])


class Subscription(Resource):
    type = "AWS::SNS::Subscription"
    service = "sns"
    fixed = {"TopicArn", "Protocol", "Endpoint"}
    deletes = "unsubscribe"
    key = "SubscriptionArn"

    def create(self, unique, p):
        main = {name: p.pop(name) for name in ("TopicArn", "Protocol", "Endpoint") if name in p}
        return self.call("subscribe", {**main, "Attributes": p, "ReturnSubscriptionArn": True})["SubscriptionArn"]
