// Signs badges with @digitalbazaar/vc: a line of JSON in (badges, contexts, seed, verificationMethod, rounds), a line of JSON out
// (microseconds of CPU a badge, one for each round, and the first badge).
import {createPrivateKey, sign} from 'node:crypto';
import {readFileSync} from 'node:fs';
import * as vc from '@digitalbazaar/vc';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {cryptosuite} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';

const {badges, contexts, seed, verificationMethod, created, rounds} = JSON.parse(readFileSync(0, 'utf8'));
const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'hex')]);
const key = createPrivateKey({key: pkcs8, format: 'der', type: 'pkcs8'});
const signer = {algorithm: 'Ed25519', id: verificationMethod, sign: async ({data}) => sign(null, data, key)};

function documentLoader(url) {
  if(!(url in contexts)) {
    throw new Error(`${url} is not at hand`);
  }
  return {contextUrl: null, documentUrl: url, document: contexts[url], tag: 'static'};
}

async function signed(badge) {
  const suite = new DataIntegrityProof({signer, cryptosuite, date: created});
  return JSON.stringify(await vc.issue({credential: structuredClone(badge), suite, documentLoader}));
}

const first = await signed(badges[0]);
const micros = [];
for(let round = 0; round <= rounds; ++round) {
  const began = process.cpuUsage();
  for(const badge of badges) {
    await signed(badge);
  }
  const {user, system} = process.cpuUsage(began);
  if(round > 0) { // the first warms up
    micros.push((user + system) / badges.length);
  }
}
process.stdout.write(JSON.stringify({micros, first: JSON.parse(first)}));
