"""Task sizes of Fargate."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, TEXT_TOKEN

from cdk_airflow_ecs.capacity.fargate import MEMORY_MIB_BY_CPU, check_ephemeral_storage, check_size

# Amazon ECS developer guide, "Task CPU and memory". By cpu units: minimum and maximum GiB, step.
DOCUMENTED = {
    512: (1, 4, 1),
    1024: (2, 8, 1),
    2048: (4, 16, 1),
    4096: (8, 30, 1),
    8192: (16, 60, 4),
    16384: (32, 120, 8),
}


def test_task_sizes_equal_the_aws_documentation():
    """The table of task sizes equals the AWS documentation."""
    expected = {cpu: {gib * 1024 for gib in range(a, b + 1, step)} for cpu, (a, b, step) in DOCUMENTED.items()}
    assert {cpu: set(sizes) for cpu, sizes in MEMORY_MIB_BY_CPU.items()} == {256: {512, 1024, 2048}, **expected}


@pytest.mark.parametrize("cpu", MEMORY_MIB_BY_CPU)
def test_the_memory_of_a_task_must_fit_its_cpu(cpu):
    """The error lists the memory sizes that Fargate has for that cpu value."""
    sizes = MEMORY_MIB_BY_CPU[cpu]
    for memory in (*sizes, NUMBER_TOKEN):
        check_size("Scheduler", cpu, memory)
    for memory in (sizes[0] - 1, sizes[-1] + 1024, str(sizes[0]), None, TEXT_TOKEN):
        with pytest.raises(
            ValueError, match=rf"^Scheduler: memory_mib=.* is not compatible with cpu={cpu}; Fargate accepts"
        ):
            check_size("Scheduler", cpu, memory)


def test_the_error_for_a_wrong_memory_lists_few_sizes_or_shows_a_range():
    """A range is, for example, "16384 to 61440 in steps of 4096"."""
    with pytest.raises(ValueError, match=r"accepts 512, 1024, 2048$"):
        check_size("A", 256, 1)
    with pytest.raises(ValueError, match=r"accepts 16384 to 61440 in steps of 4096$"):
        check_size("A", 8192, 1)


@pytest.mark.parametrize("cpu", [0, 1, 1000, 1.5, "1024", None, [1024], True, TEXT_TOKEN])
def test_the_error_for_an_unsupported_cpu_lists_the_supported_ones(cpu):
    """The error for an unsupported cpu lists the supported ones."""
    with pytest.raises(ValueError, match=r"is not a Fargate size; accepted .* 256, 512, 1024, 2048, 4096, 8192, 16384"):
        check_size("Scheduler", cpu, 2048)


def test_a_cpu_token_accepts_any_memory():
    """A cpu token is compatible with any memory size."""
    check_size("A", NUMBER_TOKEN, 2048)
    check_size("A", NUMBER_TOKEN, NUMBER_TOKEN)
    with pytest.raises(ValueError, match="memory_mib must be an integer"):
        check_size("A", NUMBER_TOKEN, "2048")


@pytest.mark.parametrize("gib", [None, 21, 50, 200, NUMBER_TOKEN])
def test_disks_of_21_to_200_gib_are_accepted(gib):
    """21 to 200 GiB, or the default, are accepted."""
    check_ephemeral_storage("A", gib)


@pytest.mark.parametrize("gib", [0, 20, 201, 50.5, "50", True, TEXT_TOKEN])
def test_the_error_for_an_unsupported_disk_size_has_the_range(gib):
    """The error contains the range 21 to 200 GiB."""
    with pytest.raises(ValueError, match="Fargate accepts 21 to 200"):
        check_ephemeral_storage("A", gib)
