import OpenAI from 'openai';

export default async (t) => {
  const make = (more = {}) => new OpenAI({ baseURL: `${t.endpoint}/v1`, apiKey: t.apiKey, maxRetries: 0, ...more });
  const ai = make();
  const messages = [{ role: 'user', content: 'hello' }];
  const refused = async (promise, type, status, more = {}) => {
    const error = await t.refused(promise, { status });
    t.ok(error instanceof type, `a ${type.name}, found ${error.constructor.name}`);
    for (const [name, value] of Object.entries(more)) t.equal(error[name], value);
    return error;
  };

  await t.check('models.list', async () => {
    const list = await ai.models.list();
    t.equal(list.object, 'list');
    if (t.model) t.ok(list.data.some((m) => m.id === t.model), `${t.model} among the models`);
  });
  await t.check('a wrong key is 401', () => refused(make({ apiKey: 'hf-wrong' }).models.list(), OpenAI.AuthenticationError,
    401, { code: 'invalid_api_key' }));
  await t.check('an unknown model is 404', () => refused(ai.chat.completions.create({ model: 'no-such-model', messages }),
    OpenAI.NotFoundError, 404, { code: 'model_not_found' }));
  await t.check('a value out of range is 400 and named', () => refused(
    ai.chat.completions.create({ model: t.model ?? 'm', messages, temperature: 3 }), OpenAI.BadRequestError, 400,
    { param: 'temperature' }));
  await t.check('what is not offered is 400 and named', () => refused(
    ai.chat.completions.create({ model: t.model ?? 'm', messages, tools: [{ type: 'function', function: { name: 'f' } }] }),
    OpenAI.BadRequestError, 400, { param: 'tools', code: 'unsupported_parameter' }));
  await t.check('embeddings are not implemented', () => refused(ai.embeddings.create({ model: 'm', input: 'x' }),
    OpenAI.APIError, 501, { code: 'not_implemented' }));
  if (!t.model) return;

  const ask = { model: t.model, messages, max_tokens: 16, temperature: 0, seed: 7 };
  let whole;
  await t.check('models.retrieve', async () => t.equal((await ai.models.retrieve(t.model)).id, t.model));
  await t.check('chat.completions.create', async () => {
    const { data, response } = await ai.chat.completions.create(ask).withResponse();
    t.equal(data.object, 'chat.completion');
    t.equal(data.model, t.model);
    t.equal(data.choices.length, 1);
    t.ok(['stop', 'length'].includes(data.choices[0].finish_reason), 'a finish reason');
    t.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
    t.ok(/^rcpt-[0-9a-f]{32}$/.test(response.headers.get('x-holdfast-receipt')), 'a receipt');
    whole = data.choices[0].message.content;
  });
  await t.check('streamed: the same text, the usage and the end', async () => {
    const stream = await ai.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    let text = '', usage, reason;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      reason = chunk.choices[0]?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    t.equal(text, whole);
    t.ok(['stop', 'length'].includes(reason), 'a finish reason');
    t.ok(usage.completion_tokens > 0, 'usage');
  });
  await t.check('a stream that the client leaves does no harm', async () => {
    const stream = await ai.chat.completions.create({ ...ask, max_tokens: 256, stream: true });
    for await (const chunk of stream) {
      t.ok(chunk.id, 'a chunk');
      break;
    }
    t.equal((await ai.models.list()).object, 'list');
  });
};
