"""Runs container jobs as AWS Batch's `submitJob.sync` does: the container's own main.py as a subprocess.

Every job has a folder `$CHIMERA_HOME/work/<job_key>` (its working directory: checkpoints stay there) with a
record that is
written before it starts. After a crash of the engine, the same key finds a finished job, or ends what is
left of it
and starts it again.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import psutil

from chimera.domain.prices import cpu_limit_seconds
from chimera.settings import Settings, child_environment
from chimera_local.job_supervisor import TIMED_OUT, write_json
from chimera_local.postgres import as_role

JSON: TypeAlias = Any
CHECKOUT = Path(__file__).resolve().parents[2]
DEFAULT_TIMEOUT_SECONDS = 3600
GRACE_SECONDS = 5.0
"""From SIGTERM to SIGKILL after a timeout."""
JOB_ROLE = "chimera_artist"
"""The database role of the containers, which draw from the production's purse."""
ESSENTIAL = "Essential container in task exited"
STOP_GRACE_SECONDS = 2.0
"""The same when a job is cancelled: whoever closes the engine waits for it."""
LOG_TAIL_LINES = 20
ID_VARIABLE = "AWS_BATCH_JOB_ID"
"""In the environment of a job and of all it starts: tells them from every other process on the machine."""


@dataclass(frozen=True, kw_only=True)
class JobDefinition:
    """What a job runs, and its limits: bytes of one file, bytes of address space, niceness."""

    program: Path
    """The container's main.py, below the checkout."""
    file_bytes: int = 8 * 1024**3
    memory_bytes: int = 32 * 1024**3
    nice: int = 5


DEFINITIONS = {
    "chimera-render": JobDefinition(program=Path("containers/render/main.py")),
    "chimera-transcribe": JobDefinition(program=Path("containers/transcribe/main.py")),
}


