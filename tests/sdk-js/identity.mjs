// IAM and STS: roles, users, keys and policies; sessions that may do what they may; and what is refused.

import * as sdk from '@aws-sdk/client-iam';
import { IvsClient, ListChannelsCommand, GetChannelCommand, AccessDeniedException } from '@aws-sdk/client-ivs';
import * as stsSdk from '@aws-sdk/client-sts';
import { check, refused, same } from './check.mjs';

const allow = (Action, Resource = '*') => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource }] });

export async function run() {
  const iam = new sdk.IAMClient({ maxAttempts: 1 });
  const sts = new stsSdk.STSClient({ maxAttempts: 1 });
  const send = (command) => iam.send(command);
  const missing = (what, command) => refused(what, () => send(command), sdk.NoSuchEntityException, 404);
  const root = await sts.send(new stsSdk.GetCallerIdentityCommand({}));
  same('who it is', [root.Account, root.Arn], ['000000000000', 'arn:aws:iam::000000000000:root']);

  const RoleName = 'js-role';
  const trust = JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: { AWS: '000000000000' }, Action: 'sts:AssumeRole' }] });
  const { Role } = await send(new sdk.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust, Tags: [{ Key: 'a', Value: 'b' }] }));
  check('a role', Role.CreateDate instanceof Date && Role.RoleId.startsWith('AROA'), Role);
  await refused('a role of the same name', () => send(new sdk.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust })),
    sdk.EntityAlreadyExistsException, 409);
  await refused('a trust that is none', () => send(new sdk.CreateRoleCommand({ RoleName: 'js-bad', AssumeRolePolicyDocument: '{' })),
    sdk.MalformedPolicyDocumentException, 400);
  same('the waiter for a role', (await sdk.waitUntilRoleExists({ client: iam, maxWaitTime: 10 }, { RoleName })).state, 'SUCCESS');
  await missing('an unknown role', new sdk.GetRoleCommand({ RoleName: 'nobody' }));
  await send(new sdk.PutRolePolicyCommand({ RoleName, PolicyName: 'p', PolicyDocument: allow('ivs:ListChannels') }));
  await missing('a policy of an unknown role', new sdk.PutRolePolicyCommand({ RoleName: 'nobody', PolicyName: 'p', PolicyDocument: allow('*') }));
  const read = await send(new sdk.GetRolePolicyCommand({ RoleName, PolicyName: 'p' }));
  same('a policy', decodeURIComponent(read.PolicyDocument), allow('ivs:ListChannels'));
  same('policies', (await send(new sdk.ListRolePoliciesCommand({ RoleName }))).PolicyNames, ['p']);
  const roles = [];
  for await (const page of sdk.paginateListRoles({ client: iam }, {})) roles.push(...page.Roles.map((one) => one.RoleName));
  check('roles', roles.includes(RoleName), roles);
  same('tags of a role', (await send(new sdk.ListRoleTagsCommand({ RoleName }))).Tags, [{ Key: 'a', Value: 'b' }]);

  const taken = await sts.send(new stsSdk.AssumeRoleCommand({ RoleArn: Role.Arn, RoleSessionName: 'js' }));
  check('a session ends', taken.Credentials.Expiration instanceof Date && taken.Credentials.Expiration > new Date(), taken);
  await refused('a role that is not there', () => sts.send(new stsSdk.AssumeRoleCommand({
    RoleArn: 'arn:aws:iam::000000000000:role/nobody', RoleSessionName: 'js',
  })), 'AccessDenied', 403);
  const { AccessKeyId, SecretAccessKey, SessionToken } = taken.Credentials;
  const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  const session = new IvsClient({ maxAttempts: 1, credentials });
  check('a session does what it may', Array.isArray((await session.send(new ListChannelsCommand({}))).channels));
  const arn = 'arn:aws:ivs:us-east-1:000000000000:channel/doesNotExist';
  await refused('a session does what it may not', () => session.send(new GetChannelCommand({ arn })), AccessDeniedException, 403);
  const who = await new stsSdk.STSClient({ credentials }).send(new stsSdk.GetCallerIdentityCommand({}));
  same('whose session it is', who.Arn, 'arn:aws:sts::000000000000:assumed-role/js-role/js');
  const forged = new IvsClient({ maxAttempts: 1, credentials: { ...credentials, secretAccessKey: 'wrong' } });
  await refused('a wrong secret', () => forged.send(new ListChannelsCommand({})), 'InvalidSignatureException', 403);
  check('a session of a user', Boolean((await sts.send(new stsSdk.GetSessionTokenCommand({}))).Credentials.SessionToken));
  await refused('a session of a second', () => sts.send(new stsSdk.GetSessionTokenCommand({ DurationSeconds: 1 })), 'ValidationError', 400);
  same('whose key it is', (await sts.send(new stsSdk.GetAccessKeyInfoCommand({ AccessKeyId }))).Account, '000000000000');

  const UserName = 'js-user';
  await send(new sdk.CreateUserCommand({ UserName }));
  await refused('a user of the same name', () => send(new sdk.CreateUserCommand({ UserName })), sdk.EntityAlreadyExistsException, 409);
  const { Policy } = await send(new sdk.CreatePolicyCommand({ PolicyName: 'js-policy', PolicyDocument: allow('ivs:*') }));
  await send(new sdk.AttachUserPolicyCommand({ UserName, PolicyArn: Policy.Arn }));
  await missing('an unknown policy is attached', new sdk.AttachUserPolicyCommand({ UserName, PolicyArn: `${Policy.Arn}x` }));
  same('attached', (await send(new sdk.ListAttachedUserPoliciesCommand({ UserName }))).AttachedPolicies.map((one) => one.PolicyArn), [Policy.Arn]);
  const { AccessKey } = await send(new sdk.CreateAccessKeyCommand({ UserName }));
  const user = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  check('a user does what it may', Array.isArray((await new IvsClient({ credentials: user }).send(new ListChannelsCommand({}))).channels));
  await send(new sdk.UpdateAccessKeyCommand({ UserName, AccessKeyId: AccessKey.AccessKeyId, Status: 'Inactive' }));
  await refused('a key out of use', () => new IvsClient({ maxAttempts: 1, credentials: user }).send(new ListChannelsCommand({})),
    'UnrecognizedClientException', 403);
  same('keys', (await send(new sdk.ListAccessKeysCommand({ UserName }))).AccessKeyMetadata.map((one) => one.Status), ['Inactive']);
  await refused('a policy in use is deleted', () => send(new sdk.DeletePolicyCommand({ PolicyArn: Policy.Arn })), sdk.DeleteConflictException, 409);
  await refused('a user with keys is deleted', () => send(new sdk.DeleteUserCommand({ UserName })), sdk.DeleteConflictException, 409);
  await send(new sdk.DeleteAccessKeyCommand({ UserName, AccessKeyId: AccessKey.AccessKeyId }));
  await send(new sdk.DetachUserPolicyCommand({ UserName, PolicyArn: Policy.Arn }));
  await send(new sdk.DeletePolicyCommand({ PolicyArn: Policy.Arn }));
  await send(new sdk.DeleteUserCommand({ UserName }));
  await missing('a deleted user', new sdk.GetUserCommand({ UserName }));
  await send(new sdk.DeleteRolePolicyCommand({ RoleName, PolicyName: 'p' }));
  await send(new sdk.DeleteRoleCommand({ RoleName }));
  await missing('a deleted role', new sdk.GetRoleCommand({ RoleName }));
}
