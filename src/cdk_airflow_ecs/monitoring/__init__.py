"""The description of a finished cluster, for outputs, scaling, alarms and dashboards."""
