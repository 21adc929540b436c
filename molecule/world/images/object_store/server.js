// GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Runs s3rver as RustFS is run: by RUSTFS_ADDRESS, RUSTFS_VOLUMES, and the keys in RUSTFS_ACCESS_KEY[_FILE] and
// RUSTFS_SECRET_KEY[_FILE]. Each request must have a valid AWS signature of version 4, in its header or its address, which
// s3rver alone does not look at; /health answers without.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const S3rver = require('s3rver');
const Account = require('s3rver/lib/models/account');

const env = process.env;
const secret = (name) => (env[name] ?? fs.readFileSync(env[`${name}_FILE`], 'utf8')).trim();
const access = secret('RUSTFS_ACCESS_KEY');
const key = secret('RUSTFS_SECRET_KEY');
const [, address, port] = /^(.*):(\d+)$/.exec(env.RUSTFS_ADDRESS || ':9000');

const hmac = (by, text) => crypto.createHmac('sha256', by).update(text).digest();
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex');
const encoded = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

// Returns the code of S3's error, or nothing for a request that may pass.
function refusal(request) {
  const [path, query = ''] = request.url.split('?', 2);
  const pairs = [...new URLSearchParams(query)];
  const given = Object.fromEntries(pairs);
  const header = /^AWS4-HMAC-SHA256 (.*)$/.exec(request.headers.authorization || '');
  let claim;
  if (header) {
    const parts = Object.fromEntries(header[1].split(',').map((part) => part.trim().split(/=(.*)/s)));
    claim = { ...parts, date: request.headers['x-amz-date'], body: request.headers['x-amz-content-sha256'] };
  } else if (given['X-Amz-Signature']) {
    claim = {
      Credential: given['X-Amz-Credential'],
      SignedHeaders: given['X-Amz-SignedHeaders'],
      Signature: given['X-Amz-Signature'],
      date: given['X-Amz-Date'],
      body: given['X-Amz-Content-Sha256'] || 'UNSIGNED-PAYLOAD',
    };
  } else {
    return 'AccessDenied';
  }
  const [id, day, region, service, end] = (claim.Credential || '').split('/');
  if (id !== access) return 'InvalidAccessKeyId';
  const names = (claim.SignedHeaders || '').split(';');
  if (!names.includes('host') || !claim.date || !claim.date.startsWith(day)) return 'AccessDenied';
  const canonical = [
    request.method,
    path,
    pairs
      .filter(([name]) => name !== 'X-Amz-Signature')
      .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
      .sort()
      .join('&'),
    ...names.map((name) => `${name}:${(request.headers[name] || '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    claim.body,
  ].join('\n');
  const scope = [day, region, service, end].join('/');
  const text = ['AWS4-HMAC-SHA256', claim.date, scope, sha256(canonical)].join('\n');
  const by = [day, region, service, end].reduce(hmac, `AWS4${key}`);
  const wanted = Buffer.from(hmac(by, text).toString('hex'));
  const got = Buffer.from(claim.Signature || '');
  return got.length === wanted.length && crypto.timingSafeEqual(got, wanted) ? '' : 'SignatureDoesNotMatch';
}

new Account(1, 'rustfs').createKeyPair(access, key);
Account.DUMMY_ACCOUNT.revokeAccessKey('S3RVER');
const store = new S3rver({ silent: true, directory: env.RUSTFS_VOLUMES || '/data', vhostBuckets: false });
const answer = store.callback();

const server = http.createServer((request, response) => {
  if (/^\/health(\/ready)?$/.test(request.url)) {
    response.setHeader('Content-Type', 'application/json');
    response.end('{"status":"ok","ready":true}');
    return;
  }
  const code = request.method === 'OPTIONS' ? '' : refusal(request);
  if (!code) {
    answer(request, response);
    return;
  }
  response.writeHead(403, { 'Content-Type': 'application/xml' });
  response.end(request.method === 'HEAD' ? '' : `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code></Error>`);
});
server.listen(Number(port), address || '0.0.0.0', () => console.log(`stand-in of RustFS: s3rver at ${env.RUSTFS_ADDRESS}`));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
