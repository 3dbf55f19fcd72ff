// EventBridge and CloudWatch Logs: rules, targets and events; groups, streams and lines; and what is refused.

import * as logsSdk from '@aws-sdk/client-cloudwatch-logs';
import * as sdk from '@aws-sdk/client-eventbridge';
import { check, refused, same } from './check.mjs';

export async function run() {
  await events();
  await logs();
}

async function events() {
  const client = new sdk.EventBridgeClient({ maxAttempts: 1 });
  const send = (command) => client.send(command);
  const missing = (what, command) => refused(what, () => send(command), sdk.ResourceNotFoundException, 400);
  const Name = 'js-rule';
  const EventPattern = JSON.stringify({ source: ['js'] });
  const { RuleArn } = await send(new sdk.PutRuleCommand({ Name, EventPattern, Tags: [{ Key: 'a', Value: 'b' }] }));
  await refused('a pattern that is none', () => send(new sdk.PutRuleCommand({ Name: 'js-bad', EventPattern: '{"source": "js"}' })),
    sdk.InvalidEventPatternException, 400);
  same('a rule', (await send(new sdk.DescribeRuleCommand({ Name }))).State, 'ENABLED');
  await missing('an unknown rule', new sdk.DescribeRuleCommand({ Name: 'nobody' }));
  await send(new sdk.DisableRuleCommand({ Name }));
  same('a rule that is off', (await send(new sdk.DescribeRuleCommand({ Name }))).State, 'DISABLED');
  await send(new sdk.EnableRuleCommand({ Name }));
  await missing('an unknown rule is switched on', new sdk.EnableRuleCommand({ Name: 'nobody' }));
  same('rules', (await send(new sdk.ListRulesCommand({ NamePrefix: 'js' }))).Rules.map((rule) => rule.Arn), [RuleArn]);

  const Targets = [{ Id: 't', Arn: 'arn:aws:lambda:us-east-1:000000000000:function:none' }];
  same('targets put', (await send(new sdk.PutTargetsCommand({ Rule: Name, Targets }))).FailedEntryCount, 0);
  await missing('targets of an unknown rule', new sdk.PutTargetsCommand({ Rule: 'nobody', Targets }));
  same('targets', (await send(new sdk.ListTargetsByRuleCommand({ Rule: Name }))).Targets, Targets);
  same('rules of a target', (await send(new sdk.ListRuleNamesByTargetCommand({ TargetArn: Targets[0].Arn }))).RuleNames, [Name]);
  await refused('a rule with targets is deleted', () => send(new sdk.DeleteRuleCommand({ Name })), 'ValidationException', 400);

  const Event = JSON.stringify({
    id: '1', 'detail-type': 'd', source: 'js', account: '1', time: '2026-01-01T00:00:00Z', region: 'r', resources: [], detail: {},
  });
  same('a pattern tried', (await send(new sdk.TestEventPatternCommand({ EventPattern, Event }))).Result, true);
  await refused('a pattern tried that is none', () => send(new sdk.TestEventPatternCommand({ EventPattern: '[]', Event })),
    sdk.InvalidEventPatternException, 400);
  const put = await send(new sdk.PutEventsCommand({
    Entries: [{ Source: 'js', DetailType: 'd', Detail: '{}' }, { Source: 'js', DetailType: 'd', Detail: 'no' }],
  }));
  same('events put', [put.FailedEntryCount, put.Entries[1].ErrorCode], [1, 'MalformedDetail']);
  await refused('no events', () => send(new sdk.PutEventsCommand({ Entries: [] })), 'ValidationException', 400);
  same('the bus', (await send(new sdk.DescribeEventBusCommand({}))).Name, 'default');
  same('buses', (await send(new sdk.ListEventBusesCommand({}))).EventBuses.map((bus) => bus.Name), ['default']);
  await missing('an unknown bus', new sdk.DescribeEventBusCommand({ Name: 'nobody' }));
  await send(new sdk.TagResourceCommand({ ResourceARN: RuleArn, Tags: [{ Key: 'c', Value: 'd' }] }));
  await send(new sdk.UntagResourceCommand({ ResourceARN: RuleArn, TagKeys: ['a'] }));
  same('tags', (await send(new sdk.ListTagsForResourceCommand({ ResourceARN: RuleArn }))).Tags, [{ Key: 'c', Value: 'd' }]);
  same('targets removed', (await send(new sdk.RemoveTargetsCommand({ Rule: Name, Ids: ['t'] }))).FailedEntryCount, 0);
  await send(new sdk.DeleteRuleCommand({ Name }));
  await missing('a deleted rule', new sdk.ListTargetsByRuleCommand({ Rule: Name }));
}

async function logs() {
  const client = new logsSdk.CloudWatchLogsClient({ maxAttempts: 1 });
  const send = (command) => client.send(command);
  const missing = (what, command) => refused(what, () => send(command), logsSdk.ResourceNotFoundException, 400);
  const logGroupName = '/js/group';
  const stream = { logGroupName, logStreamName: 's' };
  await send(new logsSdk.CreateLogGroupCommand({ logGroupName, tags: { a: 'b' } }));
  await refused('a group of the same name', () => send(new logsSdk.CreateLogGroupCommand({ logGroupName })),
    logsSdk.ResourceAlreadyExistsException, 400);
  await send(new logsSdk.CreateLogStreamCommand(stream));
  await missing('a stream of no group', new logsSdk.CreateLogStreamCommand({ logGroupName: '/nobody', logStreamName: 's' }));
  const now = Date.now();
  const logEvents = ['one', 'two', 'three'].map((message, index) => ({ message, timestamp: now + index }));
  await send(new logsSdk.PutLogEventsCommand({ ...stream, logEvents }));
  await missing('lines of no group', new logsSdk.PutLogEventsCommand({ logGroupName: '/nobody', logStreamName: 's', logEvents }));
  same('lines', (await send(new logsSdk.GetLogEventsCommand({ ...stream, startFromHead: true }))).events.map((one) => one.message),
    ['one', 'two', 'three']);
  await missing('lines of no stream', new logsSdk.GetLogEventsCommand({ logGroupName, logStreamName: 'nobody' }));
  const found = [];
  for await (const page of logsSdk.paginateFilterLogEvents({ client, pageSize: 1 }, { logGroupName, filterPattern: 't' })) {
    found.push(...page.events.map((one) => one.message));
  }
  check('lines found', found.length <= 3, found);
  await missing('lines found in no group', new logsSdk.FilterLogEventsCommand({ logGroupName: '/nobody' }));
  same('groups', (await send(new logsSdk.DescribeLogGroupsCommand({ logGroupNamePrefix: '/js' }))).logGroups.map((one) => one.logGroupName),
    [logGroupName]);
  same('streams', (await send(new logsSdk.DescribeLogStreamsCommand({ logGroupName }))).logStreams.map((one) => one.logStreamName), ['s']);
  await send(new logsSdk.PutRetentionPolicyCommand({ logGroupName, retentionInDays: 7 }));
  same('retention', (await send(new logsSdk.DescribeLogGroupsCommand({ logGroupNamePrefix: '/js' }))).logGroups[0].retentionInDays, 7);
  await refused('a retention of two and a half weeks', () => send(new logsSdk.PutRetentionPolicyCommand({ logGroupName, retentionInDays: 17 })),
    logsSdk.InvalidParameterException, 400);
  await send(new logsSdk.DeleteRetentionPolicyCommand({ logGroupName }));
  await send(new logsSdk.DeleteLogGroupCommand({ logGroupName }));
  await missing('a deleted group', new logsSdk.DeleteLogGroupCommand({ logGroupName }));
}
