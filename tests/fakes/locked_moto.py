"""DynamoDB's API as moto speaks it, over a real socket, behind one lock: moto itself overspends under threads.

moto has no lock around a condition and the write that rests on it, and a transaction that fails puts back a copy of the
table that may be older than another one's success. With the lock every request is handled alone, which is what DynamoDB
promises; it never shows a transaction conflict, so those are injected (`conflicting`).
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.serving import make_server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

TABLE = "chimera-test"


class _Locked:
    """A WSGI application that handles one request at a time, its answer included."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            return list(self._application(environ, start_response))


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing on stderr."""


@contextlib.contextmanager
def moto_server(*, locked: bool = True) -> Iterator[str]:
    """A server on this machine; its address. `locked=False` is moto as it comes."""
    application: Any = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", 0, _Locked(application) if locked else application, threaded=True, request_handler=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def dynamo_client(url: str, *, retries: int = 0) -> Any:
    """A boto3 client of that server, for 64 threads."""
    config = Config(
        retries={"max_attempts": retries, "mode": "standard"},
        max_pool_connections=64,
        connect_timeout=5,
        read_timeout=60,
    )
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


def make_table(client: Any, name: str = TABLE) -> str:
    """The one table, as the stack makes it."""
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


class Conflicting:
    """A client that fails chosen operations as DynamoDB does under contention, before or after they take effect."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.plan: list[tuple[str, ClientError, bool]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def fail(
        self, operation: str, *reasons: str, times: int = 1, done: bool = False, code: str = "", status: int = 400
    ) -> None:
        """The next calls of an operation fail with these cancellation reasons, or with a code.

        `done`: the operation took effect all the same, and only its answer is lost.
        """
        name = code or "TransactionCanceledException"
        response: Any = {
            "Error": {"Code": name, "Message": "injected"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        if not code:
            response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
        self.plan += [(operation, ClientError(response, operation), done)] * times

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def run(**arguments: Any) -> Any:
            self.calls.append((operation, arguments))
            for planned in self.plan:
                if planned[0] == operation:
                    self.plan.remove(planned)
                    if planned[2]:
                        getattr(self._client, operation)(**arguments)
                    raise planned[1]
            return getattr(self._client, operation)(**arguments)

        return run
