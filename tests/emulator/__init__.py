"""Deploy tests: the real `cdk deploy` against the emulated AWS account of `cdk_airflow_ecs.local.aws`.

`server.py` and `readback.py` run in the test process; `app.py` and `rehearsal.py` run in the emulator's process.
"""
