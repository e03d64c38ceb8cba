"""The smallest app: one cluster that sets only the Airflow release."""

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion

app = App()
stack = Stack(app, "Quickstart")
AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3)
app.synth()
