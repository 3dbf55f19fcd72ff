// Lambda: a function's life, invocations with their logs and errors, permissions, and what is refused.

import { IAMClient, CreateRoleCommand } from '@aws-sdk/client-iam';
import * as sdk from '@aws-sdk/client-lambda';
import { deflateRawSync, crc32 } from 'node:zlib';
import { check, refused, same } from './check.mjs';

const FunctionName = 'js-function';
const NODE = `exports.handler = async (event, context) => {
  console.log('asked', JSON.stringify(event));
  if (event.fail) throw new TypeError('as asked');
  return { got: event, name: context.functionName };
};`;

/** A zip archive of one file. Source: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16. */
function zip(name, text) {
  const [file, data] = [Buffer.from(name), Buffer.from(text)];
  const packed = deflateRawSync(data);
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(crc(data), 0);
  sizes.writeUInt32LE(packed.length, 4);
  sizes.writeUInt32LE(data.length, 8);
  const common = Buffer.concat([Buffer.from([20, 0, 0, 0, 8, 0, 0, 0, 33, 0]), sizes, Buffer.from([file.length, 0, 0, 0])]);
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, file, packed]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, Buffer.alloc(14), file]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

/** ISO-HDLC CRC-32; older Node has none. */
function crc(data) {
  if (crc32) return crc32(data);
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

export async function run() {
  const client = new sdk.LambdaClient({ maxAttempts: 1 });
  const send = (command) => client.send(command);
  const missing = (what, command) => refused(what, () => send(command), sdk.ResourceNotFoundException, 404);
  const trust = JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }] });
  const { Role } = await new IAMClient({}).send(new CreateRoleCommand({ RoleName: 'js-function', AssumeRolePolicyDocument: trust }));

  const settings = { FunctionName, Role: Role.Arn, Runtime: 'nodejs20.x', Handler: 'index.handler' };
  const made = await send(new sdk.CreateFunctionCommand({ ...settings, Timeout: 20, Code: { ZipFile: zip('index.js', NODE) } }));
  same('a function', [made.FunctionName, made.Timeout, made.State], [FunctionName, 20, 'Active']);
  same('the waiter', (await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 20 }, { FunctionName })).state, 'SUCCESS');
  const again = () => send(new sdk.CreateFunctionCommand({ ...settings, Code: { ZipFile: zip('index.js', NODE) } }));
  await refused('a function of the same name', again, sdk.ResourceConflictException, 409);
  const late = () => send(new sdk.CreateFunctionCommand({ ...settings, FunctionName: 'js-late', Timeout: 100_000, Code: { ZipFile: zip('index.js', NODE) } }));
  await refused('a timeout of days', late, sdk.InvalidParameterValueException, 400);

  const got = await send(new sdk.InvokeCommand({ FunctionName, Payload: JSON.stringify({ n: 1 }), LogType: 'Tail' }));
  same('an invocation', [got.StatusCode, JSON.parse(got.Payload.transformToString())], [200, { got: { n: 1 }, name: FunctionName }]);
  check('its log', Buffer.from(got.LogResult, 'base64').toString().includes('asked {"n":1}'), got);
  const failed = await send(new sdk.InvokeCommand({ FunctionName, Payload: JSON.stringify({ fail: true }) }));
  same('an error of the function', [failed.FunctionError, JSON.parse(failed.Payload.transformToString()).errorType], ['Unhandled', 'TypeError']);
  same('an asynchronous one', (await send(new sdk.InvokeCommand({ FunctionName, InvocationType: 'Event', Payload: '{}' }))).StatusCode, 202);
  same('a dry run', (await send(new sdk.InvokeCommand({ FunctionName, InvocationType: 'DryRun' }))).StatusCode, 204);
  await missing('an unknown function is invoked', new sdk.InvokeCommand({ FunctionName: 'nobody' }));
  await refused('a payload that is no JSON', () => send(new sdk.InvokeCommand({ FunctionName, Payload: '{' })),
    sdk.InvalidRequestContentException, 400);

  same('read', (await send(new sdk.GetFunctionCommand({ FunctionName }))).Configuration.Handler, 'index.handler');
  await missing('an unknown function is read', new sdk.GetFunctionCommand({ FunctionName: 'nobody' }));
  same('its settings', (await send(new sdk.GetFunctionConfigurationCommand({ FunctionName }))).Timeout, 20);
  const changed = await send(new sdk.UpdateFunctionConfigurationCommand({ FunctionName, Timeout: 9, Environment: { Variables: { AB: 'c' } } }));
  same('other settings', [changed.Timeout, changed.Environment.Variables], [9, { AB: 'c' }]);
  await send(new sdk.UpdateFunctionCodeCommand({ FunctionName, ZipFile: zip('index.js', 'exports.handler = async () => 2;') }));
  same('the waiter for an update', (await sdk.waitUntilFunctionUpdatedV2({ client, maxWaitTime: 20 }, { FunctionName })).state, 'SUCCESS');
  same('other code', (await send(new sdk.InvokeCommand({ FunctionName }))).Payload.transformToString(), '2');
  await refused('code that is no archive', () => send(new sdk.UpdateFunctionCodeCommand({ FunctionName, ZipFile: Buffer.from('x') })),
    sdk.InvalidParameterValueException, 400);
  const names = [];
  for await (const page of sdk.paginateListFunctions({ client }, {})) names.push(...page.Functions.map((one) => one.FunctionName));
  same('listed', names, [FunctionName]);

  const permission = { FunctionName, StatementId: 's', Action: 'lambda:InvokeFunction', Principal: 'events.amazonaws.com' };
  check('a permission', JSON.parse((await send(new sdk.AddPermissionCommand(permission))).Statement).Sid === 's');
  await refused('the same permission', () => send(new sdk.AddPermissionCommand(permission)), sdk.ResourceConflictException, 409);
  same('the policy', JSON.parse((await send(new sdk.GetPolicyCommand({ FunctionName }))).Policy).Statement.length, 1);
  await send(new sdk.RemovePermissionCommand({ FunctionName, StatementId: 's' }));
  await missing('no policy', new sdk.GetPolicyCommand({ FunctionName }));
  await send(new sdk.PutFunctionEventInvokeConfigCommand({ FunctionName, MaximumRetryAttempts: 1 }));
  same('retries', (await send(new sdk.GetFunctionEventInvokeConfigCommand({ FunctionName }))).MaximumRetryAttempts, 1);
  await refused('nine retries', () => send(new sdk.PutFunctionEventInvokeConfigCommand({ FunctionName, MaximumRetryAttempts: 9 })),
    sdk.InvalidParameterValueException, 400);
  await send(new sdk.TagResourceCommand({ Resource: made.FunctionArn, Tags: { a: 'b', c: 'd' } }));
  await send(new sdk.UntagResourceCommand({ Resource: made.FunctionArn, TagKeys: ['c'] }));
  same('tags', (await send(new sdk.ListTagsCommand({ Resource: made.FunctionArn }))).Tags, { a: 'b' });
  await send(new sdk.DeleteFunctionCommand({ FunctionName }));
  await missing('a deleted function is deleted', new sdk.DeleteFunctionCommand({ FunctionName }));
}