class JobError(Exception):
    """A job that did not succeed: the error name that Retry and Catch see, and its cause (the job as JSON
    text)."""

    def __init__(self, error: str, cause: str | None) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class JobRunner:
    """Runs jobs; thread-safe. At most `parallel` at once, the others wait as in a Batch queue."""

    def __init__(
        self,
        settings: Settings,
        root: Path = CHECKOUT,
        *,
        definitions: Mapping[str, JobDefinition] | None = None,
        parallel: int | None = None,
    ) -> None:
        self._settings = settings
        self._definitions = {
            name: replace(definition, program=root / definition.program)
            for name, definition in (DEFINITIONS if definitions is None else definitions).items()
        }
        self._closing = threading.Event()
        # a render uses every core by itself
        self._slots = threading.BoundedSemaphore(parallel or max(1, (os.cpu_count() or 1) // 4))

    def run(
        self,
        job_key: str,
        arguments: JSON,
        *,
        timeout_seconds: float | None = None,
        cancel: threading.Event | None = None,
    ) -> JSON:
        """Run the job to its end and give it as DescribeJobs does. The same key and arguments run once.

        Raises `JobError`: `States.TaskFailed` with the job as cause when it fails, `States.Timeout` after
        `timeout_seconds` in all, `Batch.ClientException` for arguments Batch would refuse.
        """
        job = _Job(self._settings, self._definitions, job_key, arguments)
        done = job.finished()
        if done is not None:
            return done
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        cancels = (cancel, self._closing) if cancel is not None else (self._closing,)
        while not self._slots.acquire(timeout=0.1):
            _check(cancels, deadline)
        try:
            job.end_leftovers()
            return job.run(cancels, deadline)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Stop every job that runs (SIGTERM, then SIGKILL); the same key resumes it another day."""
        self._closing.set()

    def progress(self, job_key: str) -> float | None:
        """The last `progress 0.42` that the job printed (0 to 1), None before the first."""
        return _progress(_log_path(self._settings, job_key))

    def prune(self, *, older_than_seconds: float = 7 * 86_400) -> int:
        """Delete the folders of jobs that ended (or were left) that long ago; how many."""
        gone = 0
        oldest = time.time() - older_than_seconds
        for record in (self._settings.home_path / "work").glob("*/job.json"):
            if record.stat().st_mtime < oldest:
                shutil.rmtree(record.parent, ignore_errors=True)
                gone += 1
        return gone


def progress_of(home: Path, name_part: str) -> float | None:
    """How far the running job is whose JobName holds `name_part` (0 to 1); None if none runs or it has not
    said.

    Reads files only, so any process may ask.
    """
    running = []
    for path in (home / "work").glob("*/job.json"):
        record = _read(path)
        if name_part in record.get("job_name", "") and record.get("answer") is None and not record.get("failed"):
            running.append((record.get("started_at", 0.0), path.parent.name))
    return _progress(home / "logs" / "jobs" / f"{max(running)[1]}.log") if running else None


def folder_name(job_key: str) -> str:
    """A job key as a file name: itself where that is safe, else shortened with a hash."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", job_key):
        return job_key
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", job_key).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(job_key.encode()).hexdigest()[:16]}"


def _log_path(settings: Settings, job_key: str) -> Path:
    return settings.home_path / "logs" / "jobs" / f"{folder_name(job_key)}.log"


def _tail(log: Path, size: int = 65_536) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def _progress(log: Path) -> float | None:
    for line in reversed(_tail(log)):
        if line.startswith("--- attempt"):
            return None
        found = re.fullmatch(r"progress ([01](?:\.\d+)?)", line.strip())
        if found:
            return min(1.0, float(found[1]))
    return None


def _check(cancels: Sequence[threading.Event], deadline: float | None) -> None:
    if _any(cancels):
        raise JobError("States.Timeout", "cancelled")
    if deadline is not None and time.monotonic() >= deadline:
        raise JobError("States.Timeout", None)


def _any(events: Sequence[threading.Event]) -> bool:
    return any(event.is_set() for event in events)


class _Job:
    """One job under one key."""

    def __init__(
        self, settings: Settings, definitions: Mapping[str, JobDefinition], job_key: str, arguments: JSON
    ) -> None:
        self._settings = settings
        self._arguments = arguments
        self._name = _text(arguments, "JobName")
        wanted = _text(arguments, "JobDefinition").rsplit("/", 1)[-1].split(":")[0]
        self._queue = _text(arguments, "JobQueue")
        if wanted not in definitions:
            raise _refused(f"JobDefinition {wanted!r} is not known; there are: {', '.join(sorted(definitions))}")
        self._definition = definitions[wanted]
        if not self._definition.program.is_file():
            raise _refused(f"the program of JobDefinition {wanted!r} is missing: {self._definition.program}")
        overrides = arguments.get("ContainerOverrides") or {}
        command = overrides.get("Command") or []
        if not isinstance(command, list) or not all(isinstance(part, str) and "\0" not in part for part in command):
            raise _refused("ContainerOverrides.Command is not a list of strings")
        self._argv = [sys.executable, str(self._definition.program), *command]
        self._environment = _environment(overrides.get("Environment") or [])
        self._attempts = _whole(arguments.get("RetryStrategy") or {}, "Attempts", 1, 1, 10)
        self._rules = _rules(arguments.get("RetryStrategy") or {})
        self._timeout = _whole(
            arguments.get("Timeout") or {}, "AttemptDurationSeconds", DEFAULT_TIMEOUT_SECONDS, 1, 14 * 86_400
        )
        self._folder = settings.home_path / "work" / folder_name(job_key)
        self._record_path = self._folder / "job.json"
        self._outcome_path = self._folder / "outcome.json"
        self._log = _log_path(settings, job_key)
        fingerprint = json.dumps([self._argv[1:], arguments], sort_keys=True).encode()
        self._fingerprint = hashlib.sha256(fingerprint).hexdigest()
        self._record = _read(self._record_path)

    def finished(self) -> JSON | None:
        """The answer of an earlier success under this key, even if the engine did not live to see it."""
        record = self._record
        if record.get("fingerprint") != self._fingerprint:
            return None
        if record.get("answer") is not None:
            return record["answer"]
        outcome = _read(self._outcome_path)
        succeeded = outcome.get("exit_code") == 0 and not outcome.get("reason")
        if succeeded and outcome.get("job_id") == record.get("job_id"):
            record["attempts"].append(self._attempt(record["started_at"], outcome))
            return self._succeed(record)
        return None

    def end_leftovers(self) -> None:
        """Kill whatever an earlier run of this job left running; told by its id in the environment."""
        job_id = self._record.get("job_id")
        if not job_id or self._record.get("answer") is not None:
            return
        for _ in range(10):  # again, until none is found: one may have started another meanwhile
            left = []
            for process in psutil.process_iter():
                try:
                    if process.pid != os.getpid() and process.environ().get(ID_VARIABLE) == job_id:
                        process.kill()  # psutil compares the creation time, so never a pid's next owner
                        left.append(process)
                except (psutil.Error, OSError):
                    continue  # not ours to look into, or gone
            if not left:
                return
            psutil.wait_procs(left, timeout=2)

    def run(self, cancels: Sequence[threading.Event], deadline: float | None) -> JSON:
        """Attempt after attempt, until one succeeds or none is left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        record: dict[str, Any] = {
            "job_id": str(uuid.uuid4()),
            "job_name": self._name,
            "fingerprint": self._fingerprint,
            "argv": self._argv,
            "created_at": time.time(),
            "attempts": [],
            "answer": None,
        }
        for number in range(1, self._attempts + 1):
            _check(cancels, deadline)
            outcome = self._run_once(record, number, cancels, deadline)
            record["attempts"].append(self._attempt(record["started_at"], outcome))
            if outcome["exit_code"] == 0 and not outcome["reason"]:
                return self._succeed(record)
            write_json(self._record_path, record)
            _check(cancels, deadline)
            if outcome["reason"] == TIMED_OUT or not self._again(outcome):
                break  # Batch does not repeat an attempt that took too long
        record["failed"] = True
        write_json(self._record_path, record)
        job = self._describe(record, "FAILED")
        job["StatusReason"] = job["Attempts"][-1]["StatusReason"]
        lines = [line[:500] for line in _tail(self._log) if not line.startswith(("progress ", "--- attempt"))]
        job["LogTail"] = lines[-LOG_TAIL_LINES:]
        said = _error_body(lines)
        if said:
            job["Cause"] = said  # the job's own words in the contract's error body, where it left any
        raise JobError("States.TaskFailed", json.dumps(job, ensure_ascii=False, separators=(",", ":")))

    def _again(self, outcome: Mapping[str, Any]) -> bool:
        """What EvaluateOnExit says of a failed attempt; without a rule that fits, Batch repeats it."""
        said = {"OnExitCode": str(outcome["exit_code"]), "OnStatusReason": str(outcome["reason"] or ESSENTIAL)}
        for rule in self._rules:
            asked = {name: pattern for name, pattern in rule.items() if name != "Action"}
            if all(fnmatch.fnmatchcase(said.get(name, ""), pattern) for name, pattern in asked.items()):
                return rule["Action"] == "RETRY"
        return True

    def _run_once(
        self, record: dict[str, Any], number: int, cancels: Sequence[threading.Event], deadline: float | None
    ) -> dict[str, Any]:
        self._outcome_path.unlink(missing_ok=True)
        record["started_at"] = time.time()
        write_json(self._record_path, record)  # before it starts: a crash from here on is seen by the next call
        with self._log.open("ab") as log:
            log.write(f"--- attempt {number} of job {record['job_id']}\n".encode())
        definition = self._definition
        spec = {
            "job_id": record["job_id"],
            "argv": self._argv,
            "cwd": str(self._folder),
            "log": str(self._log),
            "outcome": str(self._outcome_path),
            "timeout_seconds": self._timeout,
            "grace_seconds": GRACE_SECONDS,
            "stop_grace_seconds": STOP_GRACE_SECONDS,
            "limits": {
                "RLIMIT_CPU": cpu_limit_seconds(self._timeout),
                "RLIMIT_FSIZE": definition.file_bytes,
                "RLIMIT_AS": definition.memory_bytes,
                "RLIMIT_CORE": 0,
                "nice": definition.nice,
            },
        }
        spec_path = self._folder / "spec.json"
        write_json(spec_path, spec)
        environment = child_environment(
            self._settings,
            **self._environment,
            **{
                ID_VARIABLE: record["job_id"],
                "AWS_BATCH_JOB_ATTEMPT": str(number),
                "AWS_BATCH_JQ_NAME": self._queue,
                "CHIMERA_DATABASE_URL": as_role(self._settings.database_url, JOB_ROLE),
            },
        )
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "chimera_local.job_supervisor", str(spec_path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        asked = False
        try:
            while supervisor.poll() is None:
                late = deadline is not None and time.monotonic() >= deadline
                if (late or _any(cancels)) and not asked:
                    asked = True
                    _ask_to_stop(supervisor)
                try:
                    supervisor.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if supervisor.stdin is not None:
                supervisor.stdin.close()  # the lifeline: whatever is left ends now
            supervisor.wait()
        outcome = _read(self._outcome_path)
        if not outcome:
            self._record = record
            self.end_leftovers()
            code = supervisor.returncode
            why = signal.Signals(-code).name if code < 0 else code
            # what Batch says when the machine under a job is taken away: nothing the job did
            reason = f"Host EC2 (this machine) terminated: the job's supervisor was ended ({why})."
            outcome = {"exit_code": 137, "reason": reason, "stopped_at": time.time()}
        return outcome

    def _attempt(self, started_at: float, outcome: Mapping[str, Any]) -> dict[str, Any]:
        exit_code = int(outcome["exit_code"])
        container: dict[str, Any] = {"ExitCode": exit_code, "LogStreamName": self._log.name}
        if exit_code == 137:
            container["Reason"] = "Killed"
        return {
            "Container": container,
            "StartedAt": int(started_at * 1000),
            "StoppedAt": int(float(outcome["stopped_at"]) * 1000),
            "StatusReason": outcome["reason"] or ESSENTIAL,
        }

    def _succeed(self, record: dict[str, Any]) -> JSON:
        record["answer"] = self._describe(record, "SUCCEEDED")
        write_json(self._record_path, record)
        self._outcome_path.unlink(missing_ok=True)
        return record["answer"]

    def _describe(self, record: Mapping[str, Any], status: str) -> dict[str, Any]:
        attempts = record["attempts"]
        return {
            "JobId": record["job_id"],
            "JobName": self._name,
            "JobDefinition": self._arguments["JobDefinition"],
            "JobQueue": self._queue,
            "Status": status,
            "CreatedAt": int(record["created_at"] * 1000),
            "StartedAt": attempts[0]["StartedAt"],
            "StoppedAt": attempts[-1]["StoppedAt"],
            "Attempts": list(attempts),
            "Container": {"Command": self._argv[2:], **attempts[-1]["Container"]},
            "Timeout": {"AttemptDurationSeconds": self._timeout},
        }


def _ask_to_stop(supervisor: subprocess.Popen[bytes]) -> None:
    try:
        if supervisor.stdin is not None:
            supervisor.stdin.write(b"stop\n")
            supervisor.stdin.flush()
    except BrokenPipeError:
        pass  # it has just ended


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _error_body(lines: list[str]) -> str | None:
    for line in reversed(lines[-LOG_TAIL_LINES:]):
        if line.startswith("{") and '"error"' in line:
            try:
                body = json.loads(line)
            except ValueError:
                continue
            if isinstance(body, dict) and isinstance(body.get("error"), dict) and "code" in body["error"]:
                return line
    return None


def _refused(why: str) -> JobError:
    return JobError("Batch.ClientException", f"Error executing request, Exception : {why}")


def _text(arguments: JSON, name: str) -> str:
    value = arguments.get(name) if isinstance(arguments, dict) else None
    if not isinstance(value, str) or not value:
        raise _refused(f"{name} must be a string that is not empty, but was {json.dumps(value)[:100]}")
    return value


def _whole(holder: JSON, name: str, default: int, low: int, high: int) -> int:
    value = holder.get(name, default) if isinstance(holder, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _refused(f"{name} must be a number from {low} to {high}, but was {json.dumps(value)[:100]}")
    return int(value)


def _rules(strategy: JSON) -> list[dict[str, str]]:
    """EvaluateOnExit's rules: patterns that may end in `*`, and RETRY or EXIT."""
    rules: JSON = strategy.get("EvaluateOnExit", []) if isinstance(strategy, dict) else None
    fits = isinstance(rules, list) and len(rules) <= 5
    for rule in rules if isinstance(rules, list) else []:
        fits = fits and isinstance(rule, dict) and all(isinstance(v, str) for v in rule.values())
        fits = fits and {"Action"} < set(rule) <= {"Action", "OnExitCode", "OnStatusReason", "OnReason"}
        fits = fits and str(rule["Action"]).upper() in ("RETRY", "EXIT")
    if not fits:
        raise _refused("RetryStrategy.EvaluateOnExit must be at most 5 rules of {On…: pattern, Action: RETRY or EXIT}")
    return [{**rule, "Action": rule["Action"].upper()} for rule in rules or []]


def _environment(pairs: JSON) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs if isinstance(pairs, list) else [None]:
        name, value = (pair.get("Name"), pair.get("Value")) if isinstance(pair, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_]\w{0,127}", name):
            raise _refused("ContainerOverrides.Environment must be a list of {Name, Value} with strings")
        if name.startswith("AWS_BATCH"):
            raise _refused(f"the environment variable {name} is reserved")
        found[name] = value
    return found
