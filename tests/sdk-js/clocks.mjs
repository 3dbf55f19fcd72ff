// Callers whose clocks are wrong by an hour: each protocol refuses them with its own code, and SDKs correct their clock by it.

import { CloudFormationClient, ListStacksCommand } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { EventBridgeClient, ListRulesCommand } from '@aws-sdk/client-eventbridge';
import { IAMClient, ListRolesCommand } from '@aws-sdk/client-iam';
import { IvsClient, ListChannelsCommand } from '@aws-sdk/client-ivs';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { check, refused, same } from './check.mjs';

const HOUR_MS = 3_600_000;

const SERVICES = [
  [S3Client, ListBucketsCommand, 'RequestTimeTooSkewed', 403],
  [IvsClient, ListChannelsCommand, 'InvalidSignatureException', 403],
  [LambdaClient, ListFunctionsCommand, 'InvalidSignatureException', 403],
  [EventBridgeClient, ListRulesCommand, 'InvalidSignatureException', 400],
  [CloudWatchLogsClient, DescribeLogGroupsCommand, 'InvalidSignatureException', 400],
  [CloudWatchClient, ListMetricsCommand, 'InvalidSignatureException', 400],
  [CloudFormationClient, ListStacksCommand, 'SignatureDoesNotMatch', 403],
  [IAMClient, ListRolesCommand, 'SignatureDoesNotMatch', 403],
  [STSClient, GetCallerIdentityCommand, 'SignatureDoesNotMatch', 403],
];

export async function run() {
  const now = Date.now;
  try {
    for (const [clock, offset] of [['late', -HOUR_MS], ['early', HOUR_MS]]) {
      Date.now = () => now() + offset;
      await services(clock);
    }
  } finally {
    Date.now = now;
  }
}

async function services(clock) {
  for (const [Client, Command, code, status] of SERVICES) {
    const what = `${Client.name} with a clock that is an hour ${clock}`;
    const once = new Client({ maxAttempts: 1 });
    const error = await refused(what, () => once.send(new Command({})), code, status);
    const said = code === 'RequestTimeTooSkewed' ? /time/ : clock === 'late' ? /Signature expired/ : /Signature not yet current/;
    check(`${what} is told of the time`, said.test(error?.message), error?.message);
    const patient = new Client({});
    const answer = await patient.send(new Command({}));
    same(`${what} corrects it: attempts`, answer.$metadata.attempts, 2);
  }
}
