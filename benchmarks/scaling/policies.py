"""Scaling policies: this library's, read from its template, and those of others."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cdk_airflow_ecs.local.scaling.alarms import ALARM, INSUFFICIENT_DATA, Alarm, evaluate
from cdk_airflow_ecs.local.scaling.metrics import Metric, Sample
from cdk_airflow_ecs.local.scaling.policies import (
    Activity,
    Capacity,
    TargetTrackingPolicy,
    by_steps,
    by_target,
)
from cdk_airflow_ecs.local.scaling.queries import Query
from scaling.assumptions import (
    ALARM_PACE,
    ECS_GRACE,
    HPA_PACE,
    HPA_STABILIZATION,
    KEDA_COOLDOWN,
    KEDA_GRACE,
    KEDA_POLL,
    METRIC_PERIOD,
    MWAA_DELAY,
    TRACKING_IN,
    TRACKING_LOW,
    TRACKING_OUT,
    Platform,
)
from scaling.pool import Pool, Process, Result, Shutdown
from scaling.template import QueuePolicy
from scaling.workloads import Workload

# Of the public designs in CDK and Terraform, some track 70 and some 80 % (fairflow-cdk, knowsuchagency/airflow-cdk).
CPU_TARGET: Final = 70
# The default of Application Auto Scaling for ECS, for both directions:
# docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html
TRACKING_COOLDOWN: Final = 300
# Seconds that a message may wait, of which the documentation derives the target of the backlog per task:
# docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking-metric-math.html
ACCEPTABLE_WAIT: Final = 300
# So that no metric is published in the second in which tasks arrive.
_OFFSET: Final = 7


@dataclass
class Series:
    """The recent samples of a metric, of which alarms see those older than *delay* seconds."""

    pool: Pool
    delay: float
    recent: deque[Sample] = field(default_factory=lambda: deque(maxlen=100))

    def add(self, value: float) -> None:
        """Publish a value."""
        self.recent.append(Sample.of(self.pool.env.now, value))

    def __call__(self, metric: Metric, unit: str) -> list[Sample]:
        """Return the visible samples, as a query's source."""
        return [sample for sample in self.recent if sample.at <= self.pool.env.now - self.delay]


@dataclass
class Target:
    """A scalable target: the pool, its limits, and its last scaling activity."""

    pool: Pool
    least: int
    most: int
    last: Activity | None = None

    @property
    def capacity(self) -> Capacity:
        """The present capacity."""
        return Capacity(desired=self.pool.desired, running=self.pool.ready, least=self.least, most=self.most)

    def set(self, desired: int | None, cooldown: float) -> None:
        """Change the desired count, unless it is None."""
        if desired is None:
            return
        now, last, before = self.pool.env.now, self.last, self.pool.desired
        is_continued = last and last.is_out and now < last.until and desired > before
        base = last.before if last and is_continued else before
        self.last = Activity(until=now + cooldown, before=base, after=desired)
        self.pool.scale(desired)


def queue_scaling(workload: Workload, policy: QueuePolicy, platform: Platform) -> Result:
    """Simulate QueueScaling."""
    shutdown = Shutdown(
        is_protected=True,
        can_be_refused=True,
        notice=policy.protection["PACE"],
        idle=policy.protection["IDLE"],
        retry=policy.protection["LONGEST"],
        grace=policy.grace,
    )
    pool = Pool(
        workload,
        slots=policy.slots,
        start=platform.start,
        shutdown=shutdown,
        count=policy.least,
        parallelism=policy.parallelism,
        stop_delay=platform.stop_delay,
    )
    series, target = Series(pool, platform.metric_delay), Target(pool, policy.least, policy.most)

    def publish() -> Process:
        metric = policy.metric["Pool"]("default", policy.settings)
        queue, executor = policy.settings["queues"][0], policy.settings["executors"][0]
        yield pool.env.timeout(_OFFSET)
        while True:
            hosts = [(str(id(worker)), len(worker.runs)) for worker in pool.workers if worker.runs]
            counts = [(queue, executor, host, number) for host, number in [(None, pool.queued), *hosts]]
            required, _ = metric.update(counts, pool.env.now)
            series.add(required)
            yield pool.env.timeout(policy.metric["INTERVAL"])

    def follow() -> Process:
        state = INSUFFICIENT_DATA
        while True:
            yield pool.env.timeout(policy.alarm.pace)
            found = evaluate(policy.alarm, policy.alarm.values(series, pool.env.now), state)
            state = found.state
            if state == ALARM and found.values:
                breach = policy.policy.aggregate(found.values) - policy.alarm.threshold
                desired = by_steps(policy.policy, target.capacity, breach=breach, last=target.last, now=pool.env.now)
                target.set(desired, policy.policy.cooldown)

    pool.env.process(publish())
    pool.env.process(follow())
    return pool.run()


