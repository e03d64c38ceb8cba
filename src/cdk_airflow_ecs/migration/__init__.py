"""The gate that upgrades the schema before any service rolls."""
