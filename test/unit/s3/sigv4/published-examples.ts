/**
 * The signed requests that AWS publishes as examples, with the keys and at the moment of requests.ts.
 */
import { DATE, EMPTY, HOST, type Sent } from "./requests.ts";

function authorization(signedHeaders: string, signature: string): [string, string] {
  const credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
  return [
    "Authorization",
    `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${signedHeaders},Signature=${signature}`,
  ];
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and its neighbours */
export const PUBLISHED: [string, Sent][] = [
  [
    "GET of an object",
    {
      method: "GET",
      url: "/test.txt",
      headers: [
        HOST,
        ["Range", "bytes=0-9"],
        EMPTY,
        DATE,
        authorization(
          "host;range;x-amz-content-sha256;x-amz-date",
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
      ],
    },
  ],
  [
    "PUT of an object",
    {
      method: "PUT",
      url: "/test$file.text",
      headers: [
        HOST,
        ["Date", "Fri, 24 May 2013 00:00:00 GMT"],
        DATE,
        ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
        ["x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"],
        authorization(
          "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
      ],
    },
  ],
  [
    "GET of a subresource",
    {
      method: "GET",
      url: "/?lifecycle",
      headers: [
        HOST,
        DATE,
        EMPTY,
        authorization(
          "host;x-amz-content-sha256;x-amz-date",
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
      ],
    },
  ],
  [
    "GET of a listing",
    {
      method: "GET",
      url: "/?max-keys=2&prefix=J",
      headers: [
        HOST,
        DATE,
        EMPTY,
        authorization(
          "host;x-amz-content-sha256;x-amz-date",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
      ],
    },
  ],
  [
    "PUT in signed chunks",
    {
      method: "PUT",
      url: "/examplebucket/chunkObject.txt",
      headers: [
        ["Host", "s3.amazonaws.com"],
        DATE,
        ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
        ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"],
        ["Content-Encoding", "aws-chunked"],
        ["x-amz-decoded-content-length", "66560"],
        ["Content-Length", "66824"],
        authorization(
          "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
      ],
    },
  ],
  [
    "PUT in signed chunks with a trailer",
    {
      method: "PUT",
      url: "/examplebucket/chunkObject.txt",
      headers: [
        ["Host", "s3.amazonaws.com"],
        DATE,
        ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
        ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"],
        ["Content-Encoding", "aws-chunked"],
        ["x-amz-decoded-content-length", "66560"],
        ["x-amz-trailer", "x-amz-checksum-crc32c"],
        authorization(
          "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        ),
      ],
    },
  ],
];
