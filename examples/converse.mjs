// A streamed Converse call, with the SDK as it comes from npm.
//   eval "$(build/release/holdfast env)" && node examples/converse.mjs MODEL "text"
import { createRequire } from 'node:module';
const require = createRequire(new URL('../tests/clients/package.json', import.meta.url));
const { BedrockRuntimeClient, ConverseStreamCommand } = require('@aws-sdk/client-bedrock-runtime');

const [model, text] = process.argv.slice(2);
if (!model || !text) {
  console.error('usage: node converse.mjs MODEL "text"');
  process.exit(2);
}
// Endpoint, region and keys come from the environment that `holdfast env` printed.
const client = new BedrockRuntimeClient({});
const { stream } = await client.send(new ConverseStreamCommand({
  modelId: model,
  messages: [{ role: 'user', content: [{ text }] }],
  inferenceConfig: { maxTokens: 128, temperature: 0 },
}));
for await (const event of stream) {
  if (event.contentBlockDelta) process.stdout.write(event.contentBlockDelta.delta.text);
  if (event.messageStop) process.stdout.write('\n');
  if (event.metadata) console.error(`${event.metadata.usage.inputTokens} tokens in, ${event.metadata.usage.outputTokens} out`);
}
