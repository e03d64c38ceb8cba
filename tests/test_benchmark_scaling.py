"""The simulation of scaling policies agrees with computations by hand, and reads its policy from a template."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cdk_airflow_ecs import CeleryExecutor, QueueScaling, WorkerPool
from synthesis import template_of

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from scaling import clairvoyant, measures, policies  # noqa: E402
from scaling.__main__ import MARK, PAGE, image, row  # noqa: E402
from scaling.assumptions import Platform  # noqa: E402
from scaling.pool import Pool, Shutdown  # noqa: E402
from scaling.template import read  # noqa: E402
from scaling.workloads import WORKLOADS, Task, Workload  # noqa: E402

KILLING = Shutdown(is_protected=False, grace=120)
PROTECTING = Shutdown(is_protected=True, grace=120, notice=0.5, idle=30)


def workload(*tasks, end=10_000):
    """Return a workload of tasks, each a tuple of the arguments of Task."""
    return Workload("", tuple(Task(*each) for each in tasks), end)


def simulate(tasks, shutdown=KILLING, count=1, scale=None, **arguments):
    """Return the result of a pool with two slots for each worker and changes (time, number of workers)."""
    pool = Pool(workload(*tasks), slots=2, start=60, shutdown=shutdown, count=count, **arguments)

    def change(at, number):
        yield pool.env.timeout(at)
        pool.scale(number)

    for each in scale or []:
        pool.env.process(change(*each))
    return pool.run()


@pytest.fixture(scope="module")
def template():
    """Return the template of a cluster whose pool has QueueScaling."""
    scaling = QueueScaling(min_count=0, max_count=20)
    return template_of(executor=CeleryExecutor(pools=[WorkerPool("default", scaling=scaling)]))


def test_a_task_waits_for_a_worker_and_for_a_free_slot():
    """The worker starts after 60 s and runs two tasks; the third waits until one of them ends."""
    result = simulate([(0, 100), (10, 200), (20, 50)], scale=[(1000, 0)])
    assert result.waits == [60, 50, 140]
    assert (result.killed, result.seconds) == (0, 1000)


def test_a_follower_starts_after_its_predecessor():
    """A task that follows another can run when that one has ended, plus its own delay."""
    result = simulate([(100, 50), (5, 10, 0)])
    assert result.waits == [0, 0]
    assert 155 in [at for at, *_ in result.history]


def test_an_unprotected_worker_is_killed_after_its_grace_period():
    """Scale-in to zero stops the only worker, whose task has 120 s; its next attempt waits for a new worker."""
    result = simulate([(100, 500)], scale=[(200, 0), (1000, 1)])
    assert result.killed == 1
    assert result.waits == [0, 1060 - 320]
    assert result.seconds == 320 + 9000


def test_an_unprotected_worker_finishes_short_tasks():
    """A task that ends within the grace period is not killed, and its worker stops with it."""
    result = simulate([(100, 150)], scale=[(200, 0)])
    assert (result.killed, result.seconds) == (0, 250)


def test_a_protected_worker_stops_when_its_protection_ends():
    """Scale-in waits for the task, and for the 30 s until the protection is removed."""
    result = simulate([(100, 500)], PROTECTING, scale=[(200, 0)])
    assert (result.killed, result.seconds) == (0, 630)


def test_a_task_in_the_first_seconds_is_not_protected():
    """ECS can stop a worker in the half second in which its first task is not yet protected."""
    assert simulate([(100, 500)], PROTECTING, scale=[(100.4, 0)]).killed == 1
    assert simulate([(100, 500)], PROTECTING, scale=[(100.6, 0)]).killed == 0


@pytest.mark.parametrize(("can_be_refused", "killed"), [(True, 1), (False, 0)])
def test_ecs_refuses_to_protect_more_workers_than_the_desired_count(can_be_refused, killed):
    """With a desired count of one, a second worker that gets a task before ECS stops it is not protected."""
    shutdown = replace(PROTECTING, can_be_refused=can_be_refused)
    tasks = [(70, 1000), (70, 1000), (201, 500)]
    result = simulate(tasks, shutdown, scale=[(90, 2), (200, 1)], stop_delay=10)
    assert result.killed == killed


def test_a_worker_costs_at_least_a_minute():
    """Fargate bills a worker that stops after ten seconds for a minute."""
    assert simulate([], scale=[(10, 0)]).seconds == 60


def test_parallelism_limits_queued_tasks():
    """Only as many tasks as parallelism allows are queued or running; others do not count."""
    pool = Pool(workload(*[(0, 500)] * 9), slots=2, start=60, shutdown=KILLING, count=1, parallelism=5)
    pool.env.run(until=1)
    assert (pool.running, pool.queued) == (0, 5)
    pool.env.run(until=61)
    assert (pool.running, pool.queued) == (2, 3)


def test_the_clairvoyant_keeps_a_worker_in_short_gaps():
    """Three tasks need two workers at first; a gap of 20 s costs less than another start, one of 500 s does not."""
    runs = clairvoyant.schedule(workload((100, 100), (100, 50), (100, 50), (220, 30), (750, 50)), slots=8)
    levels = clairvoyant.workers(runs, slots=2)
    assert levels == [(100, 2), (150, 1), (200, 0), (220, 1), (250, 0), (750, 1), (800, 0)]
    assert clairvoyant.seconds(levels, 60) == (60 + 50) + (60 + 100 + 20 + 30) + (60 + 50)


def test_the_clairvoyant_runs_no_more_tasks_than_there_are_slots():
    """With one slot, the second task starts when the first has ended."""
    assert clairvoyant.schedule(workload((0, 100), (50, 10)), slots=1) == [(0, 0, 100), (50, 100, 110)]


def test_tasks_that_stay_on_their_worker_need_at_least_as_many_hours():
    """Of four tasks on two workers, the long ones share a worker if the placement knows their ends."""
    runs = clairvoyant.schedule(workload((0, 1000), (0, 1000), (0, 10), (0, 10)), slots=4)
    assert clairvoyant.placed_seconds(runs, 2, 60) == 60 + 1000 + 60 + 10
    assert clairvoyant.seconds(clairvoyant.workers(runs, 2), 60) == 60 + 1000 + 60 + 10


def test_the_policy_is_that_of_the_template(template):
    """Steps, alarm, limits, slots, window, pace of the metric and protection are those of the template."""
    policy = read(template)
    text = json.dumps(template)
    assert (policy.least, policy.most, policy.slots, policy.minutes) == (0, 20, 4, 5)
    assert (policy.policy.adjustment_type, policy.policy.cooldown) == ("ExactCapacity", 60)
    assert [policy.policy.wanted(breach=number, base=9) for number in (0, 1, 11, 30)] == [0, 1, 11, 20]
    assert (policy.alarm.period, policy.alarm.periods, policy.alarm.missing) == (60, 1, "missing")
    assert f"INTERVAL = {policy.metric['INTERVAL']} " in text
    assert f"IDLE = {policy.protection['IDLE']} " in text
    assert policy.parallelism == 80


def test_a_changed_template_changes_the_simulation(template):
    """The simulation follows limits and window of another template, and refuses a pool without QueueScaling."""
    text = (
        json.dumps(template)
        .replace('\\"minutes\\": 5', '\\"minutes\\": 3')
        .replace('"MaxCapacity": 20', '"MaxCapacity": 2')
    )
    policy = read(json.loads(text))
    result = policies.queue_scaling(workload(*[(0, 600)] * 16), policy, Platform())
    assert max(workers for _, workers, _ in result.history) == 2
    assert result.seconds < policies.queue_scaling(workload(*[(0, 600)] * 16), read(template), Platform()).seconds
    with pytest.raises(LookupError, match="default"):
        read(template, "other")


def test_queue_scaling_scales_from_zero_and_back(template):
    """Published at 37 s, evaluated at 120 s, started at 180 s; stopped 5 min and a metric's way after the end."""
    result = policies.queue_scaling(workload((20, 600)), read(template), Platform())
    assert result.waits == [160]
    assert next(at for at, workers, _ in result.history if workers) == 120
    # The last count with the task is at 757 s, the first without it in its window at 1087 s, in the period to 1140 s.
    assert next(at for at, workers, _ in result.history if at > 120 and not workers) == 1140 + 60 + 5


