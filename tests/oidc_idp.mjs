// An OpenID Connect provider for tests, on loopback: discovery, key set, tokens of RS256 and ES256, and a change of keys.
//   oidc_idp.mjs CERT KEY PORT_FILE
import { createServer } from 'node:https';
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const [cert, key, portFile] = process.argv.slice(2);
const kinds = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
let keys = [];
const rotate = () => {
  keys = Object.entries(kinds).map(([alg, make], i) => ({ alg, kid: `${alg}-${Date.now()}-${i}`, ...make() }));
};
rotate();
const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const token = (issuer, alg, claims) => {
  const { kid, privateKey } = keys.find((k) => k.alg === alg);
  const now = Math.floor(Date.now() / 1000);
  const text = `${base64url({ alg, kid, typ: 'JWT' })}.${base64url({ iss: issuer, iat: now, exp: now + 300, ...claims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};
let asked = 0;
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  const issuer = `https://localhost:${server.address().port}`;
  const url = new URL(request.url, issuer);
  const json = (value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  if (url.pathname === '/.well-known/openid-configuration') return json({ issuer, jwks_uri: `${issuer}/keys` });
  if (url.pathname === '/keys') {
    asked += 1;
    return json({ keys: keys.map(({ alg, kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), alg, kid, use: 'sig' })) });
  }
  if (url.pathname === '/token') {
    const { alg, ...claims } = Object.fromEntries(url.searchParams);
    if (claims.exp) claims.exp = Number(claims.exp);
    return response.end(token(issuer, alg, claims));
  }
  if (url.pathname === '/rotate') return rotate(), response.end('ok');
  if (url.pathname === '/asked') return response.end(String(asked));
  response.statusCode = 404;
  return response.end('no such thing');
});
server.listen(0, '127.0.0.1', () => writeFileSync(portFile, String(server.address().port)));
setTimeout(() => process.exit(1), 300_000).unref();
