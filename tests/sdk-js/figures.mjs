// CloudWatch: figures put and read, and what is refused.

import * as sdk from '@aws-sdk/client-cloudwatch';
import { check, refused, same } from './check.mjs';

export async function run() {
  const client = new sdk.CloudWatchClient({ maxAttempts: 1 });
  const send = (command) => client.send(command);
  const Namespace = 'Js';
  const Dimensions = [{ Name: 'D', Value: 'v' }];
  const Timestamp = new Date(Math.floor(Date.now() / 60_000) * 60_000 - 60_000);
  for (const Value of [1, 3]) {
    await send(new sdk.PutMetricDataCommand({ Namespace, MetricData: [{ MetricName: 'M', Dimensions, Value, Unit: 'Count', Timestamp }] }));
  }
  await refused('a figure under AWS\' own name', () => send(new sdk.PutMetricDataCommand({
    Namespace: 'AWS/Js', MetricData: [{ MetricName: 'M', Value: 1 }],
  })), sdk.InvalidParameterValueException, 400);
  const metrics = [];
  for await (const page of sdk.paginateListMetrics({ client }, { Namespace })) metrics.push(...page.Metrics);
  same('metrics', metrics, [{ Namespace, MetricName: 'M', Dimensions }]);
  await refused('a dimension without a name', () => send(new sdk.ListMetricsCommand({ Namespace, Dimensions: [{}] })), Error, 400);

  const span = { StartTime: new Date(Timestamp.getTime() - 60_000), EndTime: new Date(Timestamp.getTime() + 120_000) };
  const statistics = await send(new sdk.GetMetricStatisticsCommand({
    Namespace, MetricName: 'M', Dimensions, Period: 60, Statistics: ['Sum', 'Average', 'SampleCount'], ...span,
  }));
  same('statistics', statistics.Datapoints.map((one) => [one.Timestamp.getTime(), one.Sum, one.Average, one.SampleCount, one.Unit]),
    [[Timestamp.getTime(), 4, 2, 2, 'Count']]);
  await refused('a period of seven seconds', () => send(new sdk.GetMetricStatisticsCommand({
    Namespace, MetricName: 'M', Period: 7, Statistics: ['Sum'], ...span,
  })), sdk.InvalidParameterValueException, 400);
  const MetricStat = { Metric: { Namespace, MetricName: 'M', Dimensions }, Period: 60, Stat: 'Maximum' };
  const data = await send(new sdk.GetMetricDataCommand({ MetricDataQueries: [{ Id: 'm', MetricStat }], ...span }));
  check('data', data.MetricDataResults[0].Timestamps[0] instanceof Date, data);
  same('data', data.MetricDataResults.map((one) => [one.Id, one.Values, one.StatusCode]), [['m', [3], 'Complete']]);
  await refused('an id with a capital', () => send(new sdk.GetMetricDataCommand({ MetricDataQueries: [{ Id: 'M', MetricStat }], ...span })),
    Error, 400);
}
