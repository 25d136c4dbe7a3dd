// An OpenID provider that is not ours, as a company would set it up for Remit: a public client for `remit login`,
// access tokens as JWT for the resource that is asked for. Says its issuer on the first line, then each thing it did.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, life] = process.argv.slice(2);
const entry = createRequire(join(folder, 'package.json')).resolve('oidc-provider');
const { default: Provider, errors } = await import(pathToFileURL(entry));
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const staff = {
  ana: { groups: ['research.ml'], privacy_training: 'current', region: 'eu' },
  eve: { groups: ['administration'] },
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'remit-cli',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback'],
    },
  ],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (_, token) => staff[token.accountId],
  rotateRefreshToken: true,
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (!resource.startsWith('http://127.0.0.1:')) throw new errors.InvalidTarget();
        return {
          scope: '',
          audience: 'remit',
          accessTokenFormat: 'jwt',
          accessTokenTTL: Number(life),
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  },
});

const say = (...what) => process.stdout.write(`${JSON.stringify(what)}\n`);
provider.on('grant.success', ({ oidc }) => say('granted', oidc.params.grant_type));
provider.on('grant.error', ({ oidc }, error) => say('refused', oidc?.params?.grant_type, error.error));
provider.on('grant.revoked', (_, id) => say('revoked'));
provider.on('refresh_token.destroyed', () => say('refresh token destroyed'));
provider.on('server_error', (_, error) => say('fault', String(error)));
server.on('request', provider.callback());
say('issuer', issuer);
