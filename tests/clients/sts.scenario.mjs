import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

export default async (t) => {
  const sts = t.client(STSClient);
  await t.check('GetCallerIdentity tells account and ARN', async () => {
    const who = await sts.send(new GetCallerIdentityCommand({}));
    t.equal(who.Account, t.account);
    t.ok(who.Arn.startsWith(`arn:aws:iam::${t.account}:`), `an ARN of the account, found ${who.Arn}`);
    t.ok(who.UserId, 'a user id');
    t.ok(who.$metadata.requestId, 'a request id');
  });
  await t.check('a wrong secret is refused', () => t.refused(
    t.client(STSClient, { credentials: { ...t.credentials, secretAccessKey: 'wrong' } }).send(new GetCallerIdentityCommand({})),
    { name: 'SignatureDoesNotMatch', status: 403 }));
  await t.check('an unknown key is refused', () => t.refused(
    t.client(STSClient, { credentials: { accessKeyId: 'AKIAAAAAAAAAAAAAAAAA', secretAccessKey: 'x' } })
      .send(new GetCallerIdentityCommand({})),
    { name: 'InvalidClientTokenId', status: 403 }));
  await t.check('a session token that nobody gave is refused', () => t.refused(
    t.client(STSClient, { credentials: { ...t.credentials, sessionToken: 'x' } }).send(new GetCallerIdentityCommand({})),
    { name: 'InvalidClientTokenId', status: 403 }));
  await t.check('a machine whose clock is an hour off learns the time from the refusal\'s Date', async () => {
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
    try {
      t.equal((await t.client(STSClient, { maxAttempts: 2 }).send(new GetCallerIdentityCommand({}))).Account, t.account);
    } finally {
      Date.now = now;
    }
  });
  await t.check('AssumeRole is not implemented, in STS\'s own words', () => t.refused(
    sts.send(new AssumeRoleCommand({ RoleArn: 'arn:aws:iam::111122223333:role/some-role', RoleSessionName: 'some' })),
    { name: 'InvalidAction', status: 400 }));
};
