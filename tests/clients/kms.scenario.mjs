import { createCipheriv, createDecipheriv, createHmac, createPublicKey, randomBytes, verify as verifySignature } from 'node:crypto';
import {
  CreateAliasCommand, CreateGrantCommand, CreateKeyCommand, DecryptCommand, DescribeKeyCommand, DisableKeyCommand,
  EncryptCommand, GenerateDataKeyCommand, GenerateMacCommand, GenerateRandomCommand, GetKeyPolicyCommand,
  GetPublicKeyCommand, KMSClient, ListAliasesCommand, ListGrantsCommand, PutKeyPolicyCommand, ReEncryptCommand,
  RetireGrantCommand, RotateKeyOnDemandCommand, ScheduleKeyDeletionCommand, SignCommand, TagResourceCommand,
  VerifyCommand, VerifyMacCommand, paginateListKeyRotations, paginateListKeys,
} from '@aws-sdk/client-kms';

export default async (t) => {
  const kms = t.client(KMSClient);
  const unique = `${t.scheme}-${randomBytes(4).toString('hex')}`;
  const create = async (input = {}) => (await kms.send(new CreateKeyCommand(input))).KeyMetadata;
  const key = await create({ Description: 'for tests', Tags: [{ TagKey: 'team', TagValue: 'red' }] });
  const KeyId = key.KeyId;

  await t.check('a key says what it is', async () => {
    t.equal([key.AWSAccountId, key.KeyState, key.Enabled, key.KeySpec, key.KeyUsage, key.Origin, key.KeyManager],
      [t.account, 'Enabled', true, 'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'AWS_KMS', 'CUSTOMER']);
    t.ok(key.CreationDate instanceof Date && Math.abs(key.CreationDate - Date.now()) < 300e3, 'a date of now');
    t.equal(key.EncryptionAlgorithms, ['SYMMETRIC_DEFAULT']);
    const ids = [];
    for await (const page of paginateListKeys({ client: kms, pageSize: 2 }, {})) ids.push(...page.Keys.map((k) => k.KeyId));
    t.ok(ids.includes(KeyId), 'it is listed');
    t.equal(new Set(ids).size, ids.length);
  });

  await t.check('an alias names it', async () => {
    const AliasName = `alias/${unique}`;
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
    t.equal((await kms.send(new DescribeKeyCommand({ KeyId: AliasName }))).KeyMetadata.KeyId, KeyId);
    t.equal((await kms.send(new ListAliasesCommand({ KeyId }))).Aliases.map((a) => a.AliasName), [AliasName]);
    await t.refused(kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId })), { name: 'AlreadyExistsException', status: 400 });
  });

  await t.check('what is encrypted comes back, with its context alone', async () => {
    const EncryptionContext = { app: 'tests', 'é': 'ü' };
    const Plaintext = randomBytes(4096);
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
    const back = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
    t.ok(Buffer.from(back.Plaintext).equals(Plaintext), 'the same bytes');
    t.equal(back.KeyId, key.Arn);
    await t.refused(kms.send(new DecryptCommand({ CiphertextBlob })), { name: 'InvalidCiphertextException', status: 400 });
    const other = await create();
    const moved = await kms.send(new ReEncryptCommand({
      CiphertextBlob, SourceEncryptionContext: EncryptionContext, DestinationKeyId: other.KeyId,
    }));
    t.equal((await kms.send(new DecryptCommand({ CiphertextBlob: moved.CiphertextBlob }))).KeyId, other.Arn);
    await t.refused(kms.send(new DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, KeyId })), { name: 'IncorrectKeyException' });
  });

  await t.check('envelope encryption, as a client does it', async () => {
    const made = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', made.Plaintext, iv);
    const sealed = Buffer.concat([cipher.update('a long text'), cipher.final()]);
    const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob }));
    const open = createDecipheriv('aes-256-gcm', Plaintext, iv).setAuthTag(cipher.getAuthTag());
    t.equal(Buffer.concat([open.update(sealed), open.final()]).toString(), 'a long text');
    t.equal((await kms.send(new GenerateRandomCommand({ NumberOfBytes: 99 }))).Plaintext.length, 99);
  });

  await t.check('old ciphertexts open after a rotation', async () => {
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('old') }));
    await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
    t.equal(Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toString(), 'old');
    const rotations = [];
    for await (const page of paginateListKeyRotations({ client: kms }, { KeyId })) rotations.push(...page.Rotations);
    t.equal(rotations.map((r) => r.RotationType), ['ON_DEMAND']);
  });

  await t.check('Node verifies what it signs', async () => {
    const Message = Buffer.from('a message');
    for (const [KeySpec, SigningAlgorithm, hash] of [
      ['ECC_NIST_P384', 'ECDSA_SHA_384', 'sha384'], ['RSA_3072', 'RSASSA_PKCS1_V1_5_SHA_256', 'sha256'],
      ['ECC_NIST_EDWARDS25519', 'ED25519_SHA_512', null],
    ]) {
      const pair = await create({ KeySpec, KeyUsage: 'SIGN_VERIFY' });
      const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: pair.KeyId }));
      const open = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
      const { Signature } = await kms.send(new SignCommand({ KeyId: pair.KeyId, Message, SigningAlgorithm }));
      t.ok(verifySignature(hash, Message, open, Signature), `${KeySpec} by Node`);
      t.ok((await kms.send(new VerifyCommand({ KeyId: pair.KeyId, Message, Signature, SigningAlgorithm }))).SignatureValid, KeySpec);
      Signature[Signature.length - 1] ^= 1;
      await t.refused(kms.send(new VerifyCommand({ KeyId: pair.KeyId, Message, Signature, SigningAlgorithm })),
        { name: 'KMSInvalidSignatureException' });
    }
  });

  await t.check('MACs', async () => {
    const mac = await create({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    const input = { KeyId: mac.KeyId, Message: Buffer.from('m'), MacAlgorithm: 'HMAC_SHA_256' };
    const { Mac } = await kms.send(new GenerateMacCommand(input));
    t.ok((await kms.send(new VerifyMacCommand({ ...input, Mac }))).MacValid, 'valid');
    t.ok(!createHmac('sha256', '').update('m').digest().equals(Buffer.from(Mac)), 'by a key of its own');
    await t.refused(kms.send(new VerifyMacCommand({ ...input, Mac: randomBytes(32) })), { name: 'KMSInvalidMacException' });
  });

  await t.check('grants, policies and tags', async () => {
    const GranteePrincipal = `arn:aws:iam::${t.account}:user/nobody-${unique}`;
    const grant = await kms.send(new CreateGrantCommand({
      KeyId, GranteePrincipal, Operations: ['Decrypt'], Constraints: { EncryptionContextSubset: { app: 'x' } },
    }));
    const [listed] = (await kms.send(new ListGrantsCommand({ KeyId }))).Grants;
    t.equal([listed.GrantId, listed.GranteePrincipal, listed.Operations, listed.Constraints],
      [grant.GrantId, GranteePrincipal, ['Decrypt'], { EncryptionContextSubset: { app: 'x' } }]);
    await kms.send(new RetireGrantCommand({ GrantToken: grant.GrantToken }));
    t.equal((await kms.send(new ListGrantsCommand({ KeyId }))).Grants, []);
    const { Policy } = await kms.send(new GetKeyPolicyCommand({ KeyId }));
    await kms.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    await t.refused(kms.send(new PutKeyPolicyCommand({ KeyId, Policy: '{}' })), { name: 'MalformedPolicyDocumentException', status: 400 });
    await kms.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey: 'a', TagValue: '' }] }));
  });

  await t.check('states and their errors', async () => {
    const { KeyId: id } = await create();
    await kms.send(new DisableKeyCommand({ KeyId: id }));
    await t.refused(kms.send(new EncryptCommand({ KeyId: id, Plaintext: Buffer.from('x') })), { name: 'DisabledException', status: 400 });
    const { DeletionDate, KeyState } = await kms.send(new ScheduleKeyDeletionCommand({ KeyId: id, PendingWindowInDays: 7 }));
    t.equal(KeyState, 'PendingDeletion');
    t.ok(Math.abs(DeletionDate - Date.now() - 7 * 86400e3) < 300e3, 'in seven days');
    await t.refused(kms.send(new EncryptCommand({ KeyId: id, Plaintext: Buffer.from('x') })), { name: 'KMSInvalidStateException' });
    await t.refused(kms.send(new DescribeKeyCommand({ KeyId: 'alias/no-such' })), { name: 'NotFoundException', status: 400 });
    await t.refused(kms.send(new CreateKeyCommand({ MultiRegion: true })), { name: 'ValidationException', message: /one region/ });
    await t.refused(kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x'), DryRun: true })), { name: 'DryRunOperationException' });
  });
};
