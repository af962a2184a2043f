"""Folders and S3 read alike: what is listed is what is read, whole, or an error says why not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.s3.models import s3_backends

from pipelines.errors import ApportionError, DeliveryRefused, UsageError
from pipelines.ingestion import s3
from pipelines.ingestion.objects import FolderStore, ObjectInfo, check_key, open_store
from tests.servers import BrokenS3, aws_environment, broken_s3, s3_client, s3_server

BODY = b"0123456789" * 1000
SHA = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()

UNSAFE = [
    "", "/etc/passwd", "../x", "a/../b", "a/./b", "..", "a\\b", "a\x00b", "a\nb", "a\x1b[31mb", "a%2fb", "a%2Fb", "..%2f..%2fx",
    "%2e%2e/x", "a%5cb", "a%00b", "k" * 1025, "é" * 513, "a\ud800b",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment(monkeypatch)
    monkeypatch.setattr(s3, "BACKOFF_SECONDS", 0.001)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def broken() -> Iterator[BrokenS3]:
    with broken_s3() as server:
        yield server


@pytest.mark.parametrize("key", UNSAFE)
def test_unsafe_keys_are_refused(key: str) -> None:
    with pytest.raises(DeliveryRefused, match="unsafe object key"):
        check_key(key, "here")


@pytest.mark.parametrize(
    "key", ["a", "a/b c/d", "BILLING_PERIOD=2026-10/2026-11-04T03:12:00.123Z-6b/x.csv.gz", "a..b", "..a", "ü/日本", "100%"]
)
def test_safe_keys_pass_as_they_are(key: str) -> None:
    assert check_key(key, "here") == key


def test_folder_lists_in_key_order_without_hidden_files(tmp_path: Path) -> None:
    for key in ("b/2", "a/1", "a/1.txt", "a-1", ".hidden", "a/.part", ".git/config"):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode())
    store = open_store(str(tmp_path))
    assert [i.key for i in store.list()] == ["a-1", "a/1", "a/1.txt", "b/2"]
    assert [(i.key, i.size) for i in store.list("a/1")] == [("a/1", 3), ("a/1.txt", 7)]
    assert list(store.list("none/at/all/")) == []
    assert store.stat("nothing") is None
    info = store.stat("a/1")
    assert info is not None and info.etag is None
    assert store.download(info, tmp_path / "copy") == store.fingerprint(info) == hashlib.sha256(b"a/1").hexdigest()
    assert (tmp_path / "copy").read_bytes() == b"a/1"


def test_single_file_is_a_store_of_one(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(b"x")
    store = open_store(str(tmp_path / "one.csv"))
    assert [(i.key, i.size) for i in store.list()] == [("one.csv", 1)]
    assert store.read("one.csv") == b"x"


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", root / "link")
    store = FolderStore(str(root))
    info = ObjectInfo("link", 6, "2026-01-01T00:00:00+00:00")
    for use in (
        lambda: list(store.list()),
        lambda: store.stat("link"),
        lambda: store.read("link"),
        lambda: store.download(info, tmp_path / "t"),
    ):
        with pytest.raises(DeliveryRefused, match="outside its location"):
            use()
    assert not (tmp_path / "t").exists()


def test_linked_folder_and_fifo_are_refused_not_skipped(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    os.symlink(tmp_path, tmp_path / "one" / "loop")
    with pytest.raises(DeliveryRefused, match="link to a folder"):
        list(FolderStore(str(tmp_path / "one")).list())
    os.mkfifo(tmp_path / "two" / "pipe")
    with pytest.raises(DeliveryRefused, match="not a regular file"):
        list(FolderStore(str(tmp_path / "two")).list())


def test_file_that_changes_after_it_was_listed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    store = FolderStore(str(tmp_path))
    info = store.stat("f")
    assert info is not None
    path.write_bytes(b"two")  # same size: only its time tells
    os.utime(path, (1, 1))
    with pytest.raises(DeliveryRefused, match="changed while it was read"):
        store.download(info, tmp_path / "copy")
    path.unlink()
    with pytest.raises(DeliveryRefused, match="disappeared"):
        store.download(info, tmp_path / "copy")


def test_read_refuses_what_is_not_small(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    assert FolderStore(str(tmp_path)).read("f", limit=5) == b"12345"
    with pytest.raises(DeliveryRefused, match="larger than 4 bytes"):
        FolderStore(str(tmp_path)).read("f", limit=4)


def test_locations_that_do_not_work_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ApportionError, match="does not exist"):
        open_store(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="scheme not supported"):
        open_store("gs://bucket/prefix")
    with pytest.raises(UsageError, match="not an S3 location"):
        open_store("s3://")


def test_s3_lists_more_than_one_page_and_stays_below_its_prefix(moto: str) -> None:
    client = s3_client(moto)
    client.create_bucket(Bucket="pages")
    backend = s3_backends["123456789012"]["aws"]  # filled within the process: 1,005 requests would take ten seconds
    for number in range(1005):
        backend.put_object("pages", f"p/{number:05d}", b"x")
    client.put_object(Bucket="pages", Key="p2/other", Body=b"x")
    client.put_object(Bucket="pages", Key="p/folder/", Body=b"")
    store = open_store("s3://pages/p/", moto)
    assert [i.key for i in store.list()] == [f"{n:05d}" for n in range(1005)]
    assert [i.key for i in store.list("0100")] == [f"0100{n}" for n in range(5)]


def test_s3_multipart_object_is_verified_by_size(moto: str, tmp_path: Path) -> None:
    client = s3_client(moto)
    client.create_bucket(Bucket="parts")
    upload = client.create_multipart_upload(Bucket="parts", Key="big")["UploadId"]
    pieces = [b"a" * (5 << 20), b"b" * 7]
    done = [
        {"PartNumber": n, "ETag": client.upload_part(Bucket="parts", Key="big", PartNumber=n, UploadId=upload, Body=b)["ETag"]}
        for n, b in enumerate(pieces, 1)
    ]
    client.complete_multipart_upload(Bucket="parts", Key="big", UploadId=upload, MultipartUpload={"Parts": done})
    store = open_store("s3://parts", moto)
    info = store.stat("big")
    assert info is not None and info.etag is not None and info.etag.endswith("-2") and info.size == (5 << 20) + 7
    assert store.download(info, tmp_path / "big") == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert store.stat("none") is None


def test_s3_object_overwritten_after_listing_is_never_mixed(moto: str, tmp_path: Path) -> None:
    client = s3_client(moto)
    client.create_bucket(Bucket="pinned")
    client.put_object(Bucket="pinned", Key="k", Body=b"old")
    store = open_store("s3://pinned", moto)
    (info,) = store.list()
    client.put_object(Bucket="pinned", Key="k", Body=b"new")
    with pytest.raises(DeliveryRefused, match="changed while it was read"):
        store.download(info, tmp_path / "k")
    client.delete_object(Bucket="pinned", Key="k")
    with pytest.raises(DeliveryRefused, match="does not exist"):
        store.download(info, tmp_path / "k")


@pytest.mark.parametrize("fault", ["truncate", "reset", "short", "flip", "bad_checksum", "slow_down"])
def test_broken_body_is_fetched_again_pinned_to_its_etag(broken: BrokenS3, tmp_path: Path, fault: str) -> None:
    broken.put("p/k", BODY)
    broken.faults["p/k"] = [fault, fault]
    store = open_store("s3://bills/p", broken.endpoint_url)
    (info,) = store.list()
    assert store.download(info, tmp_path / "k") == SHA
    assert (tmp_path / "k").read_bytes() == BODY
    pins = [pin for method, key, pin in broken.requests if method == "GET" and key == "p/k"]
    assert pins == [f'"{MD5}"'] * 3


@pytest.mark.parametrize("fault", ["truncate", "short", "flip", "bad_checksum"])
def test_body_that_stays_broken_is_refused_after_four_attempts(broken: BrokenS3, tmp_path: Path, fault: str) -> None:
    broken.put("k", BODY)
    broken.faults["k"] = [fault] * 9
    store = open_store("s3://bills", broken.endpoint_url)
    (info,) = store.list()
    with pytest.raises(DeliveryRefused, match="did not arrive whole in 4 attempts") as caught:
        store.download(info, tmp_path / "k")
    assert caught.value.where == "s3://bills/k"
    assert broken.gets("k") == 4


def test_short_body_of_a_multipart_object_is_found_by_its_size(broken: BrokenS3, tmp_path: Path) -> None:
    broken.put("k", BODY)
    broken.etags["k"] = f"{MD5}-2"  # no checksum of the bytes
    broken.faults["k"] = ["short"]
    store = open_store("s3://bills", broken.endpoint_url)
    (info,) = store.list()
    assert store.download(info, tmp_path / "k") == SHA
    assert broken.gets("k") == 2


def test_object_overwritten_between_two_attempts_is_refused(broken: BrokenS3, tmp_path: Path) -> None:
    broken.put("k", BODY)
    broken.faults["k"] = ["truncate", lambda server: server.put("k", BODY[::-1])]
    store = open_store("s3://bills", broken.endpoint_url)
    (info,) = store.list()
    with pytest.raises(DeliveryRefused, match="changed while it was read"):
        store.download(info, tmp_path / "k")


def test_small_reads_retry_too(broken: BrokenS3) -> None:
    broken.put("manifest", BODY)
    broken.faults["manifest"] = ["truncate", "flip", "reset"]
    store = open_store("s3://bills", broken.endpoint_url)
    assert store.read("manifest") == BODY
    with pytest.raises(DeliveryRefused, match="larger than 10 bytes"):
        store.read("manifest", limit=10)
    with pytest.raises(DeliveryRefused, match="does not exist"):
        store.read("none")


def test_refusals_of_s3_say_what_where_and_the_remedy(broken: BrokenS3, moto: str) -> None:
    broken.put("k", BODY)
    broken.faults["k"] = ["forbidden"]
    with pytest.raises(ApportionError, match="AccessDenied") as denied:
        open_store("s3://bills", broken.endpoint_url).read("k")
    assert denied.value.where == "s3://bills/k" and "s3:GetObject" in str(denied.value.remedy)
    with pytest.raises(ApportionError, match="NoSuchBucket") as bucket:
        list(open_store("s3://not-there/x", moto).list())
    assert "bucket's name" in str(bucket.value.remedy)
    with pytest.raises(ApportionError, match="cannot be reached"):
        s3_unreachable = open_store("s3://bills", "http://127.0.0.1:9")
        s3_unreachable.client.meta.events.register("needs-retry.s3.ListObjectsV2", lambda **_: False)
        list(s3_unreachable.list())


def test_missing_credentials_are_explained(broken: BrokenS3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ApportionError, match="no AWS credentials") as caught:
        list(open_store("s3://bills", broken.endpoint_url).list())
    assert "AWS_PROFILE" in str(caught.value.remedy)
    assert broken.requests == []


def test_only_reads_are_ever_sent(broken: BrokenS3, tmp_path: Path) -> None:
    broken.page_size = 2
    for number in range(5):
        broken.put(f"a/{number}", BODY)
    store = open_store("s3://bills/a", broken.endpoint_url)
    infos = list(store.list())
    assert [i.key for i in infos] == ["0", "1", "2", "3", "4"]
    store.stat("0")
    store.read("1")
    store.download(infos[2], tmp_path / "2")
    assert {method for method, *_ in broken.requests} == {"GET", "HEAD"}
    assert sum(key == "?list" for _, key, _ in broken.requests) == 3


def test_region_defaults_to_where_aws_delivers(broken: BrokenS3, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_store("s3://bills", broken.endpoint_url).client.meta.region_name == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert open_store("s3://bills", broken.endpoint_url).client.meta.region_name == "eu-central-1"
