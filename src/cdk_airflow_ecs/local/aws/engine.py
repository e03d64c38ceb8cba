"""Deploys a template: resolves, orders, creates, updates, replaces, rolls back and deletes."""

import logging
import secrets
import string
from collections.abc import Callable

from botocore.exceptions import ClientError

from .account import Live, Stack
from .resolver import Resolver, dynamic, needs, ordered
from .resources import Failed, Unsupported, gone, handler, turn


class Deployment:
    """One creation, update or deletion of a stack."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.before = dict(stack.resources)
        self.attempted: dict[str, dict] = {}
        self.garbage: list[Live] = []

    def create(self, template: dict, parameters: dict[str, str]) -> None:
        """Create the stack's resources, or roll back."""
        self._run("CREATE", template, parameters, self._undo_create)

    def update(self, template: dict, parameters: dict[str, str]) -> None:
        """Update the stack to another template, or roll back."""
        self._run("UPDATE", template, parameters, self._undo_update)

    def _run(self, verb: str, template: dict, parameters: dict[str, str], undo: Callable[[str], None]) -> None:
        stack = self.stack
        try:
            resolver = Resolver(stack, template, parameters)
            wanted = resolver.wanted()
            for body in wanted.values():
                handler(body["Type"], stack.account)
            for name in ordered(wanted):
                self._apply(name, wanted[name], resolver)
            outputs = resolver.outputs()
        except Exception as error:  # becomes the reason of the stack's failure
            if not isinstance(error, (Failed, Unsupported, ClientError)):
                logging.getLogger(__name__).exception("%s of %s", verb, stack.name)
            undo(self._reason(error))
            return
        self.garbage += [live for name, live in stack.resources.items() if name not in wanted]
        if verb == "UPDATE":
            stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        self._collect()
        stack.resources = {name: live for name, live in stack.resources.items() if name in wanted}
        stack.template, stack.parameters, stack.outputs = template, parameters, outputs
        stack.become(f"{verb}_COMPLETE")

    @staticmethod
    def _reason(error: Exception) -> str:
        text = str(error) or type(error).__name__
        if isinstance(error, (Failed, Unsupported, ClientError)):
            return text
        return f"{type(error).__name__}: {text}"

    def _apply(self, name: str, body: dict, resolver: Resolver) -> None:
        stack, kind = self.stack, body["Type"]
        resource = handler(kind, stack.account, stack.id, name)
        live = stack.resources.get(name)
        verb, physical_id = ("UPDATE", live.physical_id) if live else ("CREATE", "")
        p: dict = {}
        try:
            p = resolver(body.get("Properties", {}))
            if live and live.type == kind and live.properties == p:
                live.body = body
                return
            stack.event(name, kind, physical_id, f"{verb}_IN_PROGRESS")
            self.attempted[name] = p
            changed = (
                {key for key in {*p, *live.properties} if p.get(key) != live.properties.get(key)} if live else set()
            )
            if live and live.type == kind and not changed & resource.fixed:
                with turn(kind, stack.account):
                    new_id = resource.update(
                        physical_id, dynamic(stack.account, p), dynamic(stack.account, live.properties)
                    )
                status = "UPDATE_COMPLETE"
            else:
                if live:
                    reason = "Requested update requires the creation of a new physical resource"
                    stack.event(name, kind, physical_id, "UPDATE_IN_PROGRESS", reason)
                with turn(kind, stack.account):
                    new_id = resource.create(self._unique(name), dynamic(stack.account, p))
                status = f"{verb}_COMPLETE"
                for told in stack.account.created:
                    told(kind, name, new_id, dynamic(stack.account, p))
        except Exception as error:
            if isinstance(error, Failed):
                physical_id = error.physical_id
                if not live:
                    stack.resources[name] = Live(name, kind, physical_id, p, body, "CREATE_FAILED")
            stack.event(name, kind, physical_id, f"{verb}_FAILED", self._reason(error))
            raise
        if live and live.physical_id != new_id:
            self.garbage.append(live)
        stack.resources[name] = Live(name, kind, new_id, p, body, status)
        stack.event(name, kind, new_id, status)

    def _unique(self, name: str) -> str:
        alphabet = string.ascii_uppercase + string.digits
        return f"{self.stack.name}-{name}-{''.join(secrets.choice(alphabet) for _ in range(12))}"

    def _collect(self) -> None:
        """Delete replaced and removed resources; a failure is only recorded as an event."""
        for live in reversed(self.garbage):
            replaced = live.logical_id in self.stack.resources and self.stack.resources[live.logical_id] is not live
            policy = live.body.get("UpdateReplacePolicy" if replaced else "DeletionPolicy", "Delete")
            self._delete(live, policy)

    def _delete(self, live: Live, policy: str) -> bool:
        stack, kind = self.stack, live.type
        if policy == "Retain":
            stack.event(live.logical_id, kind, live.physical_id, "DELETE_SKIPPED")
            return True
        stack.event(live.logical_id, kind, live.physical_id, "DELETE_IN_PROGRESS")
        resource = handler(kind, stack.account, stack.id, live.logical_id)
        try:
            p = dynamic(stack.account, live.properties)
            with turn(kind, stack.account):
                if policy == "Snapshot":
                    resource.snapshot(live.physical_id, p)
                else:
                    resource.delete(live.physical_id, p)
        except Exception as error:
            if not (isinstance(error, ClientError) and gone(error)):
                stack.event(live.logical_id, kind, live.physical_id, "DELETE_FAILED", self._reason(error))
                return False
        stack.event(live.logical_id, kind, live.physical_id, "DELETE_COMPLETE")
        return True

    def _undo_create(self, reason: str) -> None:
        if self.stack.keep_on_failure:
            self.stack.become("CREATE_FAILED", reason)
            return
        self.stack.become("ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: {reason}")
        failed = self._delete_all(on_create=True)
        self.stack.become("ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE", ", ".join(failed))

    def _undo_update(self, reason: str) -> None:
        stack = self.stack
        stack.become("UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to update: {reason}")
        old_bodies = {name: live.body for name, live in self.before.items()}
        new = [live for name, live in stack.resources.items() if self.before.get(name) is not live]
        for name in ordered(old_bodies):
            if name not in self.attempted:
                continue
            old, current = self.before[name], stack.resources[name]
            if current.physical_id == old.physical_id:
                stack.event(name, old.type, old.physical_id, "UPDATE_IN_PROGRESS")
                try:
                    attempted = dynamic(stack.account, self.attempted[name])
                    handler(old.type, stack.account, stack.id, name).update(
                        old.physical_id, dynamic(stack.account, old.properties), attempted
                    )
                except Exception as error:
                    stack.event(name, old.type, old.physical_id, "UPDATE_FAILED", self._reason(error))
                    stack.become("UPDATE_ROLLBACK_FAILED", self._reason(error))
                    return
            stack.resources[name] = old
            stack.event(name, old.type, old.physical_id, "UPDATE_COMPLETE")
        stack.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        kept = {live.physical_id for live in self.before.values()}
        for live in reversed(new):
            if live.physical_id not in kept:
                self._delete(live, "Delete")
        stack.resources = self.before
        stack.become("UPDATE_ROLLBACK_COMPLETE")

    def delete(self) -> None:
        """Delete the stack, except for retained resources."""
        failed = self._delete_all()
        reason = f"The following resource(s) failed to delete: {', '.join(failed)}" if failed else ""
        self.stack.become("DELETE_FAILED" if failed else "DELETE_COMPLETE", reason)

    def _delete_all(self, on_create: bool = False) -> list[str]:
        bodies = {name: live.body for name, live in self.stack.resources.items()}
        failed: set[str] = set()
        kept: set[str] = set()
        for name in reversed(ordered(bodies)):
            live = self.stack.resources[name]
            if any(name in needs(bodies[other], bodies) for other in failed | kept):
                kept.add(name)  # its dependencies must also be kept
                continue
            policy = live.body.get("DeletionPolicy", "Delete")
            if on_create and policy in ("Snapshot", "RetainExceptOnCreate"):
                policy = "Delete"
            if self._delete(live, policy):
                del self.stack.resources[name]
            else:
                failed.add(name)
        return sorted(failed)
