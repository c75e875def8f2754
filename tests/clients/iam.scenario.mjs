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
  CreateAccountAliasCommand, CreateRoleCommand, DeleteAccountAliasCommand, DeleteRoleCommand,
  GenerateCredentialReportCommand, GetAccountSummaryCommand, GetContextKeysForCustomPolicyCommand,
  GetContextKeysForPrincipalPolicyCommand, GetCredentialReportCommand, GetRoleCommand, ListAccountAliasesCommand,
  ListEntitiesForPolicyCommand, PutUserPermissionsBoundaryCommand, SimulateCustomPolicyCommand,
  SimulatePrincipalPolicyCommand, TagUserCommand, UntagUserCommand, DeleteUserPermissionsBoundaryCommand,
  UpdateUserCommand, paginateGetAccountAuthorizationDetails, paginateListUsers, paginateSimulateCustomPolicy,
  waitUntilUserExists,
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
  await t.check('simulation says what the gate would, by which statement, and what is missing', async () => {
    const PolicySourceArn = arn(`user/${unique}/${UserName}`);
    const own = JSON.stringify({ Version: '2012-10-17', Statement: [
      { Effect: 'Allow', Action: 'iam:ListUsers', Resource: '*', Condition: { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } } },
      { Effect: 'Deny', Action: 'iam:ListRoles', Resource: '*' }] }, null, 2);
    await send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument: own }));
    const simulate = (more) => send(new SimulatePrincipalPolicyCommand({ PolicySourceArn, ...more }));
    const ActionNames = ['iam:ListUsers', 'iam:ListRoles', 'iam:GetUser', 'iam:ListGroups'];
    const told = { ContextKeyName: 'aws:SourceIp', ContextKeyType: 'ip', ContextKeyValues: ['127.0.0.1'] };
    const { EvaluationResults, IsTruncated } = await simulate({ ActionNames, ContextEntries: [told] });
    t.equal(IsTruncated, false);
    t.equal(EvaluationResults.map((r) => r.EvalDecision), ['allowed', 'explicitDeny', 'allowed', 'implicitDeny']);
    const [listUsers, listRoles, getUser] = EvaluationResults.map((r) => r.MatchedStatements);
    t.equal(listUsers, [{ SourcePolicyId: 'user-policy/own', SourcePolicyType: 'user',
      StartPosition: { Line: 4, Column: 5 }, EndPosition: { Line: 13, Column: 6 } }]);
    t.equal(listRoles.map((m) => m.StartPosition), [{ Line: 14, Column: 5 }]);
    t.equal(getUser.map((m) => [m.SourcePolicyId, m.SourcePolicyType]), [[PolicyArn, 'user-managed']]);
    t.ok((await as(IAMClient).send(new ListUsersCommand({}))).Users.length > 0, 'what the simulation has said');
    const { EvaluationResults: [untold] } = await simulate({ ActionNames: ['iam:ListUsers'] });
    t.equal([untold.EvalDecision, untold.MissingContextValues], ['implicitDeny', ['aws:SourceIp']]);
    await send(new PutUserPermissionsBoundaryCommand({ UserName, PermissionsBoundary: PolicyArn }));
    const { EvaluationResults: [bounded] } = await simulate({ ActionNames: ['iam:ListUsers'], ContextEntries: [told] });
    t.equal([bounded.EvalDecision, bounded.PermissionsBoundaryDecisionDetail], ['implicitDeny', { AllowedByPermissionsBoundary: false }]);
    await denied(as(IAMClient).send(new ListUsersCommand({})));
    await send(new DeleteUserPermissionsBoundaryCommand({ UserName }));
    t.equal((await send(new GetContextKeysForPrincipalPolicyCommand({ PolicySourceArn }))).ContextKeyNames, ['aws:SourceIp']);
    t.equal((await send(new GetContextKeysForCustomPolicyCommand({ PolicyInputList: [own] }))).ContextKeyNames, ['aws:SourceIp']);
    await send(new DeleteUserPolicyCommand({ UserName, PolicyName: 'own' }));
    await t.refused(simulate({ ActionNames: ['iam:ListUsers'], ResourceHandlingOption: 'EC2-VPC-EBS' }), { status: 400 });
    await t.refused(send(new SimulatePrincipalPolicyCommand({ PolicySourceArn: arn('user/nobody'), ActionNames })),
      { name: 'NoSuchEntityException', status: 404 });
  });
  await t.check('simulation of a document: resources, pages, the policy of a bucket', async () => {
    const PolicyInputList = [JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/*' } })];
    const results = [];
    for await (const page of paginateSimulateCustomPolicy({ client: iam, pageSize: 2 }, { PolicyInputList,
      ActionNames: ['s3:GetObject', 's3:PutObject'], ResourceArns: ['arn:aws:s3:::b/k', 'arn:aws:s3:::c/k'] })) {
      t.ok(page.EvaluationResults.length <= 2, 'a page of two');
      results.push(...page.EvaluationResults);
    }
    t.equal(results.map((r) => [r.EvalActionName, r.EvalResourceName, r.EvalDecision, r.ResourceSpecificResults[0].EvalResourceDecision]), [
      ['s3:GetObject', 'arn:aws:s3:::b/k', 'allowed', 'allowed'],
      ['s3:GetObject', 'arn:aws:s3:::c/k', 'implicitDeny', 'implicitDeny'],
      ['s3:PutObject', 'arn:aws:s3:::b/k', 'implicitDeny', 'implicitDeny'],
      ['s3:PutObject', 'arn:aws:s3:::c/k', 'implicitDeny', 'implicitDeny']]);
    const CallerArn = arn(`user/${unique}/${UserName}`);
    const { EvaluationResults: [across] } = await send(new SimulateCustomPolicyCommand({ PolicyInputList, CallerArn,
      ActionNames: ['s3:GetObject'], ResourceArns: ['arn:aws:s3:::b/k'], ResourceOwner: '444455556666',
      ResourcePolicy: JSON.stringify({ Version: '2012-10-17', Statement: [
        { Effect: 'Deny', Principal: { AWS: CallerArn }, Action: 's3:*', Resource: 'arn:aws:s3:::b/*' }] }) }));
    t.equal([across.EvalDecision, across.EvalDecisionDetails], ['explicitDeny', { 'IAM Policy': 'allowed', 'Resource Policy': 'explicitDeny' }]);
    t.equal(across.MatchedStatements.map((m) => [m.SourcePolicyId, m.SourcePolicyType]), [['ResourcePolicy', 'resource']]);
    await t.refused(send(new SimulateCustomPolicyCommand({ PolicyInputList: ['{'], ActionNames: ['s3:GetObject'] })),
      { name: 'InvalidInputException', status: 400 });
  });
  await t.check('the account as a whole: details, a policy\'s bearers, summary, alias, report', async () => {
    const found = { users: [], groups: [], policies: [] };
    for await (const page of paginateGetAccountAuthorizationDetails({ client: iam, pageSize: 1 }, {})) {
      t.ok(page.UserDetailList.length + page.GroupDetailList.length + page.RoleDetailList.length + page.Policies.length <= 1, 'a page of one');
      found.users.push(...page.UserDetailList);
      found.groups.push(...page.GroupDetailList);
      found.policies.push(...page.Policies);
    }
    const user = found.users.find((u) => u.UserName === UserName);
    t.equal([user.Path, user.GroupList, user.Tags], [`/${unique}/`, [GroupName], [{ Key: 'team', Value: 'models' }]]);
    t.equal(found.groups.find((g) => g.GroupName === GroupName).AttachedManagedPolicies, [{ PolicyName, PolicyArn }]);
    const policy = found.policies.find((p) => p.PolicyName === PolicyName);
    t.equal([policy.AttachmentCount, policy.DefaultVersionId], [1, 'v2']);
    t.equal(policy.PolicyVersionList.map((v) => decodeURIComponent(v.Document)), [document('iam:ListUsers'), document('iam:GetUser')]);
    const bearers = await send(new ListEntitiesForPolicyCommand({ PolicyArn }));
    t.equal([bearers.PolicyUsers.length, bearers.PolicyGroups.map((g) => g.GroupName), bearers.PolicyRoles.length], [0, [GroupName], 0]);
    const { SummaryMap } = await send(new GetAccountSummaryCommand({}));
    t.equal([SummaryMap.Users, SummaryMap.Policies, SummaryMap.UsersQuota], [found.users.length, found.policies.length, 5000]);
    await send(new CreateAccountAliasCommand({ AccountAlias: unique }));
    t.equal((await send(new ListAccountAliasesCommand({}))).AccountAliases, [unique]);
    await t.refused(send(new CreateAccountAliasCommand({ AccountAlias: unique })), { name: 'EntityAlreadyExistsException', status: 409 });
    await send(new DeleteAccountAliasCommand({ AccountAlias: unique }));
    t.equal((await send(new ListAccountAliasesCommand({}))).AccountAliases, []);
    if (t.scheme === 'https') {
      await t.refused(send(new GetCredentialReportCommand({})), { name: 'CredentialReportNotPresentException', status: 410 });
    }
    t.equal((await send(new GenerateCredentialReportCommand({}))).State, 'COMPLETE');
    const report = await send(new GetCredentialReportCommand({}));
    const lines = Buffer.from(report.Content).toString().trim().split('\n').map((l) => l.split(','));
    t.equal([report.ReportFormat, lines.filter((l) => l.length !== lines[0].length)], ['text/csv', []]);
    const line = lines.find((l) => l[0] === UserName);
    t.equal([line[1], line[3], line[7], line[8]], [arn(`user/${unique}/${UserName}`), 'false', 'false', 'true']);
    t.ok(report.GeneratedTime instanceof Date, 'a date');
  });
  await t.check('tags in conditions: of the request and of what it is about', async () => {
    const RoleName = `role-${unique}`, mine = `mine-${unique}`, other = `other-${unique}`;
    const Tags = (Value) => [{ Key: 'team', Value }];
    const tags = { StringEquals: { 'aws:RequestTag/team': 'models' }, 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team'] } };
    await send(new PutUserPolicyCommand({ UserName, PolicyName: 'tags', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [
      { Effect: 'Allow', Action: ['iam:CreateUser', 'iam:CreateRole', 'iam:TagUser', 'iam:TagRole'], Resource: '*', Condition: tags },
      { Effect: 'Allow', Action: ['iam:DeleteUser', 'iam:GetRole', 'iam:UntagUser'], Resource: '*',
        Condition: { StringEquals: { 'iam:ResourceTag/team': 'models' } } }] }) }));
    const she = as(IAMClient);
    const AssumeRolePolicyDocument = JSON.stringify({ Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: t.account }, Action: 'sts:AssumeRole' }] });
    await denied(she.send(new CreateUserCommand({ UserName: mine })));
    await denied(she.send(new CreateUserCommand({ UserName: mine, Tags: Tags('other') })));
    await denied(she.send(new CreateUserCommand({ UserName: mine, Tags: [...Tags('models'), { Key: 'x', Value: 'y' }] })));
    await she.send(new CreateUserCommand({ UserName: mine, Tags: Tags('models') }));
    await she.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument, Tags: Tags('models') }));
    t.equal((await she.send(new GetRoleCommand({ RoleName }))).Role.Tags, Tags('models'));
    await send(new CreateUserCommand({ UserName: other, Tags: Tags('other') }));
    await denied(she.send(new DeleteUserCommand({ UserName: other })));
    await denied(she.send(new UntagUserCommand({ UserName: other, TagKeys: ['team'] })));
    await denied(she.send(new TagUserCommand({ UserName: other, Tags: Tags('mine') })));
    await she.send(new DeleteUserCommand({ UserName: mine }));
    await send(new DeleteUserCommand({ UserName: other }));
    await send(new DeleteRoleCommand({ RoleName }));
    await send(new DeleteUserPolicyCommand({ UserName, PolicyName: 'tags' }));
    await t.refused(send(new PutUserPolicyCommand({ UserName, PolicyName: 'bad', PolicyDocument: JSON.stringify({ Version: '2012-10-17',
      Statement: [{ Effect: 'Deny', Action: 's3:*', Resource: '*', Condition: { StringEquals: { 'aws:ResourceTag/team': 'x' } } }] }) })),
    { name: 'MalformedPolicyDocumentException', status: 400, message: /aws:ResourceTag\/team/ });
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
