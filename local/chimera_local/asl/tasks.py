"""Task states: functions, container jobs, nested executions, and waiting for a task token."""

from __future__ import annotations

from typing import Any

from chimera_local.asl.base import Move, StepBase
from chimera_local.asl.errors import (
    HEARTBEAT_TIMEOUT,
    TASK_FAILED,
    TIMEOUT,
    DataLimitExceeded,
    EvaluationError,
    StatesError,
    exceeds_limit,
)
from chimera_local.asl.expressions import Scope, compact, type_name
from chimera_local.asl.frame import NestedState, Request, Signal, iso
from chimera_local.asl.model import JSON
from chimera_local.asl.resources import Resource, last_part, parse_resource


class TaskMixin(StepBase):
    """The part of a Step that schedules tasks and takes in their results."""

    def task_start(self) -> Request:
        """Evaluate the task's fields, write that it is scheduled, and ask for the call."""
        resource = parse_resource(self.body["Resource"], self.name)
        token = self.world.open_token() if resource.pattern == "token" else None
        scope = self.scope()
        if token is not None:
            scope = scope.extended(context=self.context(Task={"Token": token}))
        arguments = self.frame.input
        if "Arguments" in self.body:
            arguments = scope.template(self.body["Arguments"], "Arguments")
        if "Credentials" in self.body:
            scope.template(self.body["Credentials"], "Credentials")
        limits: dict[str, int] = {
            field: self._positive(field, scope)
            for field in ("TimeoutSeconds", "HeartbeatSeconds")
            if field in self.body
        }
        if resource.pattern != "direct":
            self._require(resource, arguments)
        self._emit_scheduled(resource, arguments, limits)
        self.frame.calls += 1
        timeout = limits.get("TimeoutSeconds")
        phase: dict[str, Any] = {
            "kind": "call",
            "resource": resource.arn,
            "arguments": arguments,
            "timeout": timeout,
            "deadline": None if timeout is None else self.world.now() + timeout,
            "heartbeat": limits.get("HeartbeatSeconds"),
            "token": token,
            "job_key": f"{self.frame.scope}:{self.frame.calls}",
        }
        self.frame.phase = phase
        if resource.kind == "execution":
            return self._nested_start(resource, arguments, phase)
        if resource.kind == "job":
            self._emit_task("TaskSubmitted", resource, output={"JobId": phase["job_key"]})
        return {"kind": "call"}

    def task_progress(self, phase: dict[str, Any], signal: Signal) -> Move | Request:
        """The call came back, the token was answered or its time is over, the nested execution ended."""
        resource = parse_resource(phase["resource"], self.name)
        if phase["kind"] == "call":
            return self._call_returned(resource, phase, signal)
        if phase["kind"] == "token":
            return self._token_progress(resource, phase)
        return self._nested_progress(resource, phase)

    def _positive(self, field: str, scope: Scope) -> int:
        value = scope.typed(self.body[field], field, "number")
        if int(value) != value or value < 1:
            raise EvaluationError(f"The {field} field must be a positive whole number but was: {value}", field)
        return int(value)

    def _require(self, resource: Resource, arguments: JSON) -> None:
        if not isinstance(arguments, dict):
            raise EvaluationError(
                "The JSONata expression specified for the field 'Arguments' returned an unexpected result "
                f"type. Expected 'object', but was '{type_name(arguments)}' for value: {compact(arguments)}",
                "Arguments",
            )
        for field in resource.required:
            if not isinstance(arguments.get(field), str):
                raise EvaluationError(
                    f"The field '{field}' must be a string but was: {compact(arguments.get(field))}",
                    f"Arguments/{field}",
                )

    # -- history -----------------------------------------------------------------------------------------

    def _emit_task(self, event: str, resource: Resource, **details: JSON) -> None:
        if resource.pattern != "direct":
            details = {"resource": resource.action, "resourceType": resource.service, **details}
        self.emit(event, **details)

    def _emit_scheduled(self, resource: Resource, arguments: JSON, limits: dict[str, int]) -> None:
        details: dict[str, JSON] = {}
        if "TimeoutSeconds" in limits:
            details["timeoutInSeconds"] = limits["TimeoutSeconds"]
        if "HeartbeatSeconds" in limits:
            details["heartbeatInSeconds"] = limits["HeartbeatSeconds"]
        if resource.pattern == "direct":
            self.emit("LambdaFunctionScheduled", resource=resource.arn, input=arguments, **details)
        else:
            self._emit_task("TaskScheduled", resource, parameters=arguments, **details)
        self._emit_task(f"{resource.event_prefix}Started", resource)

    def _task_failed(self, resource: Resource, failure: StatesError) -> StatesError:
        event = "TimedOut" if failure.error == TIMEOUT else "Failed"
        details = {"error": failure.error, "cause": failure.cause}
        self._emit_task(
            f"{resource.event_prefix}{event}",
            resource,
            **{key: value for key, value in details.items() if value is not None},
        )
        return failure

    def _task_done(self, resource: Resource, result: JSON) -> Move:
        if exceeds_limit(result):
            raise self._task_failed(resource, DataLimitExceeded(resource.limit_name))
        self._emit_task(f"{resource.event_prefix}Succeeded", resource, output=result)
        self.frame.phase = None
        return self.leave(self.body, result, result=result)

    # -- functions and jobs ------------------------------------------------------------------------------

    def _call_returned(self, resource: Resource, phase: dict[str, Any], signal: Signal) -> Move | Request:
        if signal["kind"] not in ("result", "failure"):
            return {"kind": "call"}
        if signal.get("timed_out"):
            raise self._task_failed(resource, StatesError(TIMEOUT, caught_cause=""))
        if signal["kind"] == "failure":
            cause = signal.get("cause")
            if phase["token"]:
                self.world.close_token(phase["token"])
            raise self._task_failed(resource, StatesError(signal.get("error"), cause))
        output = signal.get("output")
        if resource.pattern == "direct" or resource.kind == "job":
            return self._task_done(resource, output)
        if exceeds_limit(output):
            raise self._task_failed(resource, DataLimitExceeded(resource.limit_name))
        answer = invocation(output, self.world.uuid(), self.world.now())
        if resource.pattern == "response":
            return self._task_done(resource, answer)
        self._emit_task("TaskSubmitted", resource, output=answer)
        phase["kind"] = "token"
        phase["arguments"] = None
        return self._token_progress(resource, phase)

    # -- task tokens -------------------------------------------------------------------------------------

    def _token_progress(self, resource: Resource, phase: dict[str, Any]) -> Move | Request:
        token = phase["token"]
        state = self.world.token(token)
        if state.status == "SUCCEEDED":
            return self._task_done(resource, state.output)
        if state.status == "FAILED":
            raise self._task_failed(resource, StatesError(state.error, state.cause))
        now = self.world.now()
        silent_until = None if phase["heartbeat"] is None else state.heartbeat_at + phase["heartbeat"]
        limits = [limit for limit in (phase["deadline"], silent_until) if limit is not None]
        left = min(limits) - now if limits else None
        if left is None or left > 0:
            return {"kind": "wait", "seconds": left}
        self.world.close_token(token)
        missed = phase["deadline"] is None or now < phase["deadline"]
        raise self._task_failed(
            resource, StatesError(TIMEOUT, aliases=(HEARTBEAT_TIMEOUT,) if missed else (), caught_cause="")
        )

    # -- nested executions -------------------------------------------------------------------------------

    def _nested_start(self, resource: Resource, arguments: dict[str, JSON], phase: dict[str, Any]) -> Request:
        name = arguments.get("Name")
        try:
            nested = self.world.start_nested(
                last_part(arguments["StateMachineArn"]),
                name if isinstance(name, str) else self.world.uuid(),
                arguments.get("Input"),
                self.frame,
            )
        except StatesError as failure:
            raise self._task_failed(resource, failure) from failure
        started = {
            "ExecutionArn": nested.execution_arn,
            "StartDate": iso(nested.started_at),
            **sdk_metadata(self.world.uuid(), self.world.now(), 160),
        }
        if resource.pattern == "response":
            # Spawned by this request, before the state may end.
            self.frame.phase = {"kind": "started", "resource": resource.arn, "output": started}
            return {"kind": "continue", "spawn": [nested.id]}
        self._emit_task("TaskSubmitted", resource, output=started)
        self.frame.phase = {**phase, "kind": "nested", "id": nested.id, "arguments": None}
        return {"kind": "wait", "seconds": phase["timeout"], "spawn": [nested.id]}

    def _nested_progress(self, resource: Resource, phase: dict[str, Any]) -> Move | Request:
        if phase["kind"] == "started":
            return self._task_done(resource, phase["output"])
        nested = self.world.nested(phase["id"])
        if nested.status == "RUNNING":
            left = None if phase["deadline"] is None else phase["deadline"] - self.world.now()
            if left is None or left > 0:
                return {"kind": "wait", "seconds": left}
            self.world.stop_nested(nested.id)
            self.frame.phase = None
            raise self._task_failed(resource, StatesError(TIMEOUT, caught_cause=""))
        if nested.status == "SUCCEEDED":
            return self._task_done(resource, self._nested_output(nested, as_text=resource.pattern == "sync"))
        cause = compact(self._nested_failure(nested))
        raise self._task_failed(resource, StatesError(TASK_FAILED, cause))

    def _nested_description(self, nested: NestedState, as_text: bool) -> dict[str, JSON]:
        return {
            "ExecutionArn": nested.execution_arn,
            "Input": compact(nested.input) if as_text else nested.input,
            "InputDetails": {"Included": True},
            "Name": nested.name,
            "StartDate": int(nested.started_at * 1000),
            "StateMachineArn": nested.machine_arn,
            "Status": nested.status,
            "StopDate": int((nested.stopped_at or nested.started_at) * 1000),
        }

    def _nested_output(self, nested: NestedState, as_text: bool) -> dict[str, JSON]:
        return {
            **self._nested_description(nested, as_text),
            "Output": compact(nested.output) if as_text else nested.output,
            "OutputDetails": {"Included": True},
            "RedriveCount": 0,
            "RedriveStatus": "NOT_REDRIVABLE",
            "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        }

    def _nested_failure(self, nested: NestedState) -> dict[str, JSON]:
        ended = {"Cause": nested.cause, "Error": nested.error}
        known = {key: value for key, value in ended.items() if value is not None}
        return {**known, **self._nested_description(nested, as_text=True)}


def sdk_metadata(request_id: str, now: float, length: int) -> dict[str, JSON]:
    """What the AWS SDK adds to every answer; recorded as wildcards, here with the same shape."""
    headers = {"Content-Type": "application/json", "Content-Length": str(length), "Date": iso(now)}
    headers["x-amzn-RequestId"] = request_id
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {key: [value] for key, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
    }


def invocation(payload: JSON, request_id: str, now: float) -> dict[str, JSON]:
    """The result of `lambda:invoke` around a function's return value."""
    return {
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        **sdk_metadata(request_id, now, len(compact(payload))),
        "StatusCode": 200,
    }
