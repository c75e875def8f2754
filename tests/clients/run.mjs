// Runs each *.scenario.mjs over https and over http. A scenario's default export is `async (t) => {...}`, where t has
//   scheme, endpoint, region, credentials, account, apiKey, model (undefined if the site has none)
//   client(Class, options)        an AWS client for this endpoint, without retries
//   check(name, async () => ...)  counted; a throw or 60 s without an end is a failure
//   equal(found, expected), ok(value, what)
//   refused(promise, {name, status, message})   the promise must reject so; message: a RegExp
// Exit status: 0 if at least one check ran and none failed. Needs the environment of `holdfast env`.
import { readdir } from 'node:fs/promises';
import { isDeepStrictEqual, inspect } from 'node:util';

const need = (name) => {
  if (!process.env[name]) {
    console.error(`${name} is not set: eval "$(holdfast env)" first`);
    process.exit(2);
  }
  return process.env[name];
};
const common = {
  region: need('AWS_REGION'),
  account: need('HOLDFAST_ACCOUNT'),
  apiKey: need('OPENAI_API_KEY'),
  credentials: { accessKeyId: need('AWS_ACCESS_KEY_ID'), secretAccessKey: need('AWS_SECRET_ACCESS_KEY') },
  model: process.env.HOLDFAST_MODEL || undefined,
};
const endpoints = { https: need('HOLDFAST_ENDPOINT'), http: process.env.HOLDFAST_HTTP_ENDPOINT };
need('NODE_EXTRA_CA_CERTS');
delete process.env.AWS_ENDPOINT_URL; // each client is told its endpoint

let passed = 0;
const failures = [];

class Mismatch extends Error {}

const within = (ms, promise) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Mismatch(`no end after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

const context = (file, scheme) => {
  const clients = [];
  const t = {
    ...common,
    scheme,
    endpoint: endpoints[scheme],
    client(Class, options = {}) {
      const client = new Class({
        endpoint: t.endpoint, region: t.region, credentials: t.credentials, maxAttempts: 1, ...options,
      });
      clients.push(client);
      return client;
    },
    async check(name, body) {
      const label = `${file} ${scheme}: ${name}`;
      try {
        await within(60_000, (async () => body())());
        passed += 1;
        console.log(`ok      ${label}`);
      } catch (error) {
        failures.push(label);
        const status = error?.$metadata?.httpStatusCode ?? error?.status ?? '';
        console.log(`FAILED  ${label}\n          ${error?.name} ${status}: ${error?.message}`);
      }
    },
    equal(found, expected) {
      if (!isDeepStrictEqual(found, expected)) {
        throw new Mismatch(`expected ${inspect(expected, { depth: 6 })}, found ${inspect(found, { depth: 6 })}`);
      }
    },
    ok(value, what) {
      if (!value) throw new Mismatch(`expected ${what}`);
    },
    async refused(promise, { name, status, message }) {
      let error;
      try {
        await promise;
      } catch (e) {
        error = e;
      }
      if (!error) throw new Mismatch(`expected the error ${name ?? status}, found success`);
      if (error instanceof Mismatch) throw error;
      if (name) t.equal(error.name, name);
      if (status) t.equal(error.$metadata?.httpStatusCode ?? error.status, status);
      if (message) t.ok(message.test(error.message), `a message like ${message}, found: ${error.message}`);
      return error;
    },
    end() {
      for (const client of clients) client.destroy();
    },
  };
  return t;
};

const wanted = process.argv.slice(2);
const files = (await readdir(new URL('.', import.meta.url)))
  .filter((f) => f.endsWith('.scenario.mjs') && (wanted.length === 0 || wanted.includes(f.replace('.scenario.mjs', ''))))
  .sort();
for (const file of files) {
  const { default: scenario } = await import(new URL(file, import.meta.url));
  for (const scheme of ['https', 'http']) {
    if (!endpoints[scheme]) continue;
    const t = context(file.replace('.scenario.mjs', ''), scheme);
    try {
      await scenario(t);
    } catch (error) {
      failures.push(`${file} ${scheme}`);
      console.log(`FAILED  ${file} ${scheme} outside of its checks\n          ${error?.stack}`);
    }
    t.end();
  }
}
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length === 0 && passed > 0 ? 0 : 1);
