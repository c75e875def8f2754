import { connect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import {
  ApplyGuardrailCommand, BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand, CountTokensCommand,
  InvokeModelCommand, InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttp2Handler, NodeHttpHandler } from '@smithy/node-http-handler';

const kReceipt = /^rcpt-[0-9a-f]{32}$/;

export default async (t) => {
  const runtime = t.client(BedrockRuntimeClient); // its own handler: HTTP/2, one connection for each request
  const messages = [{ role: 'user', content: [{ text: 'Invoice 7 was charged twice.' }] }];
  const ask = {
    modelId: t.model, messages, system: [{ text: 'Answer in one word.' }],
    inferenceConfig: { maxTokens: 16, temperature: 0 }, additionalModelRequestFields: { seed: 7 },
  };
  const converse = (more = {}, client = runtime) => client.send(new ConverseCommand({ ...ask, ...more }));
  const stream = (more = {}, client = runtime) => client.send(new ConverseStreamCommand({ ...ask, ...more }));
  const invalid = (promise, message) => t.refused(promise, { name: 'ValidationException', status: 400, message });
  const watchHeaders = (client) => {
    const seen = [];
    client.middlewareStack.add((next) => async (args) => {
      const result = await next(args);
      seen.push(result.response);
      return result;
    }, { step: 'deserialize', name: 'watchHeaders', priority: 'low' });
    return seen;
  };
  const all = async (answer) => {
    const found = { text: '', events: [] };
    for await (const event of answer.stream) {
      const [name] = Object.keys(event);
      if (found.events.at(-1) !== name) found.events.push(name);
      found.text += event.contentBlockDelta?.delta.text ?? '';
      found.stop = event.messageStop ?? found.stop;
      found.metadata = event.metadata ?? found.metadata;
    }
    return found;
  };

  await t.check('an unknown model is ResourceNotFoundException', async () => {
    await t.refused(converse({ modelId: 'no-such-model' }), { name: 'ResourceNotFoundException', status: 404, message: /no-such-model/ });
    await t.refused(stream({ modelId: 'no-such-model' }), { name: 'ResourceNotFoundException', status: 404 });
    await t.refused(converse({ modelId: `arn:aws:bedrock:${t.region}:111122223333:custom-model/holdfast.decoder/abcdefghijkl` }),
      { name: 'ResourceNotFoundException', status: 404 });
  });
  await t.check('a wrong secret is refused', () => t.refused(
    converse({ modelId: t.model ?? 'm' },
      t.client(BedrockRuntimeClient, { credentials: { ...t.credentials, secretAccessKey: 'wrong' } })),
    { name: 'InvalidSignatureException', status: 403 }));
  await t.check('what is not offered says so', () => t.refused(
    runtime.send(new ApplyGuardrailCommand({ guardrailIdentifier: 'g', guardrailVersion: '1', source: 'INPUT', content: [] })),
    { name: 'NotImplementedException', status: 501, message: /ApplyGuardrail/ }));
  if (!t.model) return;

  await t.check('wrong members are named', async () => {
    await invalid(converse({ messages: [] }), /messages/);
    await invalid(converse({ messages: undefined }), /messages/);
    await invalid(converse({ messages: [{ role: 'assistant', content: [{ text: 'x' }] }] }), /messages\[0\]\.role/);
    await invalid(converse({ messages: [{ role: 'owner', content: [{ text: 'x' }] }] }), /role/);
    await invalid(converse({ inferenceConfig: { temperature: 2 } }), /temperature/);
    await invalid(converse({ inferenceConfig: { maxTokens: 0 } }), /maxTokens/);
    await invalid(converse({ inferenceConfig: { stopSequences: [''] } }), /stopSequences/);
    await invalid(converse({ additionalModelRequestFields: { speed: 9 } }), /additionalModelRequestFields.*speed/);
    await invalid(converse({ messages: [{ role: 'user', content: [{ image: { format: 'png', source: { bytes: new Uint8Array(4) } } }] }] }),
      /image/);
    await invalid(converse({ toolConfig: { tools: [{ toolSpec: { name: 'f', inputSchema: { json: {} } } }] } }), /toolConfig/);
    await invalid(stream({ inferenceConfig: { topP: -1 } }), /topP/);
  });
  let whole;
  await t.check('Converse', async () => {
    const client = t.client(BedrockRuntimeClient);
    const seen = watchHeaders(client);
    const answer = await converse({}, client);
    t.equal(answer.output.message.role, 'assistant');
    t.equal(answer.output.message.content.length, 1);
    t.equal(answer.stopReason, 'max_tokens');
    t.equal(answer.usage.totalTokens, answer.usage.inputTokens + answer.usage.outputTokens);
    t.equal(answer.usage.outputTokens, 16);
    t.ok(answer.output.message.content[0].text.length > 16, 'words');
    t.ok(answer.metrics.latencyMs >= 0, 'a latency');
    t.ok(answer.$metadata.requestId, 'a request id');
    t.ok(kReceipt.test(seen[0].headers['x-holdfast-receipt']), 'a receipt');
    whole = { text: answer.output.message.content[0].text, usage: answer.usage, stopReason: answer.stopReason };
  });
  await t.check('ConverseStream: the same answer, its events in order', async () => {
    const client = t.client(BedrockRuntimeClient);
    const seen = watchHeaders(client);
    const found = await all(await stream({}, client));
    t.equal(found.events, ['messageStart', 'contentBlockDelta', 'contentBlockStop', 'messageStop', 'metadata']);
    t.equal(found.text, whole.text);
    t.equal(found.stop.stopReason, whole.stopReason);
    t.equal(found.metadata.usage, whole.usage);
    t.ok(found.metadata.metrics.latencyMs >= 0, 'a latency');
    t.ok(kReceipt.test(seen[0].headers['x-holdfast-receipt']), 'a receipt');
  });
  await t.check('an assistant\'s beginning goes on, and turns are kept apart', async () => {
    const more = [{ role: 'assistant', content: [{ text: 'billing' }] }];
    t.ok((await converse({ messages: [...messages, ...more] })).usage.outputTokens > 0, 'an answer');
    t.ok((await converse({ messages: [...messages, ...more, ...messages] })).usage.inputTokens > whole.usage.inputTokens,
      'more tokens of input than of the first turn alone');
  });
  await t.check('a stop sequence ends the answer and is told', async () => {
    const stop = whole.text.trim().split(' ')[2];
    t.ok(/^[a-z]+$/.test(stop), `a third word in ${JSON.stringify(whole.text)}`);
    const inferenceConfig = { ...ask.inferenceConfig, stopSequences: [stop] };
    const answer = await converse({ inferenceConfig, additionalModelResponseFieldPaths: ['/stop_sequence'] });
    t.equal(answer.stopReason, 'stop_sequence');
    t.equal(answer.additionalModelResponseFields, { stop_sequence: stop });
    t.equal(answer.output.message.content[0].text, whole.text.slice(0, whole.text.indexOf(stop)));
  });
  await t.check('InvokeModel with a prompt and with messages', async () => {
    const invoke = async (body, more = {}) => {
      const answer = await runtime.send(new InvokeModelCommand({
        modelId: t.model, contentType: 'application/json', accept: 'application/json', body: JSON.stringify(body), ...more }));
      t.equal(answer.contentType, 'application/json');
      return JSON.parse(Buffer.from(answer.body).toString());
    };
    const plain = await invoke({ prompt: 'Invoice', max_gen_len: 5, temperature: 0 });
    t.equal(typeof plain.generation, 'string');
    t.ok(plain.prompt_token_count > 0 && plain.generation_token_count <= 5, 'counts');
    t.ok(['stop', 'length'].includes(plain.stop_reason), 'a stop reason');
    const turns = await invoke({ system: 'Answer in one word.', messages: [{ role: 'user', content: messages[0].content[0].text }],
      max_tokens: 16, temperature: 0 });
    t.equal(turns.text, whole.text);
    t.equal(turns.usage, { input_tokens: whole.usage.inputTokens, output_tokens: whole.usage.outputTokens });
    await invalid(invoke({ prompt: 'x', speed: 9 }), /speed/);
    await invalid(invoke({}), /prompt/);
    await invalid(invoke({ prompt: 'x' }, { body: '{"prompt":' }));
    await invalid(invoke({ prompt: 'x' }, { accept: 'image/png' }), /accept/);
    await invalid(invoke({ prompt: 'x' }, { guardrailIdentifier: 'g', guardrailVersion: '1' }), /guardrail/);
  });
  await t.check('InvokeModelWithResponseStream: chunks, and the metrics in the last', async () => {
    const answer = await runtime.send(new InvokeModelWithResponseStreamCommand({
      modelId: t.model, contentType: 'application/json', accept: 'application/json',
      body: JSON.stringify({ system: 'Answer in one word.', messages: [{ role: 'user', content: messages[0].content[0].text }],
        max_tokens: 16, temperature: 0 }) }));
    t.equal(answer.contentType, 'application/json');
    const chunks = [];
    for await (const event of answer.body) chunks.push(JSON.parse(Buffer.from(event.chunk.bytes).toString()));
    t.equal(chunks.map((c) => c.text).join(''), whole.text);
    const metrics = chunks.at(-1)['amazon-bedrock-invocationMetrics'];
    t.equal([metrics.inputTokenCount, metrics.outputTokenCount], [whole.usage.inputTokens, whole.usage.outputTokens]);
  });
  await t.check('CountTokens counts what Converse and InvokeModel count', async () => {
    const count = async (input) => (await runtime.send(new CountTokensCommand({ modelId: t.model, input }))).inputTokens;
    t.equal(await count({ converse: { messages, system: ask.system } }), whole.usage.inputTokens);
    const body = new TextEncoder().encode(JSON.stringify({ prompt: 'Invoice' }));
    t.ok(await count({ invokeModel: { body } }) > 0, 'tokens of the body');
  });
  await t.check('a Bearer key from AWS_BEARER_TOKEN_BEDROCK', async () => {
    const bearer = async (key) => {
      process.env.AWS_BEARER_TOKEN_BEDROCK = key;
      try {
        const client = t.client(BedrockRuntimeClient, { credentials: undefined });
        const sent = [];
        client.middlewareStack.add((next) => async (args) => {
          sent.push(args.request.headers.authorization ?? args.request.headers.Authorization ?? '');
          return next(args);
        }, { step: 'finalizeRequest', name: 'watchAuthorization', priority: 'low' });
        const answer = await converse({}, client);
        t.equal(sent, [`Bearer ${key}`]);
        return answer;
      } finally {
        delete process.env.AWS_BEARER_TOKEN_BEDROCK;
      }
    };
    t.equal((await bearer(t.apiKey)).output.message.content[0].text, whole.text);
    await t.refused(bearer('hf-wrong'), { status: 403 });
  });
  await t.check('eight requests at once, each on its connection', async () => {
    const found = await Promise.all(Array.from({ length: 8 }, async () => all(await stream())));
    t.equal(found.map((f) => f.text), Array(8).fill(whole.text));
  });
  await t.check('eight requests and eight streams at once over one HTTP/2 connection', async () => {
    let connections = 0;
    const createConnection = (authority) => {
      connections += 1;
      const at = { host: authority.hostname, port: Number(authority.port) };
      return authority.protocol === 'https:' ? tlsConnect({ ...at, ALPNProtocols: ['h2'] }) : connect(at);
    };
    const client = t.client(BedrockRuntimeClient, {
      requestHandler: new NodeHttp2Handler({ disableConcurrentStreams: false, nodeHttp2ConnectOptions: { createConnection } }) });
    // The SDK gives event streams a connection of their own unless it is told not to.
    const shared = (command) => client.send(command, { isEventStream: false });
    const found = await Promise.all(Array.from({ length: 16 }, async (_, i) => {
      if (i % 2 === 0) return (await shared(new ConverseCommand(ask))).output.message.content[0].text;
      return (await all(await shared(new ConverseStreamCommand(ask)))).text;
    }));
    t.equal(found, Array(16).fill(whole.text));
    t.equal(connections, 1);
  });
  await t.check('HTTP/1.1', async () => {
    const client = t.client(BedrockRuntimeClient, { requestHandler: new NodeHttpHandler() });
    t.equal((await converse({}, client)).output.message.content[0].text, whole.text);
    t.equal((await all(await stream({}, client))).text, whole.text);
    await invalid(converse({ messages: [] }, client), /messages/);
  });
  for (const [name, make] of [['HTTP/2', () => undefined], ['HTTP/1.1', () => new NodeHttpHandler()]]) {
    await t.check(`streams that the client cuts over ${name} do no harm`, async () => {
      for (let i = 0; i < 5; ++i) {
        const abort = new AbortController();
        const client = t.client(BedrockRuntimeClient, { requestHandler: make() });
        const answer = await client.send(
          new ConverseStreamCommand({ ...ask, inferenceConfig: { maxTokens: 1900, temperature: 0 } }),
          { abortSignal: abort.signal });
        try {
          for await (const event of answer.stream) if (event.contentBlockDelta) break;
        } finally {
          abort.abort();
          client.destroy();
        }
      }
      t.equal((await converse()).output.message.content[0].text, whole.text);
    });
  }
};
