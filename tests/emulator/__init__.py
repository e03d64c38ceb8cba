"""Deploy tests: the real `cdk deploy`, to the small AWS account of `cdk_airflow_ecs.local.aws`.

`server.py` and `readback.py` run beside the tests; `app.py` and `rehearsal.py` in the emulator's own environment.
"""