def test_cpu_tracking_adds_workers_after_three_minutes(template):
    """All slots of the only worker are busy: 100 % in three periods, of which the last is visible a minute later."""
    result = policies.cpu_tracking(workload(*[(600, 3000)] * 5), read(template), Platform())
    two = next(at for at, workers, _ in result.history if workers == 2)
    assert two == 600 + 180 + 60
    assert max(result.waits) == 180 + 60 + 60


def test_tracking_of_the_backlog_stops_busy_workers(template):
    """Five waiting messages need five workers; when none has waited for 15 minutes, four workers stop with tasks."""
    tasks = workload(*[(600, 1200)] * 9)
    result = policies.backlog_per_task(tasks, read(template), Platform())
    # A message may wait for 300 s, a worker runs four of 1,200 s: one message per worker.
    assert max(workers for at, workers, _ in result.history if at < 1000) == 5
    assert max(result.waits[:9]) == 300
    assert result.killed > 0


def test_kedas_rule_needs_seconds(template):
    """KEDA starts the first worker at its next poll, and the autoscaler the others within 15 s."""
    result = policies.keda(workload(*[(61, 600)] * 8), read(template), Platform())
    assert next(at for at, workers, _ in result.history if workers) == 65
    assert max(result.waits) == 75 + 60 - 61


