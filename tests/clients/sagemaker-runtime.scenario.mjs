import { randomBytes } from 'node:crypto';
import {
  CreateEndpointCommand, CreateEndpointConfigCommand, CreateModelCommand, DeleteEndpointCommand, DescribeTrainingJobCommand,
  SageMakerClient, waitUntilEndpointInService,
} from '@aws-sdk/client-sagemaker';
import {
  InvokeEndpointAsyncCommand, InvokeEndpointCommand, InvokeEndpointWithResponseStreamCommand, SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';

export default async (t) => {
  const runtime = t.client(SageMakerRuntimeClient);
  const EndpointName = `client-${t.scheme}-${randomBytes(4).toString('hex')}`;
  const command = (Command, body, more = {}) => new Command({
    EndpointName, ContentType: 'application/json', Body: typeof body === 'string' ? body : JSON.stringify(body), ...more });
  const invoke = async (body, more, client = runtime) => {
    const answer = await client.send(command(InvokeEndpointCommand, body, more));
    return { answer, body: JSON.parse(Buffer.from(answer.Body).toString()) };
  };
  const refused = (promise, message) => t.refused(promise, { name: 'ValidationError', status: 400, message });

  await t.check('an unknown endpoint is ValidationError', async () => {
    await refused(invoke({ inputs: 'x' }), /not found/);
    await refused(runtime.send(command(InvokeEndpointWithResponseStreamCommand, { inputs: 'x' })), /not found/);
  });
  await t.check('a wrong secret is refused', () => t.refused(
    invoke({ inputs: 'x' }, {}, t.client(SageMakerRuntimeClient, { credentials: { ...t.credentials, secretAccessKey: 'wrong' } })),
    { name: 'InvalidSignatureException', status: 403 }));
  await t.check('what is not offered says so', () => t.refused(
    runtime.send(new InvokeEndpointAsyncCommand({ EndpointName, InputLocation: 's3://bucket/key' })),
    { name: 'NotImplementedException', status: 501 }));
  if (!t.model) return;

  const sagemaker = t.client(SageMakerClient);
  await t.check('an endpoint of the model', async () => {
    const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: t.model }));
    await sagemaker.send(new CreateModelCommand({ ModelName: EndpointName,
      PrimaryContainer: { ModelDataUrl: job.ModelArtifacts.S3ModelArtifacts } }));
    await sagemaker.send(new CreateEndpointConfigCommand({ EndpointConfigName: EndpointName,
      ProductionVariants: [{ VariantName: 'all', ModelName: EndpointName, InitialInstanceCount: 1, InstanceType: 'ml.m5.large' }] }));
    await sagemaker.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName: EndpointName }));
    await waitUntilEndpointInService({ client: sagemaker, maxWaitTime: 40, minDelay: 1, maxDelay: 1 }, { EndpointName });
  });
  const ask = { prompt: 'Go on from 7.', parameters: { max_new_tokens: 16, do_sample: false } };
  let whole;
  await t.check('InvokeEndpoint', async () => {
    const { answer, body } = await invoke(ask, { CustomAttributes: 'trace=1', TargetVariant: 'all', Accept: 'application/json' });
    t.equal([answer.ContentType, answer.InvokedProductionVariant, answer.CustomAttributes], ['application/json', 'all', 'trace=1']);
    t.equal(body.length, 1);
    whole = body[0].generated_text;
    t.ok(whole.length > 16, 'words');
    t.equal((await invoke({ messages: [{ role: 'user', content: ask.prompt }], parameters: ask.parameters })).body, body);
  });
  await t.check('return_full_text begins with the input', async () => {
    const { body } = await invoke({ inputs: 'one two', parameters: { ...ask.parameters, return_full_text: true } });
    t.ok(body[0].generated_text.startsWith('one two'), `the input, found ${body[0].generated_text}`);
  });
  for (const [name, client] of [['the SDK\'s own HTTP', runtime],
    ['HTTP/1.1', t.client(SageMakerRuntimeClient, { requestHandler: new NodeHttpHandler() })]]) {
    await t.check(`InvokeEndpointWithResponseStream over ${name}: the same text`, async () => {
      const answer = await client.send(command(InvokeEndpointWithResponseStreamCommand, ask));
      t.equal([answer.ContentType, answer.InvokedProductionVariant], ['text/event-stream', 'all']);
      let text = '';
      for await (const event of answer.Body) text += Buffer.from(event.PayloadPart.Bytes).toString();
      const lines = text.trim().split('\n\n').map((line) => JSON.parse(line.replace(/^data:/, '')));
      t.equal(lines.map((l) => l.token.text).join(''), whole);
      t.equal(lines.at(-1).generated_text, whole);
      t.equal([lines.at(-1).details.finish_reason, lines.at(-1).details.generated_tokens], ['length', 16]);
    });
  }
  await t.check('a stream that the client leaves does no harm', async () => {
    for (let i = 0; i < 3; ++i) {
      const abort = new AbortController();
      const answer = await runtime.send(
        command(InvokeEndpointWithResponseStreamCommand, { ...ask, parameters: { max_new_tokens: 1900, do_sample: false } }),
        { abortSignal: abort.signal });
      for await (const event of answer.Body) if (event.PayloadPart) break;
      abort.abort();
    }
    t.equal((await invoke(ask)).body[0].generated_text, whole);
  });
  await t.check('wrong bodies are named', async () => {
    await refused(invoke({}), /inputs/);
    await refused(invoke('{"inputs":'), /body/);
    await refused(invoke({ ...ask, parameters: { max_new_tokens: 0 } }), /max_new_tokens/);
    await refused(invoke({ ...ask, parameters: { speed: 9 } }), /speed/);
    await refused(invoke(ask, { ContentType: 'text/csv' }), /ContentType/);
    await refused(invoke(ask, { TargetVariant: 'other' }), /TargetVariant/);
    await refused(invoke(ask, { TargetModel: 'm.tar.gz' }), /TargetModel/);
  });
  await t.check('a deleted endpoint answers no more', async () => {
    await sagemaker.send(new DeleteEndpointCommand({ EndpointName }));
    await refused(invoke(ask), /not found/);
  });
};
