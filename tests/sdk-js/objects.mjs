// S3 with the SDK's own checksums: objects, listings, uploads in parts, streams, presigned addresses, and what is refused.

import * as sdk from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { check, refused, same } from './check.mjs';

const Bucket = 'js-objects';
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const bytesOf = async (answer) => Buffer.from(await answer.Body.transformToByteArray());

export async function run() {
  const client = new sdk.S3Client({ maxAttempts: 1, forcePathStyle: true });
  const send = (command) => client.send(command);
  await send(new sdk.CreateBucketCommand({ Bucket }));
  await refused('a bucket without a good name', () => send(new sdk.CreateBucketCommand({ Bucket: 'x' })), 'InvalidBucketName', 400);
  await send(new sdk.HeadBucketCommand({ Bucket }));
  same('the waiter for a bucket', (await sdk.waitUntilBucketExists({ client, maxWaitTime: 10 }, { Bucket })).state, 'SUCCESS');
  check('it is listed', (await send(new sdk.ListBucketsCommand({}))).Buckets.some((one) => one.Name === Bucket));

  await single(client);
  await listings(client);
  await parts(client);
  await addresses(client);

  await refused('a bucket with objects is deleted', () => send(new sdk.DeleteBucketCommand({ Bucket })), 'BucketNotEmpty', 409);
  for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket })) {
    const Objects = page.Contents.map(({ Key }) => ({ Key }));
    const gone = await send(new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    same('deleted at once', gone.Deleted.length, Objects.length);
  }
  await send(new sdk.DeleteBucketCommand({ Bucket }));
  same('the waiter for no bucket', (await sdk.waitUntilBucketNotExists({ client, maxWaitTime: 10 }, { Bucket })).state, 'SUCCESS');
  await refused('objects of no bucket', () => send(new sdk.ListObjectsV2Command({ Bucket })), sdk.NoSuchBucket, 404);
}

async function single(client) {
  const send = (command) => client.send(command);
  const Key = 'a folder/ä+b &c.txt';
  const put = await send(new sdk.PutObjectCommand({
    Bucket, Key, Body: 'twelve bytes', ContentType: 'text/plain', CacheControl: 'max-age=5', Metadata: { who: 'js' },
  }));
  check('an upload has a CRC32', typeof put.ChecksumCRC32 === 'string' && put.ETag.length === 34, put);
  const got = await send(new sdk.GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
  same('an object', [await got.Body.transformToString(), got.ContentType, got.CacheControl, got.Metadata],
    ['twelve bytes', 'text/plain', 'max-age=5', { who: 'js' }]);
  same('its checksum', got.ChecksumCRC32, put.ChecksumCRC32);
  const part = await send(new sdk.GetObjectCommand({ Bucket, Key, Range: 'bytes=7-' }));
  same('a range', [await part.Body.transformToString(), part.ContentRange], ['bytes', 'bytes 7-11/12']);
  const head = await send(new sdk.HeadObjectCommand({ Bucket, Key }));
  check('its head', head.ContentLength === 12 && head.LastModified instanceof Date && head.ETag === put.ETag, head);
  await refused('a range past the end', () => send(new sdk.GetObjectCommand({ Bucket, Key, Range: 'bytes=50-' })), 'InvalidRange', 416);
  await refused('an object that is not there', () => send(new sdk.GetObjectCommand({ Bucket, Key: 'nothing' })), sdk.NoSuchKey, 404);
  const unmodified = () => send(new sdk.GetObjectCommand({ Bucket, Key, IfMatch: '"0123456789abcdef0123456789abcdef"' }));
  await refused('an object of another ETag', unmodified, 'PreconditionFailed', 412);

  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256', 'CRC64NVME']) {
    const answer = await send(new sdk.PutObjectCommand({ Bucket, Key: `sums/${ChecksumAlgorithm}`, Body: 'sum', ChecksumAlgorithm }));
    check(`a checksum of ${ChecksumAlgorithm}`, Boolean(answer[`Checksum${ChecksumAlgorithm}`]), answer);
  }
  const wrong = () => send(new sdk.PutObjectCommand({ Bucket, Key: 'sums/wrong', Body: 'sum', ChecksumCRC32: 'AAAAAA==' }));
  await refused('a body of another checksum', wrong, 'BadDigest', 400);
  await refused('nothing was stored of it', () => send(new sdk.GetObjectCommand({ Bucket, Key: 'sums/wrong' })), sdk.NoSuchKey, 404);

  const large = randomBytes(3 * 1024 * 1024 + 17);
  const Body = Readable.from(async function* pieces() {
    for (let at = 0; at < large.length; at += 70_001) yield large.subarray(at, at + 70_001);
  }());
  const streamed = await send(new sdk.PutObjectCommand({ Bucket, Key: 'streamed', Body, ContentLength: large.length }));
  check('a stream ends with its checksum in a trailer', typeof streamed.ChecksumCRC32 === 'string', streamed);
  same('a streamed object', digest(await bytesOf(await send(new sdk.GetObjectCommand({ Bucket, Key: 'streamed' })))), digest(large));

  await send(new sdk.CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/${encodeURIComponent(Key)}` }));
  same('a copy', await (await send(new sdk.GetObjectCommand({ Bucket, Key: 'copy' }))).Body.transformToString(), 'twelve bytes');
  await refused('tags of objects, which are not there yet,', () => send(new sdk.GetObjectTaggingCommand({ Bucket, Key })), 'NotImplemented', 501);
  const policy = JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/*` }] });
  await refused('no policy', () => send(new sdk.GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy', 404);
  await refused('a policy that is none', () => send(new sdk.PutBucketPolicyCommand({ Bucket, Policy: '{' })), 'MalformedPolicy', 400);
  await send(new sdk.PutBucketPolicyCommand({ Bucket, Policy: policy }));
  same('a policy', JSON.parse((await send(new sdk.GetBucketPolicyCommand({ Bucket }))).Policy), JSON.parse(policy));
  await send(new sdk.DeleteBucketPolicyCommand({ Bucket }));
}

async function listings(client) {
  for (let index = 0; index < 7; index += 1) {
    await client.send(new sdk.PutObjectCommand({ Bucket, Key: `list/${index % 2 ? 'odd' : 'even'}/${index}`, Body: String(index) }));
  }
  const found = [];
  let pages = 0;
  for await (const page of sdk.paginateListObjectsV2({ client, pageSize: 3 }, { Bucket, Prefix: 'list/' })) {
    found.push(...page.Contents.map((object) => object.Key));
    pages += 1;
  }
  same('pages of objects', [pages, found.length, [...found].sort()], [3, 7, found]);
  const folders = await client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix: 'list/', Delimiter: '/' }));
  same('folders', folders.CommonPrefixes.map((one) => one.Prefix), ['list/even/', 'list/odd/']);
  const old = await client.send(new sdk.ListObjectsCommand({ Bucket, Prefix: 'list/', MaxKeys: 2 }));
  same('the older listing', [old.Contents.length, old.IsTruncated], [2, true]);
  await refused('a token of another listing', () => client.send(new sdk.ListObjectsV2Command({ Bucket, ContinuationToken: 'x' })),
    'InvalidArgument', 400);
}

