// Other people's verifiers behind one door: a line of JSON in, a line of JSON out. Nothing reaches the network: what they would
// fetch comes from the documents that the caller gave, and anything else is "not found".
import {createInterface} from 'node:readline';

const known = new Map();
const jsonAnswer = url => known.has(url) ?
  new Response(JSON.stringify(known.get(url)), {headers: {'content-type': 'application/json'}}) :
  new Response('{}', {status: 404, statusText: 'Not Found'});
globalThis.fetch = async input => jsonAnswer(typeof input === 'string' ? input : (input.url ?? String(input)));
console.log = console.info = console.warn = console.error; // standard output is for answers alone

const vc = await import('@digitalbazaar/vc');
const {DataIntegrityProof} = await import('@digitalbazaar/data-integrity');
const {cryptosuite} = await import('@digitalbazaar/eddsa-rdfc-2022-cryptosuite');
const {checkStatus, createList, decodeList} = await import('@digitalbazaar/vc-bitstring-status-list');
const {default: signatures} = await import('jsonld-signatures');
const dcc = await import('@digitalcredentials/verifier-core');
const jose = await import('jose');

const suite = () => new DataIntegrityProof({cryptosuite});

function documentOf(did) {
  if(!did.startsWith('did:web:')) {
    return did;
  }
  const [host, ...path] = did.slice('did:web:'.length).split(':').map(decodeURIComponent);
  return `https://${host}/${path.length ? path.join('/') : '.well-known'}/did.json`;
}

function didKey(did) {
  const key = did.slice('did:key:'.length);
  const method = {id: `${did}#${key}`, type: 'Multikey', controller: did, publicKeyMultibase: key};
  return {'@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'], id: did,
    verificationMethod: [method], assertionMethod: [method.id]};
}

async function documentLoader(url) {
  const [base, fragment] = url.split('#');
  let document = base.startsWith('did:key:') ? didKey(base) : known.get(url) ?? known.get(documentOf(base));
  if(document === undefined) {
    throw new Error(`${url} is not at hand`);
  }
  if(fragment && document.verificationMethod) {
    const method = document.verificationMethod.find(m => m.id === url);
    if(!method) {
      throw new Error(`${url} is not in its document`);
    }
    document = {'@context': document['@context'], ...method};
  }
  return {contextUrl: null, documentUrl: url, document: structuredClone(document)};
}

const said = error => [error?.message, ...(error?.errors ?? []).map(said), error?.cause && said(error.cause)]
  .filter(Boolean).join(' / ').slice(0, 500);

const verifiers = {
  async 'digitalbazaar'({credential, now}) {
    const options = {credential, suite: suite(), documentLoader, ...(now && {now})};
    if(credential.credentialStatus) {
      options.checkStatus = o => checkStatus({...o, verifyBitstringStatusListCredential: true});
    }
    const result = await vc.verifyCredential(options);
    const entries = result.statusResult?.results ?? [];
    const isRevoked = entries.some(entry => entry.status !== undefined && Boolean(Number(entry.status)));
    return {verified: result.verified, revoked: isRevoked, error: said(result.error)};
  },
  async 'jsonld-signatures'({credential}) {
    const purpose = new signatures.purposes.AssertionProofPurpose();
    const result = await signatures.verify(credential, {suite: suite(), purpose, documentLoader});
    return {verified: result.verified, error: said(result.error)};
  },
  async 'verifier-core'({credential}) {
    const {log = [], errors = [], additionalInformation = []} =
      await dcc.verifyCredential({credential, knownDIDRegistries: []});
    const told = Object.fromEntries(log.map(entry => [entry.id, entry.valid]));
    const schemas = additionalInformation.find(entry => entry.id === 'schema_check')?.results ?? [];
    const isTrue = told.valid_signature === true && told.expiration === true;
    const isRevoked = 'revocation_status' in told && told.revocation_status === false;
    return {verified: isTrue && errors.length === 0, revoked: isRevoked,
      status: 'revocation_status' in told ? told.revocation_status !== undefined : null,
      schema: Array.isArray(schemas) ? schemas.map(s => s.result?.valid ?? null) : [],
      error: [...errors.map(e => e.message), ...log.map(e => e.error?.message)].filter(Boolean).join(' / ')};
  },
  async 'jose'({jwt, jwk, issuer}) {
    const key = await jose.importJWK(jwk, 'RS256');
    const {payload, protectedHeader} = await jose.jwtVerify(jwt, key,
      {algorithms: ['RS256'], issuer, typ: 'JWT', requiredClaims: ['iss', 'jti', 'nbf', 'sub']});
    return {verified: true, payload, header: protectedHeader};
  },
  async 'bitstring'({encodedList, indexes}) {
    const list = await decodeList({encodedList});
    return {length: list.length, set: indexes.map(index => list.getStatus(index))};
  },
  async 'bitstring-encode'({length, indexes}) {
    const list = await createList({length});
    indexes.forEach(index => list.setStatus(index, true));
    return {encodedList: await list.encode()};
  },
  async 'documents'({documents}) {
    for(const [url, document] of Object.entries(documents)) {
      known.set(url, document);
    }
    return {known: known.size};
  }
};

for await (const line of createInterface({input: process.stdin})) {
  const {id, verifier, ...request} = JSON.parse(line);
  let answer;
  try {
    answer = await verifiers[verifier](request);
  } catch(error) {
    answer = {verified: false, error: said(error)};
  }
  process.stdout.write(JSON.stringify({id, ...answer}) + '\n');
}
