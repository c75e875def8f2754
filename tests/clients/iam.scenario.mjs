import { randomBytes } from 'node:crypto';
import OpenAI from 'openai';
import { BedrockClient, ListCustomModelsCommand } from '@aws-sdk/client-bedrock';
import {
  AddUserToGroupCommand, AttachGroupPolicyCommand, AttachUserPolicyCommand, CreateAccessKeyCommand, CreateGroupCommand,
  CreatePolicyCommand, CreatePolicyVersionCommand, CreateServiceSpecificCredentialCommand, CreateUserCommand,
  DeleteAccessKeyCommand, DeleteGroupCommand, DeleteServiceSpecificCredentialCommand,
  ListServiceSpecificCredentialsCommand, ResetServiceSpecificCredentialCommand,
  UpdateServiceSpecificCredentialCommand,
  DeletePolicyCommand, DeletePolicyVersionCommand, DeleteUserCommand, DeleteUserPolicyCommand, DetachGroupPolicyCommand,
  DetachUserPolicyCommand, GetAccessKeyLastUsedCommand, GetGroupCommand, GetPolicyVersionCommand, GetUserCommand,
  GetUserPolicyCommand, IAMClient, ListAccessKeysCommand, ListPolicyVersionsCommand, ListUserPoliciesCommand,
  ListUserTagsCommand, ListUsersCommand, PutUserPolicyCommand, RemoveUserFromGroupCommand, UpdateAccessKeyCommand,
  UpdateUserCommand, paginateListUsers, waitUntilUserExists,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

const document = (Action, Effect = 'Allow') => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect, Action, Resource: '*' }] });

