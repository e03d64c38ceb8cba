"""The finished cluster for outputs, scaling, alarms and dashboards."""
