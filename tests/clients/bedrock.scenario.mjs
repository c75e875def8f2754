import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BedrockClient, CreateCustomModelDeploymentCommand, CreateGuardrailCommand, DeleteCustomModelDeploymentCommand,
  GetCustomModelCommand, GetCustomModelDeploymentCommand, GetFoundationModelCommand, ListCustomModelDeploymentsCommand,
  ListCustomModelsCommand, ListFoundationModelsCommand, paginateListCustomModels,
} from '@aws-sdk/client-bedrock';
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';

export default async (t) => {
  const bedrock = t.client(BedrockClient);
  const runtime = t.client(BedrockRuntimeClient);

  await t.check('ListFoundationModels', async () => {
    const { modelSummaries } = await bedrock.send(new ListFoundationModelsCommand({}));
    t.ok(Array.isArray(modelSummaries), 'a list');
    t.equal((await bedrock.send(new ListFoundationModelsCommand({ byProvider: 'nobody' }))).modelSummaries, []);
    await t.refused(bedrock.send(new ListFoundationModelsCommand({ byInferenceType: 'NEVER' })),
      { name: 'ValidationException', status: 400, message: /byInferenceType/ });
  });
  await t.check('GetFoundationModel of none', () => t.refused(
    bedrock.send(new GetFoundationModelCommand({ modelIdentifier: 'holdfast.no-such' })),
    { name: 'ResourceNotFoundException', status: 404, message: /no-such/ }));
  await t.check('GetCustomModel of none', () => t.refused(
    bedrock.send(new GetCustomModelCommand({ modelIdentifier: 'no-such' })), { name: 'ResourceNotFoundException', status: 404 }));
  await t.check('what is not offered says so', () => t.refused(
    bedrock.send(new CreateGuardrailCommand({ name: 'g', blockedInputMessaging: 'x', blockedOutputsMessaging: 'x' })),
    { name: 'NotImplementedException', status: 501, message: /CreateGuardrail/ }));
  await t.check('a wrong secret is refused', () => t.refused(
    t.client(BedrockClient, { credentials: { ...t.credentials, secretAccessKey: 'wrong' } })
      .send(new ListFoundationModelsCommand({})),
    { name: 'InvalidSignatureException', status: 403 }));
  if (!t.model) return;

  let modelArn;
  await t.check('ListCustomModels', async () => {
    for await (const page of paginateListCustomModels({ client: bedrock, pageSize: 1 }, {})) {
      t.ok((page.modelSummaries?.length ?? 0) <= 1, 'at most one a page');
      for (const m of page.modelSummaries ?? []) if (m.modelName === t.model) modelArn = m.modelArn;
    }
    t.ok(modelArn?.startsWith(`arn:aws:bedrock:${t.region}:${t.account}:custom-model/`), `an ARN, found ${modelArn}`);
    const { modelSummaries } = await bedrock.send(new ListCustomModelsCommand({ nameContains: t.model }));
    const found = modelSummaries.find((m) => m.modelName === t.model);
    t.equal([found.ownerAccountId, found.modelStatus], [t.account, 'Active']);
    t.ok(found.creationTime instanceof Date, 'a time');
    t.equal((await bedrock.send(new ListCustomModelsCommand({ nameContains: 'no-such' }))).modelSummaries, []);
  });
  await t.check('GetCustomModel by name and by ARN', async () => {
    for (const modelIdentifier of [t.model, modelArn]) {
      const model = await bedrock.send(new GetCustomModelCommand({ modelIdentifier }));
      t.equal([model.modelArn, model.modelName, model.modelStatus], [modelArn, t.model, 'Active']);
      t.equal(model.hyperParameters.layers, '1');
      t.ok(model.jobArn && model.baseModelArn && model.creationTime instanceof Date, 'its job, base and time');
      t.ok(model.trainingMetrics.trainingLoss > 0, 'the loss of the training');
    }
  });
  await t.check('a deployment: created, active, asked, listed, deleted', async () => {
    const modelDeploymentName = `d-${t.scheme}-${randomBytes(4).toString('hex')}`;
    const create = { modelDeploymentName, modelArn, clientRequestToken: `token-${modelDeploymentName}`, description: 'of a test' };
    const { customModelDeploymentArn: arn } = await bedrock.send(new CreateCustomModelDeploymentCommand(create));
    t.equal((await bedrock.send(new CreateCustomModelDeploymentCommand(create))).customModelDeploymentArn, arn);
    await t.refused(bedrock.send(new CreateCustomModelDeploymentCommand({ ...create, clientRequestToken: 'other' })),
      { name: 'ConflictException', status: 400 });
    let one;
    for (let i = 0; i < 100; ++i) {
      one = await bedrock.send(new GetCustomModelDeploymentCommand({ customModelDeploymentIdentifier: arn }));
      if (one.status !== 'Creating') break;
      await sleep(100);
    }
    t.equal([one.status, one.modelDeploymentName, one.modelArn, one.description],
      ['Active', modelDeploymentName, modelArn, 'of a test']);
    for (const modelId of [arn, modelArn, modelDeploymentName]) {
      const answer = await runtime.send(new ConverseCommand({
        modelId, messages: [{ role: 'user', content: [{ text: 'hello' }] }], inferenceConfig: { maxTokens: 4 } }));
      t.ok(answer.usage.outputTokens > 0, `an answer of ${modelId}`);
    }
    const list = async (more) =>
      (await bedrock.send(new ListCustomModelDeploymentsCommand(more))).modelDeploymentSummaries.map((d) => d.customModelDeploymentArn);
    t.equal(await list({ nameContains: modelDeploymentName }), [arn]);
    t.equal(await list({ nameContains: modelDeploymentName, statusEquals: 'Failed' }), []);
    await bedrock.send(new DeleteCustomModelDeploymentCommand({ customModelDeploymentIdentifier: arn }));
    await t.refused(bedrock.send(new GetCustomModelDeploymentCommand({ customModelDeploymentIdentifier: arn })),
      { name: 'ResourceNotFoundException', status: 404 });
    t.equal(await list({ nameContains: modelDeploymentName }), []);
    await t.refused(runtime.send(new ConverseCommand({ modelId: arn, messages: [{ role: 'user', content: [{ text: 'x' }] }] })),
      { name: 'ResourceNotFoundException', status: 404 });
  });
  await t.check('a deployment of no model is refused', () => t.refused(
    bedrock.send(new CreateCustomModelDeploymentCommand({
      modelDeploymentName: 'none', modelArn: `arn:aws:bedrock:${t.region}:${t.account}:custom-model/holdfast.decoder/abcdefghijkl` })),
    { name: 'ResourceNotFoundException', status: 404 }));
};
