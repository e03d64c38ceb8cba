"""Evaluates alarms, and changes desired counts of services by scaling policies and schedules."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.ecs.models import ecs_backends

from cdk_airflow_ecs.local.agent.description import title
from cdk_airflow_ecs.local.aws import autoscaling, metrics
from cdk_airflow_ecs.local.aws.account import Account
from cdk_airflow_ecs.local.scaling.alarms import ALARM, INSUFFICIENT_DATA, OK, Alarm, evaluate
from cdk_airflow_ecs.local.scaling.policies import (
    Activity,
    Capacity,
    StepPolicy,
    TargetTrackingPolicy,
    by_steps,
    by_target,
    within,
)

_PACE: Final = 1.0  # seconds
_LATENCY: Final = 5.0  # seconds to wait after the end of a period, because log events arrive late
_DIMENSION: Final = "ecs:service:DesiredCount"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """A desired count that a scaling policy decides, by its ARN."""

    desired: int
    cause: str
    cooldown: float
    policy: str = ""


@dataclass(kw_only=True)
class Scaler:
    """Evaluates alarms and scales services in the local API; *now* returns seconds since 1970."""

    account: Account
    say: Callable[[str, str], None]
    now: Callable[[], float] = time.time
    _evaluated: dict[str, float] = field(default_factory=dict)
    _values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)
    _limits: dict[str, tuple[int, int]] = field(default_factory=dict)
    _last: dict[str, Activity] = field(default_factory=dict)
    _checked: dict[str, float] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start evaluating and scaling in a background thread."""
        threading.Thread(target=self._follow, name="scaler", daemon=True).start()

    def stop(self) -> None:
        """Stop scaling."""
        self._over.set()

    def _follow(self) -> None:
        while not self._over.wait(_PACE):
            try:
                self.step()
            except Exception:  # retried at the next step
                logging.getLogger(__name__).exception("scaling")

    @property
    def _cloudwatch(self) -> Any:
        return cloudwatch_backends[self.account.id][self.account.region]

    @property
    def _autoscaling(self) -> Any:
        return applicationautoscaling_backends[self.account.id][self.account.region]

    @property
    def _targets(self) -> dict[str, Any]:
        return dict(self._autoscaling.targets.get(_DIMENSION, {}))

    def step(self) -> None:
        """Run due scheduled actions, apply changed limits, and evaluate due alarms."""
        now = self.now()
        self._run_schedules(now)
        for resource, target in self._targets.items():
            self._apply_limits(resource, target, now)
        decisions: dict[str, list[_Decision]] = {}
        for record in list(self._cloudwatch.alarms.values()):
            if record.rule is None:  # not a composite alarm
                try:
                    self._evaluate(record, now, decisions)
                except ValueError as error:
                    self._report(record.name, f"the alarm is not evaluated locally: {error}")
        for resource, found in decisions.items():
            decision = max(found, key=lambda decision: decision.desired)
            if not self._is_vetoed(resource, decision, {each.policy for each in found}):
                self._set(resource, decision, now)

    def _report(self, subject: str, text: str) -> None:
        if subject not in self._reported:
            self._reported.add(subject)
            self.say(subject, text)

    # Scheduled actions and limits

    def _run_schedules(self, now: float) -> None:
        due: list[tuple[datetime, Any]] = []
        for record in list(self._autoscaling.scheduled_actions):
            last = self._checked.setdefault(record.arn, now)
            self._checked[record.arn] = now
            try:
                next_time = autoscaling.schedule(record).after(datetime.fromtimestamp(last, timezone.utc))
            except ValueError as error:
                self._report(record.scheduled_action_name, f"the scheduled action does not run locally: {error}")
                continue
            if next_time and next_time.timestamp() <= now:
                due.append((next_time, record))
        for _, record in sorted(due, key=lambda each: each[0]):
            target = self._targets.get(record.resource_id)
            if target and not self._is_suspended(target, "ScheduledScalingSuspended"):
                action = record.scalable_target_action
                target.update(action.get("MinCapacity"), action.get("MaxCapacity"), None)
                self.say(record.scheduled_action_name, f"{target.min_capacity} to {target.max_capacity} tasks")

    def _apply_limits(self, resource: str, target: Any, now: float) -> None:
        limits = int(target.min_capacity or 0), int(target.max_capacity or 0)
        capacity = self._capacity(resource, target)
        if capacity is None or self._limits.get(resource) == limits:
            return
        self._limits[resource] = limits
        desired = within(capacity)
        if desired is not None:
            name = "minimum" if desired > capacity.desired else "maximum"
            self._set(
                resource, _Decision(desired=desired, cause=f"{name} capacity was set to {desired}", cooldown=0), now
            )

    # Alarms

    def _evaluate(self, record: Any, now: float, decisions: dict[str, list[_Decision]]) -> None:
        alarm = metrics.alarm(record)
        if record.name not in self._states:
            if not record.history:
                record.state_value = INSUFFICIENT_DATA  # moto sets OK
            self._states[record.name] = record.state_value
        is_set = record.state_value != self._states[record.name]  # SetAlarmState was called
        turn = (now - _LATENCY) // alarm.pace
        is_due = turn > self._evaluated.get(record.name, -1)
        if is_due and not is_set:
            self._evaluated[record.name] = turn
            found = evaluate(
                alarm, alarm.values(metrics.samples(self._cloudwatch), turn * alarm.pace), record.state_value
            )
            self._values[record.name] = found.values
            if found.state != record.state_value:
                record.update_state(_reason(alarm, found.values), "{}", found.state)
        old, self._states[record.name] = self._states[record.name], record.state_value
        if record.actions_enabled and old != record.state_value:
            self._notify(record, old)
        if record.actions_enabled and (is_due or is_set):
            self._act(record, alarm, now, decisions)

    def _notify(self, record: Any, old: str) -> None:
        """Publish a changed state to the alarm's topics."""
        for action in _actions(record):
            service = action.split(":")[2]
            if service == "sns":
                message = metrics.notification(record, old, self.account)
                self.account.client("sns").publish(TopicArn=action, **message)
            elif service != "autoscaling":
                self._report(record.name, f"the action {action} is not called locally")

    def _act(self, record: Any, alarm: Alarm, now: float, decisions: dict[str, list[_Decision]]) -> None:
        """Call the scaling policies for the alarm's state, at each evaluation and not only when the state changes."""
        policies = {policy.policy_arn: policy for policy in list(self._autoscaling.policies.values())}
        for action in _actions(record):
            policy = policies.get(action.partition(":createdBy/")[0])
            target = self._targets.get(policy.resource_id) if policy else None
            capacity = self._capacity(policy.resource_id, target) if policy and target else None
            if policy and capacity and self._values.get(record.name):
                decision = self._decide(policy, alarm, capacity, now)
                if decision and not self._is_blocked(policy.resource_id, target, decision.desired > capacity.desired):
                    decisions.setdefault(policy.resource_id, []).append(decision)

    def _decide(self, record: Any, alarm: Alarm, capacity: Capacity, now: float) -> _Decision | None:
        policy, last = autoscaling.policy(record), self._last.get(record.resource_id)
        values = self._values[alarm.name]
        if isinstance(policy, StepPolicy):
            value = policy.aggregate(values)
            desired = by_steps(policy, capacity, breach=value - alarm.threshold, last=last, now=now)
            cooldown = policy.cooldown
        else:
            value = values[-1]
            desired = by_target(policy, capacity, value=value, last=last, now=now)
            cooldown = policy.out_cooldown if value > policy.target else policy.in_cooldown
        if desired is None:
            return None
        name = next((query.metric.name for query in alarm.queries if query.is_returned and query.metric), alarm.name)
        return _Decision(desired=desired, cause=f"{name} is {value:g}", cooldown=cooldown, policy=record.policy_arn)

    # Services

    def _service(self, resource: str) -> Any:
        _, cluster, name = resource.split("/")
        return ecs_backends[self.account.id][self.account.region].services.get(f"{cluster}:{name}")

    def _capacity(self, resource: str, target: Any) -> Capacity | None:
        service = self._service(resource)
        return service and Capacity(
            desired=int(service.desired_count),
            running=int(service.running_count),
            least=int(target.min_capacity or 0),
            most=int(target.max_capacity or 0),
        )

    @staticmethod
    def _is_suspended(target: Any, name: str) -> bool:
        return bool((target.suspended_state or {}).get(name))

    def _is_blocked(self, resource: str, target: Any, is_out: bool) -> bool:
        """Return whether scaling is suspended, or a deployment in progress forbids scale-in."""
        if self._is_suspended(target, f"DynamicScaling{'Out' if is_out else 'In'}Suspended"):
            return True
        deployments = self._service(resource).deployments
        return not is_out and bool(deployments) and deployments[0].get("rolloutState") == "IN_PROGRESS"

    def _is_vetoed(self, resource: str, decision: _Decision, agreed: set[str]) -> bool:
        """Return whether a target tracking policy would scale in, and another one of the service has not decided to.

        Source: Application Auto Scaling user guide, "Multiple scaling policies".
        """
        records = [each for each in list(self._autoscaling.policies.values()) if each.resource_id == resource]
        tracking = {
            record.policy_arn
            for record in records
            if isinstance(policy := autoscaling.policy(record), TargetTrackingPolicy) and policy.scales_in
        }
        is_in = decision.desired < int(self._service(resource).desired_count)
        return is_in and decision.policy in tracking and not tracking <= agreed

    def _set(self, resource: str, decision: _Decision, now: float) -> None:
        service = self._service(resource)
        before = int(service.desired_count)
        self.account.client("ecs").update_service(
            cluster=service.cluster_name, service=service.name, desiredCount=decision.desired
        )
        if decision.cooldown:
            last = self._last.get(resource)
            is_continued = last and last.is_out and now < last.until and decision.desired > before
            base = last.before if last and is_continued else before
            self._last[resource] = Activity(until=now + decision.cooldown, before=base, after=decision.desired)
        autoscaling.activities(self._autoscaling).append(
            autoscaling.activity(resource, decision.desired, decision.cause, now)
        )
        ecs = ecs_backends[self.account.id][self.account.region]
        name = title(ecs.describe_task_definition(service.task_definition), service.name)
        self.say(name, f"{before} → {decision.desired} tasks: {decision.cause}")


def _actions(record: Any) -> list[str]:
    states = {ALARM: record.alarm_actions, OK: record.ok_actions, INSUFFICIENT_DATA: record.insufficient_data_actions}
    return list(states[record.state_value] or ())


def _reason(alarm: Alarm, values: tuple[float, ...]) -> str:
    if not values:
        return "Insufficient Data: no datapoints"
    return f"Threshold Crossed: {list(values)} compared with {alarm.comparison} {alarm.threshold}"
