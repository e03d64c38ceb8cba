"""The quickstart's resources, written directly with ``aws_cdk``.

The benchmark checks that resource types, numbers and containers are equal. Checks, plans, acknowledgements and outputs
are omitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_servicediscovery as servicediscovery
from aws_cdk import aws_sqs as sqs
from constructs import Construct

IMAGE = "apache/airflow:3.3.2-python3.12"
ENTRYPOINT = ["/usr/bin/dumb-init", "--", "/entrypoint"]
DATABASE_URL = (
    "python3 -ISc \"import os,urllib.parse as u;e=os.environ.get;q=lambda k:u.quote(e(k,''),'');"
    "print('postgresql+psycopg2://'+q('METADATA_USER')+':'+q('METADATA_PASSWORD')+'@'+e('METADATA_HOST')+':'"
    "+e('METADATA_PORT')+'/'+q('METADATA_NAME'),end='')\""
)
REDIS_URL = (
    'python3 -ISc "import os,urllib.parse as u;e=os.environ.get;'
    "print('rediss://:'+u.quote(e('BROKER_TOKEN',''),'')+'@'+e('BROKER_HOST')+':'+e('BROKER_PORT')"
    "+'/{}?ssl_cert_reqs=required',end='')\""
)
HEARTBEAT = (
    "import os,socket,sys,psycopg2;e=os.environ;"
    "c=psycopg2.connect(host=e['METADATA_HOST'],port=e['METADATA_PORT'],dbname=e['METADATA_NAME'],"
    "user=e['METADATA_USER'],password=e['METADATA_PASSWORD'],connect_timeout=5).cursor();"
    "c.execute('select 1 from job where job_type=%s and state=%s and hostname=%s"
    " and latest_heartbeat>now()-interval %s',"
    "('{}','running',socket.gethostbyname(socket.getfqdn()),'120 s'));sys.exit(not c.fetchone())"
)
# Use this library's programs in containers and Lambda, because the benchmark compares only CDK code.
LIBRARY = Path(__file__).parents[1] / "src" / "cdk_airflow_ecs"
HANDLER = LIBRARY / "in_lambda" / "migration_gate"
MIGRATE = (LIBRARY / "in_container" / "migrate.py").read_text()
INSTALL, SYNC, BUNDLE = (
    (LIBRARY / "in_container" / f"{name}.py").read_text() for name in ("install_modules", "dag_sync", "dag_bundle")
)
WITH_DAGS = [*ENTRYPOINT, "python", "-c", INSTALL, "airflow_ecs_sync", SYNC, "airflow_ecs_bundle", BUNDLE, "--"]


class Cluster(Construct):
    """Airflow 3.3 on Fargate: five services, a migration task and their resources."""

    def __init__(self, scope: Construct, construct_id: str) -> None:  # noqa: PLR0915 - one go is the point
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        key = kms.Key(self, "Key", enable_key_rotation=True)
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
                actions=["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": (
                            f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:*"
                        )
                    }
                },
            )
        )

        # Network
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=1,
            restrict_default_security_group=True,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=18),
                ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24),
                ec2.SubnetConfiguration(name="Store", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        )
        flow_logs = logs.LogGroup(self, "FlowLogs", retention=logs.RetentionDays.ONE_MONTH, encryption_key=key)
        flow_role = iam.Role(self, "FlowRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_logs, flow_role))
        private = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)

        # Secrets
        def secret(name: str, length: int, template: str | None = None) -> secretsmanager.Secret:
            return secretsmanager.Secret(
                self,
                name,
                description=name,
                encryption_key=key,
                generate_secret_string=secretsmanager.SecretStringGenerator(
                    password_length=length,
                    exclude_punctuation=True,
                    secret_string_template=template,
                    generate_string_key="password" if template else None,
                ),
                removal_policy=RemovalPolicy.RETAIN,
            )

        fernet, session, admin, jwt = (
            secret("Fernet", 43),
            secret("Session", 64),
            secret("Admin", 32),
            secret("Jwt", 64),
        )

        # Buckets and log groups
        def bucket(name: str, expire_days: int | None, target: s3.Bucket | None) -> s3.Bucket:
            created = s3.Bucket(
                self,
                name,
                block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
                encryption=s3.BucketEncryption.S3_MANAGED,
                enforce_ssl=True,
                minimum_tls_version=1.2,
                versioned=True,
                lifecycle_rules=[
                    s3.LifecycleRule(
                        expiration=Duration.days(expire_days) if expire_days else None,
                        noncurrent_version_expiration=Duration.days(30),
                        abort_incomplete_multipart_upload_after=Duration.days(7),
                    )
                ],
                object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
                removal_policy=RemovalPolicy.RETAIN,
            )
            if target is not None:
                created.node.default_child.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
                    destination_bucket_name=target.bucket_name, log_file_prefix=f"{name}/"
                )
                target.add_to_resource_policy(
                    iam.PolicyStatement(
                        principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                        actions=["s3:PutObject"],
                        resources=[target.arn_for_objects(f"{name}/*")],
                        conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
                    )
                )
            return created

        access = bucket("AccessLogs", 90, None)
        task_logs = bucket("TaskLogs", 90, access)
        dags = bucket("Dags", None, access)
        container_logs = logs.LogGroup(
            self,
            "ContainerLogs",
            retention=logs.RetentionDays.ONE_MONTH,
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )

        # Database
        credentials = secret("Credentials", 40, '{"username": "airflow"}')
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("17", "17"))
        monitoring = iam.Role(
            self,
            "Monitoring",
            assumed_by=iam.ServicePrincipal("monitoring.rds.amazonaws.com"),
            inline_policies={
                "Metrics": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=[
                                "logs:CreateLogGroup",
                                "logs:PutRetentionPolicy",
                                "logs:CreateLogStream",
                                "logs:PutLogEvents",
                                "logs:DescribeLogStreams",
                                "logs:GetLogEvents",
                            ],
                            resources=[f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:RDS*"],
                        )
                    ]
                )
            },
        )
        database = rds.DatabaseInstance(
            self,
            "Database",
            engine=engine,
            instance_type=ec2.InstanceType("t4g.small"),
            vpc=vpc,
            vpc_subnets=isolated,
            security_groups=[ec2.SecurityGroup(self, "DatabaseGroup", vpc=vpc, allow_all_outbound=False)],
            parameter_group=rds.ParameterGroup(
                self,
                "DatabaseParameters",
                engine=engine,
                parameters={"rds.force_ssl": "1", "log_lock_waits": "1", "tcp_keepalives_idle": "60"},
            ),
            database_name="airflow",
            credentials=rds.Credentials.from_secret(credentials, "airflow"),
            multi_az=True,
            storage_type=rds.StorageType.GP3,
            allocated_storage=20,
            max_allocated_storage=100,
            storage_encrypted=True,
            storage_encryption_key=key,
            backup_retention=Duration.days(7),
            copy_tags_to_snapshot=True,
            iam_authentication=True,
            deletion_protection=True,
            cloudwatch_logs_exports=["postgresql", "upgrade"],
            monitoring_interval=Duration.seconds(60),
            monitoring_role=monitoring,
            removal_policy=RemovalPolicy.SNAPSHOT,
        )

        # Broker
        token = secret("Token", 64)
        broker_group = ec2.SecurityGroup(self, "BrokerGroup", vpc=vpc, allow_all_outbound=False)
        cache = elasticache.CfnReplicationGroup(
            self,
            "Broker",
            replication_group_description="Celery broker",
            engine="valkey",
            engine_version="8.0",
            cache_node_type="cache.t4g.micro",
            num_cache_clusters=1,
            automatic_failover_enabled=False,
            multi_az_enabled=False,
            cluster_mode="disabled",
            cache_subnet_group_name=elasticache.CfnSubnetGroup(
                self,
                "BrokerSubnets",
                description="Celery broker",
                subnet_ids=vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED).subnet_ids,
            ).ref,
            cache_parameter_group_name=elasticache.CfnParameterGroup(
                self,
                "BrokerParameters",
                cache_parameter_group_family="valkey8",
                description="Celery broker",
                properties={"maxmemory-policy": "noeviction"},
            ).ref,
            security_group_ids=[broker_group.security_group_id],
            port=6379,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=key.key_arn,
            auth_token=token.secret_value.unsafe_unwrap(),
            snapshot_retention_limit=1,
            auto_minor_version_upgrade=True,
        )
        cache.apply_removal_policy(RemovalPolicy.SNAPSHOT)

        # Load balancer
        balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=vpc,
            vpc_subnets=private,
            internet_facing=False,
            security_group=ec2.SecurityGroup(self, "LoadBalancerGroup", vpc=vpc, allow_all_outbound=False),
            drop_invalid_header_fields=True,
            idle_timeout=Duration.seconds(60),
        )
        access.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[access.arn_for_objects(f"load-balancer/AWSLogs/{stack.account}/*")],
            )
        )
        balancer.set_attribute("access_logs.s3.enabled", "true")
        balancer.set_attribute("access_logs.s3.bucket", access.bucket_name)
        balancer.set_attribute("access_logs.s3.prefix", "load-balancer")
        balancer.connections.allow_from(ec2.Peer.ipv4(vpc.vpc_cidr_block), ec2.Port.tcp(80))

        # ECS
        namespace = servicediscovery.PrivateDnsNamespace(self, "Namespace", name="airflow-1234abcd.internal", vpc=vpc)
        cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
            execute_command_configuration=ecs.ExecuteCommandConfiguration(
                logging=ecs.ExecuteCommandLogging.OVERRIDE,
                log_configuration=ecs.ExecuteCommandLogConfiguration(cloud_watch_log_group=container_logs),
            ),
        )
        image = ecs.ContainerImage.from_registry(IMAGE)
        every = {
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "CONNECTION_CHECK_MAX_COUNT": "0",
        }
        common = {
            **every,
            "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "20",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "30",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "True",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "1800",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": "86400",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "airflow.utils.net.get_host_ip_address",
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{task_logs.bucket_name}/task-logs",
            "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "",
            "AWS_DEFAULT_REGION": stack.region,
        }
        with_database = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": DATABASE_URL,
            "AIRFLOW__CORE__FERNET_KEY_CMD": "python3 -ISc \"import os;print(os.environ['FERNET_SEED']+'=',end='')\"",
            "METADATA_HOST": database.db_instance_endpoint_address,
            "METADATA_PORT": database.db_instance_endpoint_port,
            "METADATA_NAME": "airflow",
            "PGSSLMODE": "require",
            "PGCONNECT_TIMEOUT": "10",
        }
        with_broker = {
            "AIRFLOW__CELERY__OPERATION_TIMEOUT": "10",
            "AIRFLOW__CELERY__BROKER_URL_CMD": REDIS_URL.format(0),
            "AIRFLOW__CELERY__RESULT_BACKEND_CMD": REDIS_URL.format(1),
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_KEEPALIVE": "True",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_TIMEOUT": "30",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__HEALTH_CHECK_INTERVAL": "30",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__RETRY_ON_TIMEOUT": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://execution-api.airflow-1234abcd.internal:8081/execution/",
            "BROKER_HOST": cache.attr_primary_end_point_address,
            "BROKER_PORT": "6379",
        }
        no_dags = {"AIRFLOW__CORE__DAGS_FOLDER": "/nonexistent"}
        bundle = {
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": stack.to_json_string(
                [
                    {
                        "name": "dags",
                        "classpath": "airflow_ecs_bundle.S3DagBundle",
                        "kwargs": {
                            "bucket_name": dags.bucket_name,
                            "prefix": "",
                            "refresh_interval": 30,
                        },
                    }
                ]
            )
        }
        login = rds_secret(database)
        database_secrets = {
            "METADATA_USER": ecs.Secret.from_secrets_manager(login, "username"),
            "METADATA_PASSWORD": ecs.Secret.from_secrets_manager(login, "password"),
            "FERNET_SEED": ecs.Secret.from_secrets_manager(fernet),
        }
        jwt_secret = {"AIRFLOW__API_AUTH__JWT_SECRET": ecs.Secret.from_secrets_manager(jwt)}
        session_secret = {"AIRFLOW__API__SECRET_KEY": ecs.Secret.from_secrets_manager(session)}
        broker_secret = {"BROKER_TOKEN": ecs.Secret.from_secrets_manager(token)}

        def task(name: str, cpu: int, memory: int) -> ecs.FargateTaskDefinition:
            def role(kind: str) -> iam.Role:
                principal = iam.ServicePrincipal(
                    "ecs-tasks.amazonaws.com",
                    conditions={
                        "StringEquals": {"aws:SourceAccount": stack.account},
                        "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}:*"},
                    },
                )
                return iam.Role(self, f"{name}{kind}", assumed_by=principal)

            return ecs.FargateTaskDefinition(
                self,
                f"{name}Task",
                cpu=cpu,
                memory_limit_mib=memory,
                task_role=role("TaskRole"),
                execution_role=role("ExecutionRole"),
                runtime_platform=ecs.RuntimePlatform(
                    cpu_architecture=ecs.CpuArchitecture.X86_64,
                    operating_system_family=ecs.OperatingSystemFamily.LINUX,
                ),
            )

        def container(  # noqa: PLR0917
            definition: ecs.FargateTaskDefinition,
            name: str,
            command: list[str],
            environment: dict[str, str],
            secrets: dict[str, ecs.Secret],
            port: int | None = None,
            check: str | None = None,
            entry_point: Sequence[str] = ENTRYPOINT,
        ) -> None:
            definition.add_container(
                name,
                image=image,
                entry_point=entry_point,
                command=command,
                environment=environment,
                secrets=secrets,
                port_mappings=[ecs.PortMapping(container_port=port, name=name)] if port else None,
                health_check=(
                    ecs.HealthCheck(
                        command=["CMD", "python3", *(["-c"] if "psycopg2" in check else ["-ISc"]), check],
                        interval=Duration.seconds(30),
                        timeout=Duration.seconds(10),
                        retries=5,
                        start_period=Duration.seconds(180),
                    )
                    if check
                    else None
                ),
                logging=ecs.LogDrivers.aws_logs(
                    stream_prefix=name, log_group=container_logs, mode=ecs.AwsLogDriverMode.NON_BLOCKING
                ),
                stop_timeout=Duration.seconds(120),
            )

        def service(name: str, definition: ecs.FargateTaskDefinition, *, web: bool = False) -> ecs.FargateService:
            balance = ecs.AvailabilityZoneRebalancing
            return ecs.FargateService(
                self,
                name,
                cluster=cluster,
                task_definition=definition,
                desired_count=1,
                security_groups=[ec2.SecurityGroup(self, f"{name}Group", vpc=vpc, description=name)],
                vpc_subnets=private,
                enable_execute_command=web,
                health_check_grace_period=Duration.seconds(180) if web else None,
                availability_zone_rebalancing=balance.ENABLED if web else balance.DISABLED,
                min_healthy_percent=100,
                max_healthy_percent=200,
                circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
                propagate_tags=ecs.PropagatedTagSource.SERVICE,
                enable_ecs_managed_tags=True,
            )

        def http(url: str) -> str:
            return f"import urllib.request as r;r.urlopen('{url}',timeout=9)"

        api_task = task("ApiServer", 1024, 2048)
        container(
            api_task,
            "api-server",
            ["airflow", "api-server", "--apps", "core", "--port", "8080", "--proxy-headers"],
            {**common, **with_database, **no_dags, "FORWARDED_ALLOW_IPS": "*"},
            {**database_secrets, **jwt_secret, **session_secret},
            8080,
            http("http://127.0.0.1:8080/api/v2/version"),
        )
        container(
            api_task,
            "execution-api",
            ["airflow", "api-server", "--apps", "execution", "--port", "8081"],
            {**common, **with_database, **no_dags},
            {**database_secrets, **jwt_secret},
            8081,
            http("http://127.0.0.1:8081/execution/health"),
        )
        scheduler_task = task("Scheduler", 1024, 2048)
        container(
            scheduler_task,
            "scheduler",
            ["airflow", "scheduler"],
            {
                **common,
                **with_database,
                **with_broker,
                **no_dags,
                "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            },
            {**database_secrets, **jwt_secret, **broker_secret},
            check=HEARTBEAT.format("SchedulerJob"),
        )
        processor_task = task("DagProcessor", 512, 1024)
        container(
            processor_task,
            "dag-processor",
            ["airflow", "dag-processor"],
            {**common, **with_database, **bundle},
            database_secrets,
            check=HEARTBEAT.format("DagProcessorJob"),
            entry_point=WITH_DAGS,
        )
        triggerer_task = task("Triggerer", 512, 1024)
        container(
            triggerer_task,
            "triggerer",
            ["airflow", "triggerer"],
            {**common, **with_database, **no_dags},
            {**database_secrets, **session_secret},
            8794,
            HEARTBEAT.format("TriggererJob"),
        )
        worker_task = task("Worker", 1024, 2048)
        container(
            worker_task,
            "worker",
            ["airflow", "celery", "worker", "--queues", "default", "--without-gossip", "--without-mingle"],
            {
                **common,
                **with_broker,
                **bundle,
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
                "DUMB_INIT_SETSID": "0",
            },
            {**session_secret, **broker_secret},
            8793,
            "import socket;socket.create_connection(('127.0.0.1',8793),5)",
            WITH_DAGS,
        )
        migrate_task = task("Migrate", 1024, 2048)
        container(
            migrate_task,
            "migrate",
            ["python", "-c", MIGRATE],
            {
                **every,
                **with_database,
                **no_dags,
                "AIRFLOW_ECS_ADMIN_USERNAME": "admin",
                "AIRFLOW_ECS_VERSION": "3.3.2",
            },
            {**database_secrets, "AIRFLOW_ECS_ADMIN_PASSWORD": ecs.Secret.from_secrets_manager(admin)},
        )
        # Permissions on the buckets.
        for definition in (processor_task, worker_task):
            definition.task_role.add_to_principal_policy(
                iam.PolicyStatement(actions=["s3:GetObject"], resources=[dags.arn_for_objects("*")])
            )
            definition.task_role.add_to_principal_policy(
                iam.PolicyStatement(actions=["s3:ListBucket"], resources=[dags.bucket_arn])
            )
        for definition, actions in (
            (api_task, ["s3:GetObject"]),
            (triggerer_task, ["s3:GetObject", "s3:PutObject"]),
            (worker_task, ["s3:GetObject", "s3:PutObject"]),
        ):
            definition.task_role.add_to_principal_policy(
                iam.PolicyStatement(actions=actions, resources=[task_logs.arn_for_objects("task-logs/*")])
            )
            definition.task_role.add_to_principal_policy(
                iam.PolicyStatement(actions=["s3:ListBucket"], resources=[task_logs.bucket_arn])
            )
        api = service("Api", api_task, web=True)
        scheduler = service("SchedulerService", scheduler_task)
        processor = service("DagProcessorService", processor_task)
        triggerer = service("TriggererService", triggerer_task)
        worker = service("WorkerService", worker_task)
        migrate_group = ec2.SecurityGroup(self, "MigrateGroup", vpc=vpc, description="Migrate")

        # Connections
        api.enable_cloud_map(name="execution-api", cloud_map_namespace=namespace)
        for client in (api, scheduler, processor, triggerer, migrate_group):
            database.connections.allow_from(client, ec2.Port.tcp(5432), "Metadata database")
        for client in (scheduler, worker):
            broker_group.connections.allow_from(client, ec2.Port.tcp(6379), "Celery commands and results")
        api.connections.allow_from(worker, ec2.Port.tcp(8081), "Execution API")
        triggerer.connections.allow_from(api, ec2.Port.tcp(8794), "Logs of running tasks")
        worker.connections.allow_from(api, ec2.Port.tcp(8793), "Logs of running tasks")

        listener = balancer.add_listener("Http", port=80, open=False)
        targets = elb.ApplicationTargetGroup(
            self,
            "Targets",
            vpc=vpc,
            port=8080,
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            targets=[api],
            deregistration_delay=Duration.seconds(60),
            health_check=elb.HealthCheck(path="/api/v2/version", timeout=Duration.seconds(10)),
        )
        listener.add_action("Forward", action=elb.ListenerAction.forward([targets]))
        listener.add_action(
            "NoExecutionApi",
            priority=1,
            conditions=[elb.ListenerCondition.path_patterns(["/execution", "/execution/*"])],
            action=elb.ListenerAction.fixed_response(404, content_type="text/plain", message_body="Not found"),
        )

        # Migration
        handler_logs = logs.LogGroup(self, "HandlerLogs", retention=logs.RetentionDays.ONE_MONTH, encryption_key=key)
        lost = sqs.Queue(
            self,
            "Lost",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        statements = [
            iam.PolicyStatement(actions=actions, resources=resources)
            for actions, resources in (
                (["ecs:RunTask"], [migrate_task.task_definition_arn]),
                (["ecs:DescribeTasks", "ecs:ListTasks", "ecs:StopTask"], [f"{cluster.cluster_arn}/*"]),
                (["iam:PassRole"], [migrate_task.task_role.role_arn, migrate_task.execution_role.role_arn]),
                (["logs:GetLogEvents"], [f"{container_logs.log_group_arn}:log-stream:*"]),
                (["logs:CreateLogStream", "logs:PutLogEvents"], [handler_logs.log_group_arn]),
                (["sqs:SendMessage"], [lost.queue_arn]),
                (["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn]),
            )
        ]
        role = iam.Role(
            self,
            "HandlerRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"Gate": iam.PolicyDocument(statements=statements)},
        )
        handler = lambda_.Function(
            self,
            "Handler",
            runtime=lambda_.Runtime.PYTHON_3_14,
            handler="index.handler",
            code=lambda_.Code.from_asset(str(HANDLER), exclude=["__pycache__", "*.pyc"]),
            role=role.without_policy_updates(),
            log_group=handler_logs,
            timeout=Duration.minutes(15),
            memory_size=256,
            dead_letter_queue=lost,
            environment_encryption=key,
            environment={
                "CLUSTER": cluster.cluster_arn,
                "SUBNETS": ",".join(vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnet_ids),
                "SECURITY_GROUP": migrate_group.security_group_id,
                "LOG_GROUP": container_logs.log_group_name,
            },
        )
        again = iam.Policy(
            self,
            "HandOver",
            roles=[role],
            statements=[iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[handler.function_arn])],
        )
        gate = CustomResource(
            self,
            "Migration",
            service_token=handler.function_arn,
            resource_type="Custom::AirflowMigration",
            service_timeout=Duration.hours(1),
            properties={"TaskDefinition": migrate_task.task_definition_arn},
        )
        gate.node.add_dependency(again, database, migrate_group)
        for created in (api, scheduler, processor, triggerer, worker):
            created.node.add_dependency(gate)


def rds_secret(database: rds.DatabaseInstance) -> secretsmanager.ISecret:
    assert database.secret is not None
    return database.secret


def build(stack: Stack) -> None:
    Cluster(stack, "Airflow")
