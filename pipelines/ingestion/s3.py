"""Objects under an S3 prefix, read with boto3: GetObject, HeadObject and ListObjectsV2, nothing else.

Belongs here: pinned and verified downloads, bounded retries, errors with a remedy. Does not: what the objects mean.
Credentials come from boto3's usual chain only (environment, profile, instance role).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError, DeliveryRefused, UsageError
from pipelines.ingestion.objects import CHUNK, ObjectInfo, check_key

ATTEMPTS = 4  # of one body; boto3 retries what fails before the body begins
BACKOFF_SECONDS = 0.2
DEFAULT_REGION = "us-east-1"  # where AWS delivers its exports from
_BUCKET = re.compile(r"[a-z0-9A-Z][a-zA-Z0-9._-]{1,254}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_GONE = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed"}
_REMEDIES = {
    "NoSuchBucket": "correct the bucket's name in `location`",
    "AccessDenied": "allow s3:GetObject on the prefix and s3:ListBucket on the bucket (kms:Decrypt where it is encrypted)",
    "403": "allow s3:GetObject on the prefix and s3:ListBucket on the bucket (kms:Decrypt where it is encrypted)",
    "ExpiredToken": "renew the credentials and run again",
    "InvalidAccessKeyId": "check the credentials that boto3 finds (environment, profile, instance role)",
    "SignatureDoesNotMatch": "check the credentials that boto3 finds (environment, profile, instance role)",
    "PermanentRedirect": "set AWS_DEFAULT_REGION to the bucket's region",
    "301": "set AWS_DEFAULT_REGION to the bucket's region",
    "InvalidObjectState": "the object is archived: restore it, or keep the bill in a storage class that can be read at once",
}


class _Broken(Exception):
    """A body that did not arrive whole; worth another attempt."""


class S3Store:
    """An S3 prefix; see ``ObjectStore`` for the methods."""

    def __init__(self, location: str, endpoint_url: str | None) -> None:
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise UsageError(f"not an S3 location: {location}", remedy="use s3://bucket/prefix")
        self.location = location.rstrip("/")
        self.bucket = bucket
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.endpoint_url = endpoint_url

    @cached_property
    def client(self) -> Any:
        """The boto3 client; path-style addresses where an endpoint is configured."""
        import boto3
        from botocore.config import Config

        session = boto3.Session()
        config = Config(
            retries={"max_attempts": 5, "mode": "standard"},
            connect_timeout=10,
            read_timeout=60,
            s3={"addressing_style": "path"} if self.endpoint_url else None,
        )
        return session.client("s3", region_name=session.region_name or DEFAULT_REGION, endpoint_url=self.endpoint_url, config=config)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        with self._explained(f"{self.location}/{prefix}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
            for page in pages:
                for item in page.get("Contents", []):
                    key = item["Key"].removeprefix(self.prefix)
                    if key and not key.endswith("/") and not key.rpartition("/")[2].startswith("."):
                        yield ObjectInfo(key, item["Size"], item["LastModified"].isoformat(), item["ETag"].strip('"'))

    def stat(self, key: str) -> ObjectInfo | None:
        from botocore.exceptions import ClientError

        with self._explained(f"{self.location}/{key}"):
            try:
                head = self.client.head_object(Bucket=self.bucket, Key=self._key(key))
            except ClientError as error:
                if error.response["Error"]["Code"] in _GONE:
                    return None
                raise
        return ObjectInfo(key, head["ContentLength"], head["LastModified"].isoformat(), head["ETag"].strip('"'))

    def read(self, key: str, limit: int = 32 << 20) -> bytes:
        content = bytearray()

        def attempt() -> None:
            content.clear()
            response = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
            if response["ContentLength"] > limit:
                raise DeliveryRefused(f"object larger than {limit:,} bytes", where=f"{self.location}/{key}", remedy="check what it is")
            for chunk in response["Body"].iter_chunks(CHUNK):
                content.extend(chunk)
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            _verify(response, len(content), response["ContentLength"], md5, response["ETag"].strip('"'))

        self._whole(attempt, key)
        return bytes(content)

    def download(self, info: ObjectInfo, target: Path) -> str:
        digest = hashlib.sha256()

        def attempt() -> None:
            nonlocal digest
            digest = hashlib.sha256()
            md5 = hashlib.md5(usedforsecurity=False)
            size = 0
            pin = {"IfMatch": f'"{info.etag}"'} if info.etag else {}
            response = self.client.get_object(Bucket=self.bucket, Key=self._key(info.key), **pin)
            with target.open("wb") as sink:
                for chunk in response["Body"].iter_chunks(CHUNK):
                    digest.update(chunk)
                    md5.update(chunk)
                    size += len(chunk)
                    sink.write(chunk)
            _verify(response, size, info.size, md5.hexdigest(), info.etag)

        self._whole(attempt, info.key)
        return digest.hexdigest()

    def fingerprint(self, info: ObjectInfo) -> str:
        return info.etag or ""

    def _key(self, key: str) -> str:
        return self.prefix + check_key(key, self.location)

    def _whole(self, attempt: Callable[[], None], key: str) -> None:
        """Run ``attempt`` until its body arrived whole, at most four times."""
        from botocore.exceptions import (
            ClientError,
            FlexibleChecksumError,
            HTTPClientError,
            IncompleteReadError,
            ReadTimeoutError,
            ResponseStreamingError,
        )
        from urllib3.exceptions import HTTPError

        where = f"{self.location}/{key}"
        broken = (_Broken, FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError, HTTPClientError, HTTPError)
        for number in range(1, ATTEMPTS + 1):
            try:
                with self._explained(where, passing=(*broken, ConnectionError)):
                    return attempt()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                what = "object changed while it was read" if code in _CHANGED else "object does not exist"
                raise DeliveryRefused(what, where=where, remedy="run again once the delivery is complete") from error
            except (*broken, ConnectionError) as error:
                if number == ATTEMPTS:
                    raise DeliveryRefused(
                        f"download did not arrive whole in {ATTEMPTS} attempts: {error}", where=where, remedy="run again; check the network"
                    ) from error
                time.sleep(BACKOFF_SECONDS * 2 ** (number - 1))

    @contextmanager
    def _explained(self, where: str, passing: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
        """Turn boto3's errors into ours; object-level answers (gone, changed) and ``passing`` go through."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

        try:
            yield
        except passing:
            raise
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            if code in _GONE | _CHANGED:
                raise
            remedy = _REMEDIES.get(code, "see the storage's documentation for this code; run again if it is a passing fault")
            message = error.response["Error"].get("Message", "")
            raise ApportionError(f"S3 refused {error.operation_name}: {code} {message}".rstrip(), where=where, remedy=remedy) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ApportionError(
                f"no AWS credentials: {error}", where=where, remedy="set AWS_PROFILE, the AWS_ACCESS_KEY_ID variables or an instance role"
            ) from error
        except BotoCoreError as error:
            raise ApportionError(
                f"S3 cannot be reached: {error}", where=where, remedy="check the endpoint and the network; run again"
            ) from error


def _verify(response: dict[str, Any], size: int, expected_bytes: int, md5: str, etag: str | None) -> None:
    """Size always; MD5 where the ETag is one (not multipart, not KMS). boto3 itself verifies checksum headers."""
    if size != expected_bytes:
        raise _Broken(f"truncated: {expected_bytes} bytes promised, {size} received")
    encrypted = response.get("ServerSideEncryption") not in (None, "AES256") or response.get("SSECustomerAlgorithm")
    if etag and _MD5.fullmatch(etag) and not encrypted and md5 != etag:
        raise _Broken("the bytes differ from their ETag")
