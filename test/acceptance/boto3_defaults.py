"""What boto3 does with its defaults, against the endpoint of the environment. Run by boto3.test.ts."""

import hashlib
import io
import os
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 2**20


def code_of(error):
    return error.exception.response["Error"]["Code"]


class Boto3Defaults(unittest.TestCase):
    bucket = "boto3-defaults"

    @classmethod
    def setUpClass(cls):
        cls.s3 = boto3.client("s3")
        cls.s3.create_bucket(Bucket=cls.bucket)

    @classmethod
    def tearDownClass(cls):
        bucket = boto3.resource("s3").Bucket(cls.bucket)
        bucket.objects.all().delete()
        bucket.delete()

    def test_bucket_is_listed_located_and_not_made_twice_under_another_name(self):
        names = [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]
        self.assertIn(self.bucket, names)
        self.assertIsNone(self.s3.get_bucket_location(Bucket=self.bucket)["LocationConstraint"])
        self.s3.head_bucket(Bucket=self.bucket)
        with self.assertRaises(ClientError) as error:
            self.s3.create_bucket(Bucket="Not_A_Bucket")
        self.assertEqual(code_of(error), "InvalidBucketName")

    def test_put_sends_a_checksum_that_get_verifies(self):
        body = os.urandom(300_000)
        put = self.s3.put_object(Bucket=self.bucket, Key="sum", Body=body)
        self.assertTrue(put["ChecksumCRC32"])
        self.assertEqual(put["ETag"], '"%s"' % hashlib.md5(body).hexdigest())
        got = self.s3.get_object(Bucket=self.bucket, Key="sum", ChecksumMode="ENABLED")
        self.assertEqual(got["ChecksumCRC32"], put["ChecksumCRC32"])
        self.assertEqual(got["Body"].read(), body)

    def test_every_checksum_algorithm_is_verified_and_kept(self):
        for algorithm in ["CRC32", "SHA1", "SHA256"]:
            with self.subTest(algorithm):
                key = "sum-" + algorithm
                put = self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"checked", ChecksumAlgorithm=algorithm)
                head = self.s3.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
                self.assertEqual(head["Checksum" + algorithm], put["Checksum" + algorithm])

    def test_a_wrong_checksum_is_refused_and_stores_nothing(self):
        with self.assertRaises(ClientError) as error:
            self.s3.put_object(Bucket=self.bucket, Key="wrong", Body=b"this", ChecksumCRC32="AAAAAA==")
        self.assertEqual(code_of(error), "BadDigest")
        with self.assertRaises(ClientError) as error:
            self.s3.head_object(Bucket=self.bucket, Key="wrong")
        self.assertEqual(code_of(error), "404")

    def test_transfers_go_in_parts_and_come_back_unchanged(self):
        body = os.urandom(21 * MIB + 7)
        self.s3.upload_fileobj(io.BytesIO(body), self.bucket, "large", ExtraArgs={"Metadata": {"colour": "blue"}})
        head = self.s3.head_object(Bucket=self.bucket, Key="large")
        self.assertEqual(head["ContentLength"], len(body))
        self.assertEqual(head["Metadata"], {"colour": "blue"})
        self.assertRegex(head["ETag"], r'^"[0-9a-f]{32}-3"$')
        received = io.BytesIO()
        self.s3.download_fileobj(self.bucket, "large", received)
        self.assertEqual(received.getvalue(), body)
        ranged = self.s3.get_object(Bucket=self.bucket, Key="large", Range="bytes=%d-%d" % (8 * MIB - 3, 8 * MIB + 3))
        self.assertEqual(ranged["Body"].read(), body[8 * MIB - 3 : 8 * MIB + 4])

    def test_copies_within_the_bucket_keep_bytes_and_replace_metadata_when_told(self):
        self.s3.put_object(Bucket=self.bucket, Key="from/a b+c", Body=b"copied", Metadata={"a": "1"}, ContentType="text/x")
        source = {"Bucket": self.bucket, "Key": "from/a b+c"}
        self.s3.copy_object(Bucket=self.bucket, Key="kept", CopySource=source)
        kept = self.s3.get_object(Bucket=self.bucket, Key="kept")
        self.assertEqual((kept["Body"].read(), kept["Metadata"], kept["ContentType"]), (b"copied", {"a": "1"}, "text/x"))
        self.s3.copy_object(
            Bucket=self.bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}
        )
        self.assertEqual(self.s3.head_object(Bucket=self.bucket, Key="new")["Metadata"], {"b": "2"})

    def test_keys_of_any_text_are_listed_as_they_are(self):
        keys = ["odd/ü", "odd/日本", "odd/a b", "odd/a+b", "odd/%41", "odd/&<>'\"", "odd/tab\there", "odd//double", "odd/😀"]
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=key.encode())
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="odd/")["Contents"]
        self.assertEqual([item["Key"] for item in listed], sorted(keys, key=lambda key: key.encode()))
        for key in keys:
            self.assertEqual(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read(), key.encode())

    def test_paginators_show_every_key_once(self):
        keys = ["page/%02d/%d" % (folder, item) for folder in range(15) for item in range(3)]
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"")
        for name in ["list_objects", "list_objects_v2"]:
            with self.subTest(name):
                pages = self.s3.get_paginator(name).paginate(
                    Bucket=self.bucket, Prefix="page/", PaginationConfig={"PageSize": 7}
                )
                self.assertEqual([item["Key"] for page in pages for item in page.get("Contents", [])], keys)
                pages = self.s3.get_paginator(name).paginate(
                    Bucket=self.bucket, Prefix="page/", Delimiter="/", PaginationConfig={"PageSize": 4}
                )
                prefixes = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
                self.assertEqual(prefixes, ["page/%02d/" % folder for folder in range(15)])

    def test_many_keys_are_deleted_at_once(self):
        keys = ["gone/%d" % number for number in range(30)]
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"x")
        answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        self.assertEqual(sorted(item["Key"] for item in answer["Deleted"]), sorted(keys))
        self.assertEqual(self.s3.list_objects_v2(Bucket=self.bucket, Prefix="gone/")["KeyCount"], 0)

    def test_conditional_writes_are_decided_by_what_is_there(self):
        first = self.s3.put_object(Bucket=self.bucket, Key="once", Body=b"1", IfNoneMatch="*")
        with self.assertRaises(ClientError) as error:
            self.s3.put_object(Bucket=self.bucket, Key="once", Body=b"2", IfNoneMatch="*")
        self.assertEqual(code_of(error), "PreconditionFailed")
        self.s3.put_object(Bucket=self.bucket, Key="once", Body=b"3", IfMatch=first["ETag"])
        with self.assertRaises(ClientError) as error:
            self.s3.put_object(Bucket=self.bucket, Key="once", Body=b"4", IfMatch=first["ETag"])
        self.assertEqual(code_of(error), "PreconditionFailed")
        self.assertEqual(self.s3.get_object(Bucket=self.bucket, Key="once")["Body"].read(), b"3")

    def test_presigned_urls_put_and_get(self):
        # For links alone boto3's default is still signature version 2 in us-east-1.
        signer = boto3.client("s3", config=Config(signature_version="s3v4"))
        parameters = {"Bucket": self.bucket, "Key": "signed/a b+c"}
        put = signer.generate_presigned_url("put_object", Params=parameters)
        urllib.request.urlopen(urllib.request.Request(put, data=b"by link", method="PUT"))
        get = signer.generate_presigned_url("get_object", Params=parameters)
        self.assertEqual(urllib.request.urlopen(get).read(), b"by link")
        with self.assertRaises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(get.replace("signed", "sealed", 1))
        self.assertEqual(error.exception.code, 403)
        error.exception.close()

    def test_what_is_not_there_is_named(self):
        with self.assertRaises(self.s3.exceptions.NoSuchKey):
            self.s3.get_object(Bucket=self.bucket, Key="nothing")
        with self.assertRaises(self.s3.exceptions.NoSuchBucket):
            self.s3.list_objects_v2(Bucket="no-such-bucket-here")
        with self.assertRaises(ClientError) as error:
            self.s3.abort_multipart_upload(Bucket=self.bucket, Key="k", UploadId="none")
        self.assertEqual(code_of(error), "NoSuchUpload")


if __name__ == "__main__":
    unittest.main(verbosity=2)