def _tracking(
    workload: Workload,
    policy: QueuePolicy,
    platform: Platform,
    value: Callable[[Pool], float],
    *,
    goal: float,
    cooldown: float = TRACKING_COOLDOWN,
) -> Result:
    """Simulate a target tracking policy, which two alarms call; it needs at least one worker."""
    pool = _unprotected(workload, policy, platform, ECS_GRACE)
    series, target = Series(pool, platform.metric_delay), Target(pool, 1, policy.most)
    tracking = TargetTrackingPolicy(target=goal, out_cooldown=cooldown, in_cooldown=cooldown)
    query = Query(id="m1", metric=Metric("AWS", "Tracked"), period=METRIC_PERIOD)
    low = goal * TRACKING_LOW
    alarms = (
        Alarm(
            name="high",
            queries=(query,),
            comparison="GreaterThanThreshold",
            threshold=goal,
            periods=TRACKING_OUT,
            to_alarm=TRACKING_OUT,
        ),
        Alarm(
            name="low",
            queries=(query,),
            comparison="LessThanThreshold",
            threshold=low,
            periods=TRACKING_IN,
            to_alarm=TRACKING_IN,
        ),
    )

    def publish() -> Process:
        yield pool.env.timeout(_OFFSET)
        while True:
            if pool.ready:
                series.add(value(pool))
            yield pool.env.timeout(METRIC_PERIOD / 4)

    def follow() -> Process:
        states = {alarm.name: INSUFFICIENT_DATA for alarm in alarms}
        while True:
            yield pool.env.timeout(ALARM_PACE)
            now = pool.env.now
            for alarm in alarms:
                found = evaluate(alarm, alarm.values(series, now), states[alarm.name])
                states[alarm.name] = found.state
                if found.state == ALARM and found.values:
                    last = found.values[-1]
                    desired = by_target(tracking, target.capacity, value=last, last=target.last, now=now)
                    target.set(desired, cooldown)

    pool.env.process(publish())
    pool.env.process(follow())
    return pool.run()


def cpu_tracking(
    workload: Workload,
    policy: QueuePolicy,
    platform: Platform,
    full: float = 100,
    cooldown: float = TRACKING_COOLDOWN,
) -> Result:
    """Simulate tracking of CPU utilization; *full* is the percentage that a worker uses when all slots are busy."""

    def utilization(pool: Pool) -> float:
        return full * pool.running / (pool.slots * pool.ready)

    return _tracking(workload, policy, platform, utilization, goal=CPU_TARGET, cooldown=cooldown)


def backlog_per_task(workload: Workload, policy: QueuePolicy, platform: Platform) -> Result:
    """Simulate tracking of the waiting messages per worker."""
    goal = ACCEPTABLE_WAIT * policy.slots / workload.mean
    return _tracking(workload, policy, platform, lambda pool: pool.queued / pool.ready, goal=goal)


def mwaa(workload: Workload, policy: QueuePolicy, platform: Platform) -> Result:
    """Simulate MWAA's rule: (running + queued) / slots, at least one worker, of which only idle ones are removed."""
    shutdown = Shutdown(is_protected=True, grace=ECS_GRACE)
    pool = Pool(
        workload,
        slots=policy.slots,
        start=platform.start,
        shutdown=shutdown,
        count=1,
        parallelism=policy.parallelism,
        stop_delay=platform.stop_delay,
    )

    def follow() -> Process:
        lower_since = None
        while True:
            yield pool.env.timeout(METRIC_PERIOD)
            required = min(max(1, _required(pool)), policy.most)
            if required < pool.desired:
                lower_since = pool.env.now if lower_since is None else lower_since
                if pool.env.now - lower_since >= MWAA_DELAY:
                    pool.scale(required)
            else:
                lower_since = None
                pool.scale(required)

    pool.env.process(follow())
    return pool.run()


def keda(workload: Workload, policy: QueuePolicy, platform: Platform) -> Result:
    """Simulate KEDA and the horizontal pod autoscaler, as Airflow's Helm chart configures them."""
    pool = _unprotected(workload, policy, platform, KEDA_GRACE, count=0)

    def poll() -> Process:
        active = float("-inf")
        while True:
            yield pool.env.timeout(KEDA_POLL)
            if _required(pool):
                active = pool.env.now
                if not pool.desired:
                    pool.scale(1)
            elif pool.desired and pool.env.now - active >= KEDA_COOLDOWN:
                pool.scale(0)

    def autoscale() -> Process:
        recent: deque[tuple[float, int]] = deque()
        while True:
            yield pool.env.timeout(HPA_PACE)
            recent.append((pool.env.now, min(max(1, _required(pool)), policy.most)))
            while recent[0][0] < pool.env.now - HPA_STABILIZATION:
                recent.popleft()
            if pool.desired:
                present = recent[-1][1]
                most = max(2 * pool.desired, pool.desired + 4)
                wanted = min(present, most) if present > pool.desired else max(each for _, each in recent)
                pool.scale(min(wanted, max(present, pool.desired)))

    pool.env.process(poll())
    pool.env.process(autoscale())
    return pool.run()


def _required(pool: Pool) -> int:
    return math.ceil((pool.queued + pool.running) / pool.slots)


def _unprotected(workload: Workload, policy: QueuePolicy, platform: Platform, grace: float, count: int = 1) -> Pool:
    return Pool(
        workload,
        slots=policy.slots,
        start=platform.start,
        shutdown=Shutdown(is_protected=False, grace=grace),
        count=count,
        parallelism=policy.parallelism,
        stop_delay=platform.stop_delay,
    )
