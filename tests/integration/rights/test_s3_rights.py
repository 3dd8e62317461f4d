"""What each key pair of the S3 server must not do, tried on the real server; all see one and the same lake."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = "lake"
OWNERS = ("operator", "lander", "load", "maintain", "report", "superset")


def client(env: Mapping[str, str], **changes: Any) -> Any:
    pair = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **changes)
    return boto3.client("s3", endpoint_url=env["S3_ENDPOINT"], region_name=env["AWS_REGION"], config=config, **pair)


@pytest.fixture(scope="module")
def logins(stack: Any) -> dict[str, Mapping[str, str]]:
    """What each was given."""
    found = {"operator": stack.env, **{owner: stack.own(owner) for owner in OWNERS[1:]}}
    superset = found["superset"]
    superset |= {f"AWS_{name}": superset[f"LAKE_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    return found


@pytest.fixture(scope="module")
def s3(logins: dict[str, Mapping[str, str]]) -> dict[str, Any]:
    """A client of each."""
    return {owner: client(logins[owner]) for owner in OWNERS}


@pytest.fixture
def key(s3: dict[str, Any]) -> Iterator[str]:
    """An object that says "as it was"."""
    name = f"rights/{uuid.uuid4().hex}"
    s3["lander"].put_object(Bucket=BUCKET, Key=name, Body=b"as it was")
    yield name
    s3["lander"].delete_object(Bucket=BUCKET, Key=name)


def multipart(s3: Any, key: str) -> None:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"other")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


CHANGES: Mapping[str, Callable[[Any, str], Any]] = {
    "overwrite": lambda s3, key: s3.put_object(Bucket=BUCKET, Key=key, Body=b"other"),
    "write anew": lambda s3, key: s3.put_object(Bucket=BUCKET, Key=key + "-new", Body=b"other"),
    "write in parts": multipart,
    "copy over": lambda s3, key: s3.copy_object(
        Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": key}, MetadataDirective="REPLACE"
    ),
    "delete": lambda s3, key: s3.delete_object(Bucket=BUCKET, Key=key),
    "delete many": lambda s3, key: s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}]}),
    "open to all": lambda s3, key: s3.put_object_acl(Bucket=BUCKET, Key=key, ACL="public-read"),
    "open the bucket": lambda s3, _key: s3.put_bucket_acl(Bucket=BUCKET, ACL="public-read"),
    "make a bucket": lambda s3, _key: s3.create_bucket(Bucket=f"mine-{uuid.uuid4().hex[:8]}"),
    "drop the bucket": lambda s3, _key: s3.delete_bucket(Bucket=BUCKET),
}


@pytest.mark.parametrize("reader", ["load", "superset"])
@pytest.mark.parametrize("change", CHANGES)
def test_who_reads_only_reads(s3, key, change, reader):
    before = sorted(bucket["Name"] for bucket in s3["operator"].list_buckets()["Buckets"])
    with pytest.raises(ClientError) as refusal:
        CHANGES[change](s3[reader], key)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] in {403, 501}, refusal.value
    assert s3["operator"].get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"as it was"
    listed = s3["operator"].list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]
    assert [found["Key"] for found in listed] == [key]
    assert sorted(bucket["Name"] for bucket in s3["operator"].list_buckets()["Buckets"]) == before


@pytest.mark.parametrize("owner", OWNERS)
def test_each_reads_what_the_lander_wrote(s3, key, owner):
    assert s3[owner].get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"as it was"
    assert s3[owner].list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"] == 1


@pytest.mark.parametrize("owner", ["operator", "lander", "maintain", "report"])
@pytest.mark.parametrize("change", ["overwrite", "write in parts", "copy over", "delete", "delete many"])
def test_who_has_to_write_can(s3, key, owner, change):
    CHANGES[change](s3[owner], key)


@pytest.mark.parametrize(("first", "second"), [("lander", "operator"), ("operator", "lander"), ("lander", "lander")])
def test_a_conditional_put_sees_what_another_key_pair_put(s3, first, second):
    key = f"rights/{uuid.uuid4().hex}"
    s3[first].put_object(Bucket=BUCKET, Key=key, Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refusal:
        s3[second].put_object(Bucket=BUCKET, Key=key, Body=b"second", IfNoneMatch="*")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert s3["load"].get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"first"
    s3["lander"].delete_object(Bucket=BUCKET, Key=key)


def test_of_many_conditional_puts_at_once_with_two_key_pairs_one_wins(s3):
    for _ in range(5):
        key = f"rights/{uuid.uuid4().hex}"

        def put(number: int, key: str = key) -> int | None:
            owner = ("operator", "lander")[number % 2]
            try:
                s3[owner].put_object(Bucket=BUCKET, Key=key, Body=str(number).encode(), IfNoneMatch="*")
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412, error
                return None
            return number

        with ThreadPoolExecutor(8) as threads:
            winners = [number for number in threads.map(put, range(8)) if number is not None]
        assert len(winners) == 1
        assert s3["load"].get_object(Bucket=BUCKET, Key=key)["Body"].read() == str(winners[0]).encode()
        s3["lander"].delete_object(Bucket=BUCKET, Key=key)


def test_who_has_no_key_or_a_wrong_one_is_turned_away(logins, key):
    strangers = [
        client({**logins["lander"], "AWS_SECRET_ACCESS_KEY": logins["load"]["AWS_SECRET_ACCESS_KEY"]}),
        client({**logins["load"], "AWS_ACCESS_KEY_ID": logins["operator"]["AWS_ACCESS_KEY_ID"]}),
        client({**logins["lander"], "AWS_ACCESS_KEY_ID": "0" * 20}),
        client(logins["operator"], signature_version=UNSIGNED),
    ]
    for stranger in strangers:
        for attempt in (stranger.get_object, stranger.delete_object):
            with pytest.raises(ClientError) as refusal:
                attempt(Bucket=BUCKET, Key=key)
            assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, refusal.value


def test_everybody_has_a_pair_of_his_own(logins):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert len({logins[owner][name] for owner in OWNERS}) == len(OWNERS)
