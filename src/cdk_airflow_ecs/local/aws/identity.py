"""IAM, KMS, SSM and ECR."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

import json

from .resources import Resource


class Role(Resource):
    type = "AWS::IAM::Role"
    service = "iam"
    fixed = {"RoleName", "Path"}
    name = ("RoleName", 64)
    key = "RoleName"
    describes = ("get_role", "RoleName", "Role")
    attributes = {"Arn": "Arn", "RoleId": "RoleId"}

    def create(self, unique, p):
        policies, managed = p.pop("Policies", []), p.pop("ManagedPolicyArns", [])
        p = self.named(unique, p)
        self.call("create_role", p)
        self._put(p["RoleName"], policies, managed)
        return p["RoleName"]

    def _put(self, role, policies, managed):
        for policy in policies:
            self.call("put_role_policy", {"RoleName": role, **policy})
        for arn in managed:
            self.api.attach_role_policy(RoleName=role, PolicyArn=arn)

    def update(self, physical_id, p, old):
        self.api.update_assume_role_policy(
            RoleName=physical_id, PolicyDocument=json.dumps(p["AssumeRolePolicyDocument"])
        )
        self._clear(physical_id)
        self._put(physical_id, p.get("Policies", []), p.get("ManagedPolicyArns", []))
        return physical_id

    def _clear(self, role, inline=()):
        for policy in self.api.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            self.api.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
        for policy in inline:
            self.api.delete_role_policy(RoleName=role, PolicyName=policy)

    def delete(self, physical_id, p):
        self._clear(physical_id, [policy["PolicyName"] for policy in p.get("Policies", [])])
        self.api.delete_role(RoleName=physical_id)


class InstanceProfile(Resource):
    type = "AWS::IAM::InstanceProfile"
    service = "iam"
    fixed = {"InstanceProfileName", "Path"}
    name = ("InstanceProfileName", 128)
    key = "InstanceProfileName"
    describes = ("get_instance_profile", "InstanceProfileName", "InstanceProfile")
    attributes = {"Arn": "Arn"}

    def create(self, unique, p):
        roles = p.pop("Roles", [])
        p = self.named(unique, p)
        self.call("create_instance_profile", p)
        for role in roles:
            self.api.add_role_to_instance_profile(InstanceProfileName=p["InstanceProfileName"], RoleName=role)
        return p["InstanceProfileName"]

    def delete(self, physical_id, p):
        for role in p.get("Roles", []):
            self.api.remove_role_from_instance_profile(InstanceProfileName=physical_id, RoleName=role)
        self.api.delete_instance_profile(InstanceProfileName=physical_id)


class Policy(Resource):
    """An inline policy of one or more roles."""

    type = "AWS::IAM::Policy"
    service = "iam"
    fixed = {"PolicyName"}

    def create(self, unique, p):
        for role in p["Roles"]:
            document = {"PolicyName": p["PolicyName"], "PolicyDocument": p["PolicyDocument"]}
            self.call("put_role_policy", {"RoleName": role, **document})
        return p["PolicyName"]

    def update(self, physical_id, p, old):
        self.delete(physical_id, {"Roles": [role for role in old["Roles"] if role not in p["Roles"]]})
        return self.create("", p)

    def delete(self, physical_id, p):
        for role in p["Roles"]:
            self.api.delete_role_policy(RoleName=role, PolicyName=physical_id)


class ManagedPolicy(Resource):
    type = "AWS::IAM::ManagedPolicy"
    service = "iam"
    fixed = {"ManagedPolicyName", "Path"}
    renames = {"ManagedPolicyName": "PolicyName"}
    name = ("ManagedPolicyName", 128)
    creates = ("create_policy", "Policy.Arn")
    deletes = "delete_policy"
    key = "PolicyArn"


class Key(Resource):
    type = "AWS::KMS::Key"
    service = "kms"
    fixed = {"KeySpec", "KeyUsage"}
    renames = {"KeyPolicy": "Policy"}
    creates = ("create_key", "KeyMetadata.KeyId")
    describes = ("describe_key", "KeyId", "KeyMetadata")
    attributes = {"Arn": "Arn", "KeyId": "KeyId"}

    def create(self, unique, p):
        rotates, _ = p.pop("EnableKeyRotation", False), p.pop("PendingWindowInDays", None)
        p["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in p.pop("Tags", [])]
        key = self.make(p)
        if rotates in (True, "true"):
            self.api.enable_key_rotation(KeyId=key)
        return key

    def update(self, physical_id, p, old):
        policy = json.dumps(p["KeyPolicy"])
        self.api.put_key_policy(KeyId=physical_id, PolicyName="default", Policy=policy)
        return physical_id

    def delete(self, physical_id, p):
        self.api.schedule_key_deletion(KeyId=physical_id, PendingWindowInDays=7)


class Alias(Resource):
    type = "AWS::KMS::Alias"
    service = "kms"
    fixed = {"AliasName"}
    renames = {"TargetKeyId": "TargetKeyId"}
    deletes = "delete_alias"
    key = "AliasName"

    def create(self, unique, p):
        p["TargetKeyId"] = p["TargetKeyId"].rsplit("/", 1)[-1]
        self.call("create_alias", p)
        return p["AliasName"]


class Parameter(Resource):
    type = "AWS::SSM::Parameter"
    service = "ssm"
    fixed = {"Name", "Type"}
    name = ("Name", 255)
    deletes = "delete_parameter"
    key = "Name"
    describes = ("get_parameter", "Name", "Parameter")
    attributes = {"Value": "Value", "Type": "Type"}

    def create(self, unique, p):
        p = self.named(unique, p)
        self.call("put_parameter", p)
        return p["Name"]

    def update(self, physical_id, p, old):
        self.call("put_parameter", {"Name": physical_id, **p, "Overwrite": True})
        return physical_id


class Repository(Resource):
    type = "AWS::ECR::Repository"
    service = "ecr"
    fixed = {"RepositoryName"}
    name = ("RepositoryName", 256)
    key = "RepositoryName"
    describes = ("describe_repositories", "repositoryNames", "repositories[0]")
    attributes = {"Arn": "repositoryArn", "RepositoryUri": "repositoryUri"}

    def create(self, unique, p):
        p = self.named(unique, p)
        p["RepositoryName"] = p["RepositoryName"].lower()
        lifecycle, policy = p.pop("LifecyclePolicy", None), p.pop("RepositoryPolicyText", None)
        self.call("create_repository", p)
        name = {"repositoryName": p["RepositoryName"]}
        if lifecycle:
            self.call("put_lifecycle_policy", {**name, **lifecycle})
        if policy:
            self.call("set_repository_policy", {**name, "policyText": policy})
        return p["RepositoryName"]

    def delete(self, physical_id, p):
        self.api.delete_repository(repositoryName=physical_id, force=True)
