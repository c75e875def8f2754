import { randomBytes } from 'node:crypto';
import {
  CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand, IAMClient, ListRolesCommand, ListUsersCommand,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam';
import {
  AssumeRoleCommand, AssumeRootCommand, DecodeAuthorizationMessageCommand, GetAccessKeyInfoCommand,
  GetCallerIdentityCommand, GetSessionTokenCommand, STSClient,
} from '@aws-sdk/client-sts';

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
  const iam = t.client(IAMClient);
  const unique = `${t.scheme}-${randomBytes(4).toString('hex')}`;
  const UserName = `eve-${unique}`, RoleName = `visit-${unique}`;
  const RoleArn = `arn:aws:iam::${t.account}:role/${RoleName}`;
  const allow = (Action) => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });
  let user;
  await t.check('AssumeRole, with session policy, tags and an external id', async () => {
    await iam.send(new CreateUserCommand({ UserName }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    user = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
    await iam.send(new CreateRoleCommand({
      RoleName,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{
          Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${t.account}:user/${UserName}` },
          Action: ['sts:AssumeRole', 'sts:TagSession'], Condition: { StringEquals: { 'sts:ExternalId': unique } },
        }],
      }),
    }));
    await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'own', PolicyDocument: allow('iam:List*') }));
    const { Credentials: c, AssumedRoleUser } = await t.client(STSClient, { credentials: user }).send(new AssumeRoleCommand({
      RoleArn, RoleSessionName: 'one', ExternalId: unique, DurationSeconds: 900, Policy: allow('iam:ListRoles'),
      Tags: [{ Key: 'team', Value: 'models' }],
    }));
    const provider = { accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken };
    t.equal(AssumedRoleUser.Arn, `arn:aws:sts::${t.account}:assumed-role/${RoleName}/one`);
    const session = t.client(IAMClient, { credentials: provider });
    t.ok((await session.send(new ListRolesCommand({}))).Roles.some((r) => r.RoleName === RoleName), 'the role is listed');
    await t.refused(session.send(new ListUsersCommand({})), { name: 'AccessDenied', status: 403 });
    const who = await t.client(STSClient, { credentials: provider }).send(new GetCallerIdentityCommand({}));
    t.equal(who.Arn, `arn:aws:sts::${t.account}:assumed-role/${RoleName}/one`);
  });
  await t.check('a role is for whom it trusts', async () => {
    const as = t.client(STSClient, { credentials: user });
    await t.refused(as.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'one' })), { name: 'AccessDenied', status: 403 });
    await t.refused(as.send(new AssumeRoleCommand({ RoleArn: `${RoleArn}x`, RoleSessionName: 'one', ExternalId: unique })),
      { name: 'AccessDenied', status: 403 });
    await t.refused(as.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'one', ExternalId: unique, DurationSeconds: 7200 })),
      { name: 'ValidationError', status: 400 });
  });
  await t.check('GetSessionToken: the user, without IAM', async () => {
    const { Credentials: c } = await t.client(STSClient, { credentials: user }).send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
    t.ok(c.Expiration instanceof Date, 'a date');
    const credentials = { accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken };
    const who = await t.client(STSClient, { credentials }).send(new GetCallerIdentityCommand({}));
    t.equal(who.Arn, `arn:aws:iam::${t.account}:user/${UserName}`);
    await t.refused(t.client(IAMClient, { credentials }).send(new ListUsersCommand({})), { name: 'AccessDenied', status: 403 });
    await t.refused(t.client(STSClient, { credentials: { ...credentials, sessionToken: `${c.SessionToken.slice(0, -4)}AAAA` } })
      .send(new GetCallerIdentityCommand({})), { name: 'InvalidClientTokenId', status: 403 });
    t.equal((await sts.send(new GetAccessKeyInfoCommand({ AccessKeyId: c.AccessKeyId }))).Account, t.account);
  });
  await t.check('a denial is explained to whom it may be', async () => {
    let encoded;
    try {
      await t.client(IAMClient, { credentials: user }).send(new ListUsersCommand({}));
    } catch (e) {
      encoded = e.message.split('Encoded authorization failure message: ')[1];
    }
    const { DecodedMessage } = await sts.send(new DecodeAuthorizationMessageCommand({ EncodedMessage: encoded }));
    const told = JSON.parse(DecodedMessage);
    t.equal([told.allowed, told.context.action], [false, 'iam:ListUsers']);
  });
  await t.check('AssumeRoot is not implemented, in STS\'s own words', () => t.refused(
    sts.send(new AssumeRootCommand({ TargetPrincipal: t.account, TaskPolicyArn: { arn: 'arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials' } })),
    { name: 'InvalidAction', status: 400 }));
};
