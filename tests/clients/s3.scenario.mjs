import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketCommand,
  DeleteObjectAnnotationCommand, DeleteObjectCommand, DeleteObjectsCommand, GetBucketAclCommand,
  GetBucketLocationCommand, GetBucketVersioningCommand, GetObjectAnnotationCommand, GetObjectCommand, HeadBucketCommand,
  HeadObjectCommand, ListBucketsCommand, ListObjectVersionsCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
  UploadPartCommand, paginateListObjectsV2,
} from '@aws-sdk/client-s3';

const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');

export default async (t) => {
  const s3 = t.client(S3Client, { forcePathStyle: true });
  const Bucket = `client-${t.scheme}-${randomBytes(4).toString('hex')}`;
  const put = (Key, Body, more = {}) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
  const get = (Key, more = {}) => s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  const bytesOf = async (answer) => Buffer.from(await answer.Body.transformToByteArray());

  await t.check('a bucket is made, found and listed', async () => {
    await s3.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: t.region } }));
    t.equal((await s3.send(new HeadBucketCommand({ Bucket }))).BucketRegion, t.region);
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    t.ok(Buckets.some((b) => b.Name === Bucket && b.CreationDate instanceof Date), 'the bucket in the list');
    t.equal((await s3.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint, t.region);
    t.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, undefined);
  });
  await t.check('a bucket of that name cannot be made again', () => t.refused(
    s3.send(new CreateBucketCommand({ Bucket })), { name: 'BucketAlreadyOwnedByYou', status: 409 }));
  await t.check('an object comes back with its metadata', async () => {
    const body = Buffer.from('hello world\n');
    const answer = await put('a b/\u00e9+%.txt', body, { ContentType: 'text/plain', Metadata: { who: 'me' } });
    t.equal(answer.ETag, `"${md5(body)}"`);
    const back = await get('a b/\u00e9+%.txt');
    t.equal((await bytesOf(back)).equals(body), true);
    t.equal(back.ContentType, 'text/plain');
    t.equal(back.Metadata, { who: 'me' });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'a b/\u00e9+%.txt' }));
    t.equal(head.ContentLength, body.length);
  });
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
    await t.check(`${ChecksumAlgorithm} is verified, kept and given back`, async () => {
      const body = randomBytes(5000);
      const answer = await put(`sum-${ChecksumAlgorithm}`, body, { ChecksumAlgorithm });
      const member = `Checksum${ChecksumAlgorithm}`;
      t.ok(answer[member], `${member} in the answer`);
      const back = await get(`sum-${ChecksumAlgorithm}`, { ChecksumMode: 'ENABLED' });
      t.equal(back[member], answer[member]);
      t.equal((await bytesOf(back)).equals(body), true);
    });
  }
  await t.check('a wrong checksum stores nothing', async () => {
    await t.refused(put('wrong', Buffer.from('hello'), { ChecksumCRC32: 'AAAAAA==' }), { name: 'BadDigest', status: 400 });
    await t.refused(get('wrong'), { name: 'NoSuchKey', status: 404 });
  });
  await t.check('a file is streamed up in chunks with its checksum behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-s3-'));
    try {
      const body = randomBytes(3_000_000);
      writeFileSync(join(folder, 'file'), body);
      await put('streamed', createReadStream(join(folder, 'file')), { ContentEncoding: 'identity' });
      const back = await get('streamed');
      t.equal(md5(await bytesOf(back)), md5(body));
      t.equal(back.ContentEncoding, 'identity');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  await t.check('ranges and conditions', async () => {
    const body = randomBytes(2_500_000);
    const { ETag } = await put('ranged', body);
    const part = await get('ranged', { Range: 'bytes=1048570-2000000' });
    t.equal(part.ContentRange, 'bytes 1048570-2000000/2500000');
    t.equal((await bytesOf(part)).equals(body.subarray(1048570, 2000001)), true);
    await t.refused(get('ranged', { Range: 'bytes=9999999-' }), { name: 'InvalidRange', status: 416 });
    await t.refused(get('ranged', { IfMatch: '"other"' }), { name: 'PreconditionFailed', status: 412 });
    await t.refused(put('ranged', 'x', { IfNoneMatch: '*' }), { name: 'PreconditionFailed', status: 412 });
    t.equal((await bytesOf(await get('ranged', { IfMatch: ETag }))).length, body.length);
  });
  await t.check('listings page and group', async () => {
    for (const key of ['list/1', 'list/2', 'list/sub/3']) await put(key, 'x');
    const keys = [];
    for await (const page of paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket, Prefix: 'list/', Delimiter: '/' })) {
      keys.push(...(page.Contents ?? []).map((o) => o.Key), ...(page.CommonPrefixes ?? []).map((p) => p.Prefix));
    }
    t.equal(keys, ['list/1', 'list/2', 'list/sub/']);
    const { Versions } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'list/' }));
    t.equal(Versions.map((v) => [v.Key, v.VersionId, v.IsLatest]),
      [['list/1', 'null', true], ['list/2', 'null', true], ['list/sub/3', 'null', true]]);
  });
  await t.check('parts become one object', async () => {
    const [one, two] = [randomBytes(5 << 20), randomBytes(1000)];
    const Key = 'parts';
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const Parts = [];
    for (const [i, Body] of [one, two].entries()) {
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: i + 1, Body }));
      Parts.push({ ETag, PartNumber: i + 1 });
    }
    await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
    t.equal(md5(await bytesOf(await get(Key))), md5(Buffer.concat([one, two])));
  });
  await t.check('what is not offered says so', async () => {
    await t.refused(s3.send(new GetBucketAclCommand({ Bucket })), { name: 'NotImplemented', status: 501 });
    await t.refused(put('sealed', 'x', { ServerSideEncryption: 'AES256' }),
      { name: 'NotImplemented', status: 501, message: /ServerSideEncryption/ });
    await t.refused(get('sealed'), { name: 'NoSuchKey', status: 404 });
  });
  await t.check('an operation that is not offered never becomes another one of the same path', async () => {
    const Key = 'annotated';
    await put(Key, 'kept');
    for (const Command of [GetObjectAnnotationCommand, DeleteObjectAnnotationCommand])
      await t.refused(s3.send(new Command({ Bucket, Key, AnnotationName: 'a' })), { name: 'NotImplemented', status: 501 });
    t.equal((await bytesOf(await get(Key))).toString(), 'kept');
  });
  await t.check('a wrong secret is refused', () => t.refused(
    t.client(S3Client, { forcePathStyle: true, credentials: { ...t.credentials, secretAccessKey: 'wrong' } })
      .send(new ListBucketsCommand({})),
    { name: 'SignatureDoesNotMatch', status: 403 }));
  await t.check('objects and the bucket are deleted', async () => {
    await t.refused(s3.send(new DeleteBucketCommand({ Bucket })), { name: 'BucketNotEmpty', status: 409 });
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'ranged' }));
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
    const Objects = Contents.map(({ Key }) => ({ Key }));
    const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    t.equal(Deleted.length, Objects.length);
    t.equal(Errors, undefined);
    await s3.send(new DeleteBucketCommand({ Bucket }));
    await t.refused(s3.send(new ListObjectsV2Command({ Bucket })), { name: 'NoSuchBucket', status: 404 });
  });
};
