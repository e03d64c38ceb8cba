"""The TCP ports of containers, the same in every cluster."""

from typing import Final

WEB_PORT: Final = 8080
EXECUTION_API_PORT: Final = 8081
WORKER_LOG_PORT: Final = 8793  # [logging] worker_log_server_port
TRIGGERER_LOG_PORT: Final = 8794  # [logging] trigger_log_server_port
NFS_PORT: Final = 2049
