"""The media bucket: objects by key in S3, read by people through presigned addresses of a single key."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from chimera.adapters.aws.clients import code_of, refuse
from chimera.errors import ChimeraError

MAX_URL_SECONDS = 300
"""spec/rules: a presigned address lives at most five minutes."""
MAX_KEY_BYTES = 1024
TEMPORARY_TAG = "kind=temporary"
"""What the bucket's lifecycle rule for temporary parts looks for."""
_TEMPORARY_TAGGING = "<Tagging><TagSet><Tag><Key>kind</Key><Value>temporary</Value></Tag></TagSet></Tagging>"
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3MediaStore:
    """`client` is a boto3 S3 client. An object appears whole or not at all: S3 does that by itself.

    The role needs `s3:GetObject`, `s3:PutObject` on its prefix and `s3:ListBucket` (without it a key that is not there
    is answered as forbidden).
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_file(self, key: str, path: Path, *, temporary: bool = False) -> str:
        """Store a file, in parts where it is large; its SHA-256 is checked by S3.

        A temporary one gets the tag that the bucket's lifecycle rule deletes after seven days.
        """
        extra = {"ContentType": _type(key), "ChecksumAlgorithm": "SHA256"}
        if temporary:
            extra["Tagging"] = TEMPORARY_TAG
        try:
            self._client.upload_file(str(path), self._bucket, _checked(key), ExtraArgs=extra)
        except S3UploadFailedError as error:  # how the transfer manager wraps a ClientError
            cause = error.__cause__ or error.__context__
            if not isinstance(cause, ClientError | BotoCoreError):
                raise
            refuse(cause, f"storing {key}")
        except (ClientError, BotoCoreError) as error:
            refuse(error, f"storing {key}")
        return f"s3://{self._bucket}/{key}"

    def put_bytes(self, key: str, data: bytes) -> str:
        """Store bytes."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=_checked(key),
                Body=data,
                ContentType=_type(key),
                ChecksumAlgorithm="SHA256",
            )
        except (ClientError, BotoCoreError) as error:
            refuse(error, f"storing {key}")
        return f"s3://{self._bucket}/{key}"

    def get_bytes(self, key: str) -> bytes:
        """The bytes under the key; `NOT_FOUND`."""
        try:
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=_checked(key))["Body"].read()
        except ClientError as error:
            _missing(error, key)
            refuse(error, f"reading {key}")
        except BotoCoreError as error:
            refuse(error, f"reading {key}")
        return data

    def fetch(self, key: str, to: Path) -> Path:
        """Download into `to`, which appears whole; `NOT_FOUND`."""
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._client.download_file(self._bucket, _checked(key), str(to))
        except ClientError as error:
            _missing(error, key)
            refuse(error, f"reading {key}")
        except BotoCoreError as error:
            refuse(error, f"reading {key}")
        return to

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=_checked(key))
        except ClientError as error:
            if code_of(error) in _MISSING:
                return False
            refuse(error, f"looking for {key}")
        except BotoCoreError as error:
            refuse(error, f"looking for {key}")
        return True

    def keys(self, prefix: str) -> list[str]:
        """All keys under a folder-like prefix, sorted."""
        folder = _checked(prefix.rstrip("/")) + "/"
        found: list[str] = []
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder):
                found += [item["Key"] for item in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            refuse(error, f"listing {prefix}")
        return sorted(found)

    def url(self, key: str, *, expires_seconds: int = MAX_URL_SECONDS) -> str:
        """An https address that reads this one key, for 1 to 300 s; made without asking AWS."""
        if not 1 <= expires_seconds <= MAX_URL_SECONDS:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"expires_seconds: got {expires_seconds}, expected 1 to {MAX_URL_SECONDS}",
                {"expires_seconds": expires_seconds},
            )
        address: str = self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": _checked(key)},
            ExpiresIn=expires_seconds,
            HttpMethod="GET",
        )
        return address

    def upload_form(
        self,
        key: str,
        *,
        content_type: str,
        max_bytes: int,
        expires_seconds: int = MAX_URL_SECONDS,
        temporary: bool = False,
    ) -> dict[str, Any]:
        """`{url, fields}` of a POST form that stores this one key, of this type, of at most so many bytes.

        S3 itself refuses another key, another type, more bytes, or a form that is too old. A temporary file gets the tag
        that `put_file` gives it.
        """
        if not 1 <= expires_seconds <= MAX_URL_SECONDS or max_bytes < 1:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"upload: got {expires_seconds} s and {max_bytes} bytes, expected 1-{MAX_URL_SECONDS} s and 1 or more",
                {"expires_seconds": expires_seconds, "max_bytes": max_bytes},
            )
        fixed = {"Content-Type": content_type, **({"tagging": _TEMPORARY_TAGGING} if temporary else {})}
        form: dict[str, Any] = self._client.generate_presigned_post(
            self._bucket,
            _checked(key),
            Fields=dict(fixed),
            Conditions=[*({name: value} for name, value in fixed.items()), ["content-length-range", 1, max_bytes]],
            ExpiresIn=expires_seconds,
        )
        return form


def _checked(key: str) -> str:
    """The key, if it names one object as a path below the root would."""
    parts = key.split("/")
    sound = key and "\0" not in key and len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES
    if not sound or any(part in ("", ".", "..") for part in parts):
        raise ChimeraError("VALIDATION_FAILED", f"media key {key[:200]!r} does not name a file in the store", {})
    return key


def _type(key: str) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def _missing(error: ClientError, key: str) -> None:
    if code_of(error) in _MISSING:
        raise ChimeraError("NOT_FOUND", f"no media under {key!r}", {"key": key}) from None
