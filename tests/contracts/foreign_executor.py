"""A third-party executor in one file, which uses only public names, to test the contract of executors."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from cdk_airflow_ecs import AirflowVersion, Executor, ExecutorBindContext, ExecutorContext, ExecutorPlan


@dataclass(frozen=True, kw_only=True)
class LambdaExecutor(Executor):
    """An executor that runs each Airflow task in a Lambda function, which reports through a queue."""

    function: lambda_.IFunction
    queue: sqs.IQueue

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Return the executor's class, and the scheduler's options for function and queue."""
        if context.version < AirflowVersion.of("2.11.0"):
            raise ValueError(f"LambdaExecutor needs Airflow 2.11 or newer, got {context.version}")
        return ExecutorPlan(
            class_path="airflow.providers.amazon.aws.executors.aws_lambda.AwsLambdaExecutor",
            config={
                ("aws_lambda_executor", "function_name"): self.function.function_name,
                ("aws_lambda_executor", "queue_url"): self.queue.queue_url,
            },
        )

    def bind(self, context: ExecutorBindContext) -> None:
        """Allow the scheduler to invoke the function and read the queue."""
        scheduler = context.task_roles["Scheduler"]
        self.function.grant_invoke(scheduler)
        self.queue.grant_consume_messages(scheduler)
