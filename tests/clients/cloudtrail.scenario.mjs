import { randomBytes } from 'node:crypto';
import {
  CloudTrailClient, CreateTrailCommand, DeleteTrailCommand, DescribeTrailsCommand, GetEventSelectorsCommand,
  GetTrailStatusCommand, LookupEventsCommand, PutEventSelectorsCommand, StartLoggingCommand, StopLoggingCommand,
  paginateLookupEvents,
} from '@aws-sdk/client-cloudtrail';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateUserCommand, DeleteUserCommand, IAMClient } from '@aws-sdk/client-iam';

export default async (t) => {
  const trail = t.client(CloudTrailClient);
  const s3 = t.client(S3Client, { forcePathStyle: true });
  const unique = `${t.scheme}-${randomBytes(4).toString('hex')}`;
  const Bucket = `trail-${unique}`, Name = `trail-${unique}`, UserName = `eve-${unique}`;
  const find = async (AttributeKey, AttributeValue) => (await trail.send(new LookupEventsCommand({
    LookupAttributes: [{ AttributeKey, AttributeValue }],
  }))).Events;

  await t.check('what was done is found, by whom, from where and why', async () => {
    await s3.send(new CreateBucketCommand({ Bucket }));
    await t.client(IAMClient).send(new CreateUserCommand({ UserName }));
    const [event] = await find('ResourceName', `arn:aws:s3:::${Bucket}`);
    t.equal([event.EventName, event.EventSource, event.ReadOnly, event.AccessKeyId],
      ['CreateBucket', 's3.amazonaws.com', 'false', t.credentials.accessKeyId]);
    t.ok(event.EventTime instanceof Date, 'a date');
    t.equal(event.Resources, [{ ResourceType: 'AWS::S3::Bucket', ResourceName: `arn:aws:s3:::${Bucket}` }]);
    const whole = JSON.parse(event.CloudTrailEvent);
    t.equal([whole.userIdentity.accountId, whole.sourceIPAddress, whole.additionalEventData.decision],
      [t.account, '127.0.0.1', 'allow']);
    t.equal((await find('EventId', event.EventId)).map((e) => e.EventName), ['CreateBucket']);
    t.ok((await find('EventName', 'CreateUser')).some((e) => e.Resources[0].ResourceName.endsWith(UserName)), 'the user');
  });
  await t.check('events come in pages, newest first', async () => {
    const seen = [];
    for await (const page of paginateLookupEvents({ client: trail, pageSize: 7 }, { StartTime: new Date(Date.now() - 3600e3) })) {
      seen.push(...page.Events);
      if (seen.length > 30) break;
    }
    t.ok(seen.length > 7, 'more than a page');
    t.equal(new Set(seen.map((e) => e.EventId)).size, seen.length);
    t.ok(seen.every((e, i) => i === 0 || e.EventTime <= seen[i - 1].EventTime), 'newest first');
  });
  await t.check('a trail is made, started, told of and taken away', async () => {
    const made = await trail.send(new CreateTrailCommand({ Name, S3BucketName: Bucket }));
    t.ok(made.TrailARN.endsWith(`:${t.account}:trail/${Name}`), made.TrailARN);
    await trail.send(new PutEventSelectorsCommand({
      TrailName: Name, EventSelectors: [{ ReadWriteType: 'WriteOnly', IncludeManagementEvents: true,
        DataResources: [{ Type: 'AWS::S3::Object', Values: ['arn:aws:s3'] }] }],
    }));
    t.equal((await trail.send(new GetEventSelectorsCommand({ TrailName: Name }))).EventSelectors[0].ReadWriteType, 'WriteOnly');
    await trail.send(new StartLoggingCommand({ Name }));
    t.equal((await trail.send(new GetTrailStatusCommand({ Name }))).IsLogging, true);
    t.ok((await trail.send(new DescribeTrailsCommand({}))).trailList.some((x) => x.Name === Name), 'it is listed');
    await trail.send(new StopLoggingCommand({ Name }));
    await t.refused(trail.send(new CreateTrailCommand({ Name, S3BucketName: Bucket })), { name: 'TrailAlreadyExistsException', status: 400 });
    await t.refused(trail.send(new CreateTrailCommand({ Name: `${Name}-2`, S3BucketName: 'no-such-bucket' })),
      { name: 'S3BucketDoesNotExistException', status: 400 });
    await trail.send(new DeleteTrailCommand({ Name }));
    await t.refused(trail.send(new GetTrailStatusCommand({ Name })), { name: 'TrailNotFoundException', status: 400 });
  });
  await t.client(IAMClient).send(new DeleteUserCommand({ UserName }));
};
