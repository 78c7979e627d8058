"""boto3 clients with one policy: short time-outs, the standard retry mode, the region that the settings name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from chimera.errors import ChimeraError

CONNECT_SECONDS = 3.0
READ_SECONDS = 20.0
ATTEMPTS = 3
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "LimitExceededException",
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"})


@lru_cache(maxsize=32)
def client(service: str, region: str, endpoint: str = "") -> Any:
    """A client that the whole process shares (boto3 clients are thread-safe). `endpoint` stands in for AWS in tests."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        signature_version="s3v4" if service == "s3" else None,
        # "virtual", said outright, signs addresses of the region's own host: the global one redirects for hours after a
        # bucket was made, which a posted form does not survive, and knows no opt-in region
        s3={"addressing_style": "path" if endpoint else "virtual"} if service == "s3" else None,
    )
    make: Any = boto3.client
    return make(service, region_name=region, endpoint_url=endpoint or None, config=config)


def code_of(error: ClientError) -> str:
    """AWS's name of an error: `AccessDenied`, `404`, …"""
    return str(error.response.get("Error", {}).get("Code", ""))


def refuse(error: ClientError | BotoCoreError, doing: str) -> NoReturn:
    """An AWS error that means nothing special to the caller as one of ours: throttled, denied, or away.

    The message names the operation, AWS's code and its request id, never what was sent.
    """
    if not isinstance(error, ClientError):
        raise ChimeraError(
            "PROVIDER_TIMEOUT", f"{doing}: AWS does not answer", {"reason": type(error).__name__}
        ) from error
    code = code_of(error)
    details = {"aws_code": code, "aws_request_id": error.response.get("ResponseMetadata", {}).get("RequestId", "")}
    if code in THROTTLED:
        raise ChimeraError("RATE_LIMITED", f"{doing}: AWS asks for fewer requests ({code})", details) from error
    if code in DENIED:
        raise ChimeraError("FORBIDDEN", f"{doing}: this role may not ({code})", details) from error
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= 500:
        raise ChimeraError("PROVIDER_TIMEOUT", f"{doing}: AWS failed ({code})", details) from error
    raise ChimeraError("PROVIDER_REJECTED", f"{doing}: AWS refused it ({code})", details) from error
