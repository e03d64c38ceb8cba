"""The plan of the migration task. Pure."""

from __future__ import annotations

from typing import Final

from cdk_airflow_ecs import option_merging, options
from cdk_airflow_ecs.airflow import FAB, FERNET_COMMAND, NO_DAGS
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.plan import Component, Container, Option, SecretRef, Value
from cdk_airflow_ecs.secrets import ADMIN_USERNAME
from cdk_airflow_ecs.settings import Settings

# The sections of the user's options that the migration receives. With others, any change of them would start the
# migration.
_SECTIONS: Final = ("database", "fab")
# The name of the migration's component in the plan.
MIGRATION: Final = "Migration"


def migration_component(settings: Settings) -> Component:
    """Return the task that upgrades the schema and creates the admin before services start."""
    own: dict[Option, Value] = {
        **settings.database.config(),
        ("core", "fernet_key_cmd"): FERNET_COMMAND,
        ("core", "dags_folder"): NO_DAGS,
    }
    if settings.version.major >= 3:
        own["core", "auth_manager"] = FAB
    concerned = {
        source: {
            option: value
            for option, value in given.items()
            if option[0] in _SECTIONS or option == ("core", "auth_manager")
        }
        for source, given in (*settings.config, (settings.image.source.options_source, settings.image.source.options))
    }
    chosen = option_merging.merge([("this cluster", own), *concerned.items()], settings.version.line)
    return Component(
        name=MIGRATION,
        path="Gate",
        cpu=1024,
        memory_mib=2048,
        kind="one-shot task",
        architecture=settings.image.architecture,
        containers=(
            Container(
                name="migrate",
                command=("python", "-c", program("migrate")),
                environment={
                    **options.variables(chosen),
                    # The user's variables for libpq, such as PGSSLROOTCERT.
                    **{name: value for name, value in settings.environment.items() if name.startswith("PG")},
                    **settings.database.environment(),
                    "CONNECTION_CHECK_MAX_COUNT": "0",
                    "FERNET_SEED": SecretRef("Fernet"),
                    "AIRFLOW_ECS_ADMIN_USERNAME": ADMIN_USERNAME,
                    "AIRFLOW_ECS_ADMIN_PASSWORD": SecretRef("Admin"),
                    # This variable makes the migration run for a new release, even if image and script are the same.
                    "AIRFLOW_ECS_VERSION": str(settings.version),
                },
            ),
        ),
    )