async function parts(client) {
  const send = (command) => client.send(command);
  const large = randomBytes(12 * 1024 * 1024 + 5);
  const upload = new Upload({ client, params: { Bucket, Key: 'large', Body: Readable.from([large]) }, partSize: 5 * 1024 * 1024 });
  const done = await upload.done();
  check('an upload in parts', /-3"$/.test(done.ETag), done);
  const got = await send(new sdk.GetObjectCommand({ Bucket, Key: 'large', ChecksumMode: 'ENABLED' }));
  same('what was uploaded in parts', digest(await bytesOf(got)), digest(large));

  const { UploadId } = await send(new sdk.CreateMultipartUploadCommand({ Bucket, Key: 'by-hand' }));
  const Parts = [];
  for (const [index, Body] of [large.subarray(0, 5 * 1024 * 1024), large.subarray(5 * 1024 * 1024, 6 * 1024 * 1024)].entries()) {
    const { ETag, ChecksumCRC32 } = await send(new sdk.UploadPartCommand({ Bucket, Key: 'by-hand', UploadId, PartNumber: index + 1, Body }));
    Parts.push({ ETag, ChecksumCRC32, PartNumber: index + 1 });
  }
  same('parts', (await send(new sdk.ListPartsCommand({ Bucket, Key: 'by-hand', UploadId }))).Parts.map((one) => one.Size), [5242880, 1048576]);
  same('uploads', (await send(new sdk.ListMultipartUploadsCommand({ Bucket }))).Uploads.map((one) => one.UploadId), [UploadId]);
  const other = Parts.map((part) => ({ PartNumber: part.PartNumber, ETag: '"0123456789abcdef0123456789abcdef"' }));
  await refused('other parts', () => send(new sdk.CompleteMultipartUploadCommand({ Bucket, Key: 'by-hand', UploadId, MultipartUpload: { Parts: other } })),
    'InvalidPart', 400);
  await send(new sdk.CompleteMultipartUploadCommand({ Bucket, Key: 'by-hand', UploadId, MultipartUpload: { Parts } }));
  same('its size', (await send(new sdk.HeadObjectCommand({ Bucket, Key: 'by-hand' }))).ContentLength, 6 * 1024 * 1024);
  const again = await send(new sdk.CreateMultipartUploadCommand({ Bucket, Key: 'aborted' }));
  await send(new sdk.AbortMultipartUploadCommand({ Bucket, Key: 'aborted', UploadId: again.UploadId }));
  await refused('a part of an upload that is over', () => send(new sdk.UploadPartCommand({
    Bucket, Key: 'aborted', UploadId: again.UploadId, PartNumber: 1, Body: 'x',
  })), sdk.NoSuchUpload, 404);
}

async function addresses(client) {
  const read = await getSignedUrl(client, new sdk.GetObjectCommand({ Bucket, Key: 'copy' }), { expiresIn: 60 });
  same('a presigned read', await (await fetch(read)).text(), 'twelve bytes');
  const write = await getSignedUrl(client, new sdk.PutObjectCommand({ Bucket, Key: 'signed' }), { expiresIn: 60 });
  const put = await fetch(write, { method: 'PUT', body: 'by anybody' });
  same('a presigned write', put.status, 200);
  same('what it wrote', await (await client.send(new sdk.GetObjectCommand({ Bucket, Key: 'signed' }))).Body.transformToString(), 'by anybody');
  same('a presigned address with another key', (await fetch(read.replace('/copy?', '/large?'))).status, 403);
}
