"""Anchored seals on AWS: one object a seal in an S3 bucket with Object Lock in compliance mode.

Nobody, the account's root included, can delete or overwrite a version before its retention ends. What can be done is to
put a delete marker and newer versions above it: so the oldest version of a key is the seal, whatever lies above.
The bucket needs versioning and Object Lock, best in an account of its own; the writer needs `s3:PutObject`,
`s3:PutObjectRetention`, `s3:GetObjectVersion` and `s3:ListBucketVersions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chimera.adapters.aws.clients import refuse
from chimera.domain.ids import is_uuid
from chimera.domain.seals import Seal, already_anchored, read_record, to_record
from chimera.errors import ChimeraError

_NAME = re.compile(r"(\d{12})\.json")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class S3SealAnchor:
    """`<prefix><tenant>/<number, 12 digits>.json`, locked for `retain_days` days from its writing (1 to 36,500).

    `client` is a boto3 S3 client.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        tenant_id: str,
        *,
        retain_days: int,
        prefix: str = "seals/",
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        if not is_uuid(tenant_id):
            raise ChimeraError("VALIDATION_FAILED", f"tenant: got {tenant_id[:80]!r}, expected a UUID")
        if not 1 <= retain_days <= 36_500:
            raise ChimeraError("VALIDATION_FAILED", f"retain_days: got {retain_days}, expected 1-36500")
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}{tenant_id}/"
        self._retain = timedelta(days=retain_days)
        self._now = now

    def keep(self, seal: Seal) -> None:
        """Put the seal, once; durable when it returns. `CONFLICT` when other bytes are there already."""
        key, record = self._key(seal.number), to_record(seal)
        if self._oldest(key) is None:  # a delete marker would let the conditional write through
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=record,
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                    ObjectLockMode="COMPLIANCE",
                    ObjectLockRetainUntilDate=self._now() + self._retain,
                )
            except ClientError as error:
                # 412: there is one; 409 (ConditionalRequestConflict): one is being written this moment
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (409, 412):
                    refuse(error, "anchoring a seal")
            except BotoCoreError as error:
                refuse(error, "anchoring a seal")
        kept = self._read(key)
        if kept is None:  # a twin's write was refused too
            raise ChimeraError("DATABASE_WAKING", f"seal {seal.number} is being anchored by another; ask again")
        if kept != record:
            raise already_anchored(seal, f"s3://{self._bucket}/{key}")

    def get(self, number: int) -> Seal | None:
        """The seal of a number."""
        key = self._key(number)
        record = self._read(key)
        return None if record is None else read_record(record, f"s3://{self._bucket}/{key}", number)

    def all(self) -> Iterator[Seal]:
        """Every seal, in order of number."""
        for key, version in sorted(self._versions(self._prefix).items()):
            found = _NAME.fullmatch(key.removeprefix(self._prefix))
            if found:
                yield read_record(self._fetch(key, version), f"s3://{self._bucket}/{key}", int(found[1]))

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}.json"

    def _read(self, key: str) -> bytes | None:
        version = self._oldest(key)
        return None if version is None else self._fetch(key, version)

    def _oldest(self, key: str) -> str | None:
        return self._versions(key).get(key)

    def _versions(self, prefix: str) -> dict[str, str]:
        """The oldest version of each key; S3 lists a key's versions newest first."""
        oldest: dict[str, str] = {}
        try:
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for version in page.get("Versions", []):
                    oldest[version["Key"]] = version["VersionId"]
        except (ClientError, BotoCoreError) as error:
            refuse(error, "listing the anchored seals")
        return oldest

    def _fetch(self, key: str, version: str) -> bytes:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version)
            body: bytes = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            refuse(error, "reading an anchored seal")
        return body
