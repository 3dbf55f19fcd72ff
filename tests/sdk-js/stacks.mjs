// CloudFormation: a stack's life through waiters and paginators, change sets, and what is refused.

import * as sdk from '@aws-sdk/client-cloudformation';
import { check, refused, same } from './check.mjs';

const NAME = 'js-stack';
const waiting = { maxWaitTime: 60, minDelay: 0.1, maxDelay: 0.5 };

const template = (name) =>
  JSON.stringify({
    Parameters: { Kind: { Type: 'String', Default: 'BASIC', AllowedValues: ['BASIC', 'STANDARD'] } },
    Resources: {
      Channel: { Type: 'AWS::IVS::Channel', Properties: { Name: name, Type: { Ref: 'Kind' } } },
      Key: { Type: 'AWS::IVS::StreamKey', Properties: { ChannelArn: { Ref: 'Channel' } } },
    },
    Outputs: {
      Arn: { Value: { Ref: 'Channel' }, Export: { Name: 'js-arn' } },
      Value: { Value: { 'Fn::GetAtt': ['Key', 'Value'] } },
    },
  });

const BROKEN = JSON.stringify({ Resources: { Channel: { Type: 'AWS::IVS::Channel', Properties: { Nane: 'x' } } } });

export async function run() {
  const client = new sdk.CloudFormationClient({ maxAttempts: 1 });
  const send = (command) => client.send(command);
  const invalid = (what, command) => refused(what, () => send(command), 'ValidationError', 400);
  const stack = { StackName: NAME };

  const parameters = (await send(new sdk.ValidateTemplateCommand({ TemplateBody: template('a') }))).Parameters;
  same('parameters of a template', parameters.map((one) => [one.ParameterKey, one.DefaultValue]), [['Kind', 'BASIC']]);
  const mistake = await invalid('a property that is not there', new sdk.CreateStackCommand({ StackName: 'js-broken', TemplateBody: BROKEN }));
  check('a mistake names its place', /Channel/.test(mistake?.message) && /Nane/.test(mistake?.message), mistake?.message);
  const summary = await send(new sdk.GetTemplateSummaryCommand({ TemplateBody: template('a') }));
  same('types of a template', [...summary.ResourceTypes].sort(), ['AWS::IVS::Channel', 'AWS::IVS::StreamKey']);

  const made = await send(new sdk.CreateStackCommand({ ...stack, TemplateBody: template('a'), Tags: [{ Key: 'k', Value: 'v' }] }));
  check('a stack has an ARN', made.StackId.startsWith('arn:aws:cloudformation:'), made);
  same('the waiter for a stack', (await sdk.waitUntilStackCreateComplete({ client, ...waiting }, stack)).state, 'SUCCESS');
  await refused('a stack of the same name', () => send(new sdk.CreateStackCommand({ ...stack, TemplateBody: template('a') })),
    sdk.AlreadyExistsException, 400);
  const read = async () => (await send(new sdk.DescribeStacksCommand(stack))).Stacks[0];
  const standing = await read();
  check('a creation is a time', standing.CreationTime instanceof Date, standing);
  same('keys of outputs', standing.Outputs.map((output) => output.OutputKey).sort(), ['Arn', 'Value']);
  same('tags', standing.Tags, [{ Key: 'k', Value: 'v' }]);
  await invalid('an unknown stack', new sdk.DescribeStacksCommand({ StackName: 'nobody' }));
  await invalid('an update that changes nothing', new sdk.UpdateStackCommand({ ...stack, TemplateBody: template('a') }));

  same('resources', (await send(new sdk.DescribeStackResourcesCommand(stack))).StackResources.map((one) => one.LogicalResourceId).sort(),
    ['Channel', 'Key']);
  const one = await send(new sdk.DescribeStackResourceCommand({ ...stack, LogicalResourceId: 'Channel' }));
  same('a resource', one.StackResourceDetail.ResourceStatus, 'CREATE_COMPLETE');
  await invalid('an unknown resource', new sdk.DescribeStackResourceCommand({ ...stack, LogicalResourceId: 'None' }));
  const listed = await send(new sdk.ListStackResourcesCommand(stack));
  same('listed resources', listed.StackResourceSummaries.length, 2);
  let events = 0;
  for await (const page of sdk.paginateDescribeStackEvents({ client }, stack)) events += page.StackEvents.length;
  check('events', events >= 8, events);
  same('the template', (await send(new sdk.GetTemplateCommand(stack))).TemplateBody, template('a'));
  const names = [];
  for await (const page of sdk.paginateListStacks({ client }, {})) names.push(...page.StackSummaries.map((found) => found.StackName));
  check('it is listed', names.includes(NAME), names);
  const exported = (await send(new sdk.ListExportsCommand({}))).Exports.find((found) => found.Name === 'js-arn');
  same('an export', exported?.ExportingStackId, made.StackId);
  await invalid('imports of no export', new sdk.ListImportsCommand({ ExportName: 'no-such-export' }));
  check('limits', (await send(new sdk.DescribeAccountLimitsCommand({}))).AccountLimits.length > 0);

  const changes = { ...stack, ChangeSetName: 'js-changes' };
  await send(new sdk.CreateChangeSetCommand({ ...changes, TemplateBody: template('b'), ChangeSetType: 'UPDATE' }));
  same('the waiter for a change set', (await sdk.waitUntilChangeSetCreateComplete({ client, ...waiting }, changes)).state, 'SUCCESS');
  const planned = await send(new sdk.DescribeChangeSetCommand(changes));
  same('what would change', planned.Changes.map((change) => [change.ResourceChange.LogicalResourceId, change.ResourceChange.Action]),
    [['Channel', 'Modify']]);
  same('change sets', (await send(new sdk.ListChangeSetsCommand(stack))).Summaries.map((found) => found.ChangeSetName), ['js-changes']);
  await send(new sdk.ExecuteChangeSetCommand(changes));
  same('the waiter for an update', (await sdk.waitUntilStackUpdateComplete({ client, ...waiting }, stack)).state, 'SUCCESS');
  await refused('a change set that is not there', () => send(new sdk.DescribeChangeSetCommand({ ...stack, ChangeSetName: 'nothing' })),
    sdk.ChangeSetNotFoundException, 404);
  await send(new sdk.CreateChangeSetCommand({ ...stack, ChangeSetName: 'js-empty', TemplateBody: template('b') }));
  const empty = await send(new sdk.DescribeChangeSetCommand({ ...stack, ChangeSetName: 'js-empty' }));
  check('a change set without changes', empty.Status === 'FAILED' && /didn't contain changes/.test(empty.StatusReason), empty);
  await send(new sdk.DeleteChangeSetCommand({ ...stack, ChangeSetName: 'js-empty' }));

  await send(new sdk.UpdateTerminationProtectionCommand({ ...stack, EnableTerminationProtection: true }));
  await invalid('a protected stack is deleted', new sdk.DeleteStackCommand(stack));
  await send(new sdk.UpdateTerminationProtectionCommand({ ...stack, EnableTerminationProtection: false }));
  const role = JSON.stringify({ Resources: { Role: { Type: 'AWS::IAM::Role', Properties: { AssumeRolePolicyDocument: { Statement: [] } } } } });
  await refused('a role without the capability', () => send(new sdk.CreateStackCommand({ StackName: 'js-role', TemplateBody: role })),
    sdk.InsufficientCapabilitiesException, 400);
  await send(new sdk.DeleteStackCommand(stack));
  same('the waiter for a deletion', (await sdk.waitUntilStackDeleteComplete({ client, ...waiting }, stack)).state, 'SUCCESS');
}
