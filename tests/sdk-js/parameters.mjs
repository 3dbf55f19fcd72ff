// Parameter Store: parameters put, read, listed and deleted, and what is refused.

import * as sdk from '@aws-sdk/client-ssm';
import { check, refused, same } from './check.mjs';

export async function run() {
  const client = new sdk.SSMClient({ maxAttempts: 1 });
  const send = (command) => client.send(command);
  const missing = (what, command) => refused(what, () => send(command), sdk.ParameterNotFound, 400);
  const Name = '/js/colour';
  same('a version', (await send(new sdk.PutParameterCommand({ Name, Value: 'blue', Type: 'String' }))).Version, 1);
  await refused('a parameter of the same name', () => send(new sdk.PutParameterCommand({ Name, Value: 'red', Type: 'String' })),
    sdk.ParameterAlreadyExists, 400);
  await refused('a secret', () => send(new sdk.PutParameterCommand({ Name: '/js/key', Value: 'k', Type: 'SecureString' })),
    sdk.UnsupportedParameterType, 400);
  same('the next version', (await send(new sdk.PutParameterCommand({ Name, Value: 'red', Overwrite: true }))).Version, 2);
  const { Parameter } = await send(new sdk.GetParameterCommand({ Name, WithDecryption: true }));
  check('a parameter', Parameter.Value === 'red' && Parameter.LastModifiedDate instanceof Date, Parameter);
  await missing('an unknown parameter', new sdk.GetParameterCommand({ Name: '/js/nobody' }));
  for (let index = 0; index < 12; index += 1) {
    await send(new sdk.PutParameterCommand({ Name: `/js/many/${String(index).padStart(2, '0')}`, Value: String(index), Type: 'String' }));
  }
  const found = [];
  for await (const page of sdk.paginateGetParametersByPath({ client, pageSize: 5 }, { Path: '/js', Recursive: true })) {
    found.push(...page.Parameters.map((one) => one.Name));
  }
  same('parameters below a path', [found.length, [...found].sort()], [13, found]);
  await refused('a path without its slash', () => send(new sdk.GetParametersByPathCommand({ Path: 'js' })), 'ValidationException', 400);
  const described = await send(new sdk.DescribeParametersCommand({ MaxResults: 1 }));
  check('a page', described.Parameters.length === 1 && Boolean(described.NextToken), described);
  await refused('a token of nothing', () => send(new sdk.DescribeParametersCommand({ NextToken: '\u00e4' })), sdk.InvalidNextToken, 400);
  const gone = await send(new sdk.DeleteParametersCommand({ Names: [Name, '/js/nobody'] }));
  same('deleted and not there', [gone.DeletedParameters, gone.InvalidParameters], [[Name], ['/js/nobody']]);
  for (const one of found.filter((name) => name !== Name)) await send(new sdk.DeleteParameterCommand({ Name: one }));
  await missing('a deleted parameter', new sdk.DeleteParameterCommand({ Name }));
}