export default async (t) => {
  const iam = t.client(IAMClient);
  const send = (command) => iam.send(command);
  const unique = `${t.scheme}-${randomBytes(4).toString('hex')}`;
  const UserName = `ada-${unique}`, GroupName = `staff-${unique}`, PolicyName = `read-${unique}`;
  const arn = (what) => `arn:aws:iam::${t.account}:${what}`;
  const PolicyArn = arn(`policy/${PolicyName}`);
  let credentials;
  const as = (Client) => t.client(Client, { credentials });
  const denied = (promise) => t.refused(promise, { name: 'AccessDenied', status: 403 });

  await t.check('a user is made, found and not made twice', async () => {
    const { User } = await send(new CreateUserCommand({ UserName, Path: `/${unique}/`, Tags: [{ Key: 'team', Value: 'models' }] }));
    t.equal(User.Arn, arn(`user/${unique}/${UserName}`));
    t.ok(User.CreateDate instanceof Date, 'a date');
    await waitUntilUserExists({ client: iam, maxWaitTime: 10 }, { UserName });
    t.equal((await send(new ListUserTagsCommand({ UserName }))).Tags, [{ Key: 'team', Value: 'models' }]);
    await t.refused(send(new CreateUserCommand({ UserName })), { name: 'EntityAlreadyExistsException', status: 409 });
    await t.refused(send(new GetUserCommand({ UserName: 'nobody' })), { name: 'NoSuchEntityException', status: 404 });
    t.equal((await send(new GetUserCommand({}))).User.UserName, 'administrator');
  });
  await t.check('users come in pages', async () => {
    for (const i of [1, 2]) await send(new CreateUserCommand({ UserName: `${UserName}-${i}`, Path: `/${unique}/` }));
    const names = [];
    for await (const page of paginateListUsers({ client: iam, pageSize: 1 }, { PathPrefix: `/${unique}/` })) {
      names.push(...page.Users.map((u) => u.UserName));
    }
    t.equal(names, [UserName, `${UserName}-1`, `${UserName}-2`]);
    for (const i of [1, 2]) await send(new DeleteUserCommand({ UserName: `${UserName}-${i}` }));
    t.equal((await send(new ListUsersCommand({ PathPrefix: '/no-such-path/' }))).Users, []);
  });
  await t.check('a key may what its user may', async () => {
    const { AccessKey } = await send(new CreateAccessKeyCommand({ UserName }));
    credentials = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
    t.equal((await as(STSClient).send(new GetCallerIdentityCommand({}))).Arn, arn(`user/${unique}/${UserName}`));
    await denied(as(IAMClient).send(new ListUsersCommand({})));
    await send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument: document('iam:ListUsers') }));
    t.ok((await as(IAMClient).send(new ListUsersCommand({}))).Users.length > 0, 'users');
    t.equal(decodeURIComponent((await send(new GetUserPolicyCommand({ UserName, PolicyName: 'own' }))).PolicyDocument),
      document('iam:ListUsers'));
    t.equal((await send(new ListUserPoliciesCommand({ UserName }))).PolicyNames, ['own']);
    await send(new DeleteUserPolicyCommand({ UserName, PolicyName: 'own' }));
    await denied(as(IAMClient).send(new ListUsersCommand({})));
    const used = await send(new GetAccessKeyLastUsedCommand({ AccessKeyId: credentials.accessKeyId }));
    t.equal([used.UserName, used.AccessKeyLastUsed.ServiceName], [UserName, 'iam']);
  });
  await t.check('managed policies: versions, users, groups', async () => {
    t.equal((await send(new CreatePolicyCommand({ PolicyName, PolicyDocument: document('iam:ListUsers') }))).Policy.Arn, PolicyArn);
    await send(new AttachUserPolicyCommand({ UserName, PolicyArn }));
    await as(IAMClient).send(new ListUsersCommand({}));
    await send(new CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: document('iam:GetUser'), SetAsDefault: true }));
    await denied(as(IAMClient).send(new ListUsersCommand({})));
    t.equal((await as(IAMClient).send(new GetUserCommand({}))).User.UserName, UserName);
    t.equal((await send(new ListPolicyVersionsCommand({ PolicyArn }))).Versions.map((v) => [v.VersionId, v.IsDefaultVersion]),
      [['v1', false], ['v2', true]]);
    t.equal(decodeURIComponent((await send(new GetPolicyVersionCommand({ PolicyArn, VersionId: 'v1' }))).PolicyVersion.Document),
      document('iam:ListUsers'));
    await send(new DetachUserPolicyCommand({ UserName, PolicyArn }));
    await denied(as(IAMClient).send(new GetUserCommand({})));
    await send(new CreateGroupCommand({ GroupName }));
    await send(new AttachGroupPolicyCommand({ GroupName, PolicyArn }));
    await send(new AddUserToGroupCommand({ GroupName, UserName }));
    await as(IAMClient).send(new GetUserCommand({}));
    t.equal((await send(new GetGroupCommand({ GroupName }))).Users.map((u) => u.UserName), [UserName]);
    await t.refused(send(new DeletePolicyCommand({ PolicyArn })), { name: 'DeleteConflictException', status: 409 });
  });
  await t.check('a Bedrock API key: Bearer of the AWS SDK and of the OpenAI client', async () => {
    const name = `bearer-${unique}`;
    await send(new CreateUserCommand({ UserName: name }));
    const { ServiceSpecificCredential: made } = await send(new CreateServiceSpecificCredentialCommand(
      { UserName: name, ServiceName: 'bedrock.amazonaws.com', CredentialAgeDays: 30 }));
    const ServiceSpecificCredentialId = made.ServiceSpecificCredentialId;
    t.equal([made.UserName, made.Status, made.ServiceName], [name, 'Active', 'bedrock.amazonaws.com']);
    t.equal(made.ExpirationDate - made.CreateDate, 30 * 86_400_000);
    const models = async (token) => {
      process.env.AWS_BEARER_TOKEN_BEDROCK = token;
      try {
        return await t.client(BedrockClient, { credentials: undefined }).send(new ListCustomModelsCommand({}));
      } finally {
        delete process.env.AWS_BEARER_TOKEN_BEDROCK;
      }
    };
    const openai = (apiKey) => new OpenAI({ baseURL: `${t.endpoint}/v1`, apiKey, maxRetries: 0 }).models.list();
    await t.refused(models(made.ServiceCredentialSecret), { status: 403 });
    await t.refused(openai(made.ServiceCredentialSecret), { status: 403 });
    await send(new PutUserPolicyCommand({ UserName: name, PolicyName: 'own', PolicyDocument: document('*') }));
    t.ok(Array.isArray((await models(made.ServiceCredentialSecret)).modelSummaries), 'models');
    t.equal((await openai(made.ServiceCredentialSecret)).object, 'list');
    const { ServiceSpecificCredential: reset } = await send(new ResetServiceSpecificCredentialCommand(
      { UserName: name, ServiceSpecificCredentialId }));
    await t.refused(openai(made.ServiceCredentialSecret), { status: 401 });
    t.equal((await openai(reset.ServiceCredentialSecret)).object, 'list');
    await send(new UpdateServiceSpecificCredentialCommand({ UserName: name, ServiceSpecificCredentialId, Status: 'Inactive' }));
    await t.refused(openai(reset.ServiceCredentialSecret), { status: 401 });
    const { ServiceSpecificCredentials: [listed] } = await send(new ListServiceSpecificCredentialsCommand({ UserName: name }));
    t.equal([listed.Status, listed.ServiceCredentialSecret], ['Inactive', undefined]);
    await send(new DeleteServiceSpecificCredentialCommand({ UserName: name, ServiceSpecificCredentialId }));
    await send(new DeleteUserPolicyCommand({ UserName: name, PolicyName: 'own' }));
    await send(new DeleteUserCommand({ UserName: name }));
  });
  await t.check('what is wrong is named', async () => {
    await t.refused(send(new PutUserPolicyCommand({ UserName, PolicyName: 'bad', PolicyDocument: '{"Version":1}' })),
      { name: 'MalformedPolicyDocumentException', status: 400 });
    await send(new CreateAccessKeyCommand({ UserName }));
    await t.refused(send(new CreateAccessKeyCommand({ UserName })), { name: 'LimitExceededException', status: 409 });
    await t.refused(send(new DeleteUserCommand({ UserName })), { name: 'DeleteConflictException', status: 409 });
  });
  await t.check('an inactive key and a deleted one open nothing, a renamed user keeps its keys', async () => {
    const { accessKeyId: AccessKeyId } = credentials;
    const name = `${UserName}-2`;
    await send(new UpdateUserCommand({ UserName, NewUserName: name }));
    t.equal((await as(IAMClient).send(new GetUserCommand({}))).User.UserName, name);
    await send(new UpdateAccessKeyCommand({ UserName: name, AccessKeyId, Status: 'Inactive' }));
    await t.refused(as(STSClient).send(new GetCallerIdentityCommand({})), { name: 'InvalidClientTokenId', status: 403 });
    const { AccessKeyMetadata } = await send(new ListAccessKeysCommand({ UserName: name }));
    t.equal(AccessKeyMetadata.find((k) => k.AccessKeyId === AccessKeyId).Status, 'Inactive');
    for (const key of AccessKeyMetadata) await send(new DeleteAccessKeyCommand({ UserName: name, AccessKeyId: key.AccessKeyId }));
    await send(new RemoveUserFromGroupCommand({ GroupName, UserName: name }));
    await send(new DetachGroupPolicyCommand({ GroupName, PolicyArn }));
    await send(new DeletePolicyVersionCommand({ PolicyArn, VersionId: 'v1' }));
    await send(new DeletePolicyCommand({ PolicyArn }));
    await send(new DeleteGroupCommand({ GroupName }));
    await send(new DeleteUserCommand({ UserName: name }));
  });
};