def test_mwaas_rule_removes_only_idle_workers(template):
    """Two minutes after a decrease MWAA removes workers, but none that runs a task."""
    result = policies.mwaa(workload(*[(0, 100)] * 7, (0, 4000)), read(template), Platform())
    assert result.killed == 0
    assert [workers for _, workers, _ in result.history][-1] == 1


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads_are_equal_for_equal_seeds(name):
    """A workload depends only on its seed."""
    assert WORKLOADS[name](3) == WORKLOADS[name](3) != WORKLOADS[name](4)


def test_a_simulation_is_deterministic(template):
    """Two simulations of the same workload have the same result."""
    short = replace(WORKLOADS["Long tail"](0), end=20_000)
    one, two = (policies.queue_scaling(short, read(template), Platform()) for _ in range(2))
    assert one == two
    assert len(one.waits) > 100


def tables():
    """Return the rows of the page's tables, by heading and first cell."""
    found, heading = {}, ""
    for line in PAGE.read_text().partition(MARK)[2].splitlines():
        heading = line.removeprefix("### ") if line.startswith("### ") else heading
        if line.startswith("|"):
            first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found[heading, first] = tuple(cells)
    return found


def test_the_page_shows_the_present_simulation(template):
    """The page has the figures that the simulation computes now, for the nightly burst."""
    page, policy, name = tables(), read(template), "Nightly burst"
    moving, staying = measures.bounds(name, policy, 5)
    assert page[name, measures.FEWEST] == row(moving)
    assert page[name, "Clairvoyant, tasks stay on their worker"] == row(staying)
    assert page[name, measures.OURS] == row(measures.summarize(name, policies.queue_scaling, policy, 5))


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_page_has_a_plot_of_each_workload(name):
    """Each workload has a plot, which its section of the page shows."""
    assert image(name).is_file()
    assert f"(../images/{image(name).name})" in PAGE.read_text()


def test_queue_scaling_kills_hardly_any_task():
    """On every workload, QueueScaling kills fewer than one task in 1,000, and on bursts and the idle week none."""
    page = tables()
    for name in WORKLOADS:
        none = name in ("Nightly burst", "Larger burst", "Idle week")
        limit = 0 if none else 5 * len(WORKLOADS[name](0).tasks) // 1000
        assert int(page[name, measures.OURS][0].replace(",", "")) <= limit
